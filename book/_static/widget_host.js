// Draws every anywidget of a built page from the state that the page carries:
// no kernel, no network, no framework. The module gets the same `model` and `el`
// that Jupyter gives it.

const fromBase64 = (text) =>
  new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

function withBuffers({ state, buffers = [] }) {
  for (const { path, data } of buffers) {
    const owner = path.slice(0, -1).reduce((part, key) => part[key], state);
    owner[path.at(-1)] = fromBase64(data);
  }
  return state;
}

function makeModel(raw) {
  const state = withBuffers(raw);
  const listeners = new Map();
  const tell = (event, ...words) =>
    [...(listeners.get(event) ?? [])].forEach((heard) => heard(...words));
  const model = {
    get: (key) => state[key],
    set(key, value) {
      if (typeof key === "object") {
        return Object.entries(key).forEach(([k, v]) => model.set(k, v));
      }
      if (Object.is(state[key], value)) return;
      state[key] = value;
      tell(`change:${key}`, model, value);
      tell("change", model);
    },
    save_changes() {},
    send() {},
    on(event, heard) {
      listeners.set(event, [...(listeners.get(event) ?? []), heard]);
    },
    off(event, heard) {
      const kept = (listeners.get(event) ?? []).filter((h) => heard && h !== heard);
      listeners.set(event, kept);
    },
  };
  return model;
}

const once = (make) => {
  const made = new Map();
  return (key, ...rest) => {
    if (!made.has(key)) made.set(key, make(key, ...rest));
    return made.get(key);
  };
};

const loadModule = once(async (source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: widget } = await import(url);
  return typeof widget === "function" ? widget() : widget;
});

const loadModel = once(async (id, raw, widget) => {
  const model = makeModel(raw);
  await widget.initialize?.({ model });
  return model;
});

const addStyle = once((css) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
});

async function draw(script, states) {
  const { model_id: id } = JSON.parse(script.textContent);
  const raw = states[id];
  const box = script.closest(".widget-box");
  const el = document.createElement("div");
  el.className = "widget-drawn";
  if (raw.state._css) addStyle(raw.state._css);
  const widget = await loadModule(raw.state._esm);
  const model = await loadModel(id, raw, widget);
  script.before(el);
  try {
    await widget.render({ model, el });
    box.classList.add("widget-alive");
  } catch (error) {
    el.remove(); // the printed picture stays
    throw error;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const all = (kind) =>
    [...document.querySelectorAll(`script[type="application/vnd.jupyter.widget-${kind}+json"]`)];
  const states = Object.assign({}, ...all("state").map((s) => JSON.parse(s.textContent).state));
  for (const script of all("view")) draw(script, states);
});
