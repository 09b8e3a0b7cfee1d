// What the reader of the bench has in hand: a pair, a rule, and the bench itself.
import { Bench } from "./bench.js";
import { unit } from "./memory_rules.js";

const letter = (n) => String.fromCharCode(65 + (n % 26));

export class Hand {
  constructor(model) {
    const get = (name) => model.get(name);
    this.presets = get("presets");
    this.settings = { rule: get("rule"), beta: get("beta"), alpha: get("alpha") };
    this.unitKeys = get("unit_keys");
    this.bench = new Bench(get("V"), get("K"), get("preset"));
    this.take(0);
  }

  get pairs() {
    return this.presets.find(({ name }) => name === this.bench.now.preset);
  }

  take(n) {
    const { keys, values } = this.pairs;
    [this.n, this.key, this.value] = [
      n,
      keys[n % keys.length],
      values[n % values.length],
    ];
  }

  get k() {
    return this.unitKeys ? unit(this.key) : [...this.key];
  }

  /** Pairs of the list carry its number, keys drawn by hand a letter. */
  get name() {
    const known = this.bench.find(this.k);
    if (known) return known.name;
    const listed = this.pairs.keys.findIndex((key) =>
      key.every((x, i) => x === this.key[i]),
    );
    if (listed >= 0) return String(listed + 1);
    return letter(
      this.bench.now.stored.filter(({ name }) => /[A-Z]/.test(name)).length,
    );
  }

  write() {
    this.bench.write(this.name, this.k, this.value, this.settings);
  }

  writeAll(count = this.pairs.keys.length) {
    for (let n = 0; n < count; n++) {
      this.take(n);
      this.write();
    }
  }
}
