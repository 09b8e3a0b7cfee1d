// Elements, controls, theme and spoken text: what every widget of the book shares.

const TAKES_KEYS = new Set(["BUTTON", "INPUT", "SELECT"]);
let made = 0;
const freshId = () => `fw-${Math.random().toString(36).slice(2, 8)}-${made++}`;

/** Make an element; `on...` properties become listeners. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null)
      node.setAttribute(name, value === true ? "" : value);
  }
  // JupyterLab takes arrows and letters unless the focused element itself says no.
  if (TAKES_KEYS.has(node.tagName) || "tabindex" in props) {
    node.dataset.lmSuppressShortcuts = "true";
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export const button = (text, onclick, props = {}) =>
  h("button", { type: "button", onclick, ...props }, text);

/** A labelled control; `show` is where its value stands in words. */
export function field(text, control, show = null) {
  control.id = freshId();
  return h(
    "div",
    { class: "fw-field" },
    h("label", { for: control.id }, text),
    control,
    show,
  );
}

export const select = (options, onchange, props = {}) =>
  h(
    "select",
    { ...props, onchange: (event) => onchange(event.target.value) },
    ...options.map(([value, text]) => h("option", { value }, text)),
  );

export const range = (min, max, step, value, oninput) =>
  h("input", {
    type: "range",
    min,
    max,
    step,
    value,
    oninput: (event) => oninput(Number(event.target.value)),
  });

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  back: "M11 2.5v11L4 8zM3 2.5h1.6v11H3z",
  forward: "M5 2.5v11L12 8zM11.4 2.5H13v11h-1.6z",
  before: "M8.5 2.5v11L2 8zM14.5 2.5v11L8 8z",
  after: "M1.5 2.5v11L8 8zM7.5 2.5v11L14 8z",
  lock: "M4 7V5a4 4 0 0 1 8 0v2h1v7H3V7zM6 7h4V5a2 2 0 0 0-4 0z",
  undo: "M7 2.5 2 7l5 4.5V8.7c3.2 0 5.2 1 6.8 3.8C13.4 8.3 11.2 5.3 7 5.3z",
  clear: "M6 2h4l.6 1.3H13.5v1.5h-11V3.3h2.9zM3.7 6h8.6l-.8 8H4.5z",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of [
    ["viewBox", "0 0 16 16"],
    ["aria-hidden", "true"],
    ["class", "fw-icon"],
  ]) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A number as a reader wants it: true minus sign, three digits, no ragged zeros. */
export function say(x, digits = 3) {
  if (Number.isNaN(x)) return "not a number";
  if (!Number.isFinite(x)) return x > 0 ? "infinity" : "−infinity";
  if (Math.abs(x) < 1e-9) return "0";
  const plain = Math.abs(x) < 1e5 && Math.abs(x) >= 1e-4;
  const short = plain
    ? String(Number(x.toPrecision(digits)))
    : x.toExponential(digits - 1).replace("e+", "e");
  return short.replaceAll("-", "−");
}

const darkMedia = () => window.matchMedia("(prefers-color-scheme: dark)");
export const lessMotion = () =>
  window.matchMedia("(prefers-reduced-motion: reduce)").matches;

function isDark() {
  const book = document.documentElement.dataset.theme;
  if (book === "dark" || book === "light") return book === "dark";
  const lab = document.body.dataset.jpThemeLight;
  return lab ? lab === "false" : darkMedia().matches;
}

/** Redraw whenever the theme or the width changes; returns how to stop. */
export function follow(root, redraw) {
  const dress = () => {
    root.toggleAttribute("data-dark", isDark());
    redraw();
  };
  const themes = new MutationObserver(dress);
  themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  const media = darkMedia();
  media.addEventListener("change", dress);
  let width = 0;
  const sizes = new ResizeObserver(() => {
    const now = root.clientWidth;
    if (now !== width) redraw();
    width = now;
  });
  sizes.observe(root);
  dress();
  return () => {
    themes.disconnect();
    sizes.disconnect();
    media.removeEventListener("change", dress);
  };
}

/** A polite voice: only what is still true after a moment of rest is spoken. */
export function voice() {
  const node = h("p", { class: "fw-spoken", role: "status", "aria-live": "polite" });
  let timer;
  const speak = (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      node.textContent = text;
    }, 350);
  };
  return { node, speak, hush: () => clearTimeout(timer) };
}

const MOVES = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, -Infinity],
  End: [0, Infinity],
  PageUp: [-Infinity, 0],
  PageDown: [Infinity, 0],
};

/** The cell that an arrow key leads to, or null for any other key. */
export function moved(key, [row, col], rows, cols) {
  if (!MOVES[key]) return null;
  const inside = (x, n) => Math.min(Math.max(x, 0), n - 1);
  return [inside(row + MOVES[key][0], rows), inside(col + MOVES[key][1], cols)];
}
