// Mounts the anywidgets stored in a page: no kernel, no module loader, no server.
//
// A notebook stores its widgets as JSON in two kinds of script tag: one with the state of every
// model on the page, and one for each place where a model is shown. A state holds the widget's
// own source (_esm) and style (_css); this file gives it a model to talk to and an element to
// draw in. Views of any other library get a sentence instead of a dead control.
(() => {
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';

  function bytes(data) { // a plain loop: ten times as fast as Uint8Array.from with a function
    const text = atob(data), found = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
    return new DataView(found.buffer);
  }

  // Binary traits are stored beside the state with the path where they belong.
  function readStates() {
    const states = new Map();
    for (const tag of document.querySelectorAll(STATE))
      for (const [id, model] of Object.entries(JSON.parse(tag.textContent).state)) {
        for (const { path, data } of model.buffers ?? [])
          path.slice(0, -1).reduce((place, key) => place[key], model.state)[path.at(-1)] = bytes(data);
        states.set(id, model);
      }
    // two widgets of a page may begin alike: the second names the first, and says how it goes on
    for (const { state } of states.values())
      for (const trait of ["_esm", "_css"]) {
        const { same, length, more } = state[trait] ?? {};
        if (same) state[trait] = states.get(same).state[trait].slice(0, length) + more;
      }
    return states;
  }

  // Heavy numbers stand in scripts that pages share: a script is loaded from file://, too.
  const numbers = (window.mechlibNumbers = {}), script = document.currentScript, asked = new Map();
  function load(name) {
    if (!asked.has(name)) asked.set(name, new Promise((done, failed) => {
      const tag = document.createElement("script");
      tag.onload = () => done(bytes(numbers[name]));
      tag.onerror = () => failed(new Error("its numbers are missing"));
      tag.src = new URL(`../widgets/${name}.js`, script.src);
      document.head.append(tag);
    }));
    return asked.get(name);
  }
  const complete = async ({ state }) => {
    await Promise.all(Object.entries(state.beside ?? {}).map(async ([trait, name]) => { state[trait] = await load(name); }));
    delete state.beside;
  };

  // The part of anywidget's model that needs no kernel: get, set, and change events.
  class Model {
    #state;
    #listeners = new Map();
    constructor(state) { this.#state = state; }
    get(name) { return this.#state[name]; }
    set(name, value) {
      const wanted = typeof name === "object" ? name : { [name]: value };
      const changed = Object.keys(wanted).filter((key) => this.#state[key] !== wanted[key]);
      Object.assign(this.#state, wanted);
      for (const key of changed) this.#emit(`change:${key}`, this.#state[key]);
      if (changed.length) this.#emit("change");
    }
    save_changes() {}
    send() {}
    on(events, listener) {
      for (const event of events.split(" ")) {
        if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
        this.#listeners.get(event).add(listener);
      }
    }
    off(events, listener) {
      if (!events) return this.#listeners.clear();
      for (const event of events.split(" "))
        listener ? this.#listeners.get(event)?.delete(listener) : this.#listeners.delete(event);
    }
    #emit(event, ...values) {
      for (const listener of [...(this.#listeners.get(event) ?? [])]) listener(this, ...values);
    }
  }

  // A blob address lets the browser import source that is already in the page, also from file://.
  const modules = new Map();
  function importSource(source) {
    if (!modules.has(source)) {
      modules.set(source, (async () => {
        const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        try {
          const widget = (await import(url)).default;
          return typeof widget === "function" ? await widget() : widget;
        } finally {
          URL.revokeObjectURL(url);
        }
      })());
    }
    return modules.get(source);
  }

  const note = (element, text) => Object.assign(element, { className: "widget-note", textContent: text });

  async function mount(view, states, models, signal) {
    const element = document.createElement("div");
    element.className = "widget-mount";
    view.after(element);
    const id = JSON.parse(view.textContent).model_id;
    const stored = states.get(id);
    if (stored?.model_module !== "anywidget") {
      note(element, "This control needs a running kernel: open the notebook in Jupyter.");
      return;
    }
    try {
      await complete(stored);
      const widget = await importSource(stored.state._esm);
      if (!models.has(id)) {
        models.set(id, new Model(stored.state));
        if (stored.state._css) {
          const style = document.createElement("style");
          style.textContent = stored.state._css;
          document.head.append(style);
        }
        await widget.initialize?.({ model: models.get(id), signal, experimental: {} });
      }
      await widget.render?.({ model: models.get(id), el: element, signal, experimental: {} });
      element.dataset.mounted = "true";
    } catch (error) {
      console.error(error);
      note(element, `This widget could not be shown: ${error}`);
    }
  }

  async function main() {
    const states = readStates();
    const models = new Map();
    const { signal } = new AbortController();
    for (const view of document.querySelectorAll(VIEW)) await mount(view, states, models, signal);
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", main);
  else main();
})();
