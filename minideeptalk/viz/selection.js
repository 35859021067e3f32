// Load against selection score: draws one layer's experts, the line that the formula draws between them, and who is chosen.
// `box` is the element of one explorer; the numbers stand beside it as JSON. No kernel, no network, no library.
function exploreSelection(box) {
  "use strict";
  const data = JSON.parse(box.querySelector("script[type='application/json']").textContent);
  const state = Object.assign({}, data.start);
  const plot = box.querySelector("svg");
  const tells = box.querySelector("[data-tells]");
  const BLUE = "#0072B2", VERMILLION = "#D55E00", LEFT = 54, TOP = 14, SIZE = 300;

  function ranked(layer) {  // of equal scores the lower index wins
    const scores = data.scores[state.formula][state.normaliser][layer];
    return scores.map((score, expert) => [score, expert]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  }

  function chosenIn(layer) {
    return ranked(layer).slice(0, state.count).map((pair) => pair[1]).sort((a, b) => a - b);
  }

  function border() {  // the audio load at which a text load of t is just chosen
    const order = ranked(state.layer);
    const level = (order[state.count - 1][0] + order[state.count][0]) / 2;
    const lines = { product: (t) => level / (1 - t), worst_first: (t) => -level / (1 - t), difference: (t) => level + t,
      ratio: (t) => level * t, audio_only: () => level };
    return lines[state.formula];
  }

  function make(name, attributes, words) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (words !== undefined) node.textContent = words;
    plot.append(node);
    return node;
  }

  function axes(limit, x, y) {
    make("rect", { x: LEFT, y: TOP, width: SIZE, height: SIZE, fill: "none", stroke: "currentColor", "stroke-opacity": 0.4 });
    const raw = limit / 4, power = 10 ** Math.floor(Math.log10(raw));
    const gap = [5, 2.5, 2, 1].find((number) => number * power <= raw) * power;  // round numbers, four or more of them
    for (let value = 0; value <= limit + 1e-9; value += gap) {
      const shown = limit > 0.5 ? value.toFixed(2) : value.toFixed(3);
      make("text", { x: x(value), y: TOP + SIZE + 17, "text-anchor": "middle" }, shown);
      make("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, shown);
    }
    make("text", { x: LEFT + SIZE / 2, y: TOP + SIZE + 38, "text-anchor": "middle" }, "text load");
    make("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(12 ${TOP + SIZE / 2}) rotate(-90)` }, "audio load");
  }

  function draw() {
    plot.replaceChildren();
    const [audio, text] = data.loads[state.normaliser].map((modality) => modality[state.layer]);
    const limit = 1.08 * Math.max(...audio, ...text);
    const x = (value) => LEFT + (SIZE * value) / limit, y = (value) => TOP + SIZE - (SIZE * value) / limit;
    axes(limit, x, y);
    const line = border();
    if (line) {
      const points = [];
      for (let step = 0; step <= 60; step++) {
        const t = (limit * step) / 60, a = line(t);
        if (t < 0.995 && a >= 0 && a <= limit) points.push(`${x(t).toFixed(1)},${y(a).toFixed(1)}`);
      }
      make("polyline", { points: points.join(" "), fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-dasharray": "6 4" });
    }
    const chosen = chosenIn(state.layer);
    audio.forEach((load, expert) => {
      const mine = chosen.includes(expert);
      if (mine) make("rect", { x: x(text[expert]) - 7, y: y(load) - 7, width: 14, height: 14, fill: VERMILLION });
      else make("circle", { cx: x(text[expert]), cy: y(load), r: 6, fill: "none", stroke: BLUE, "stroke-width": 2 });
      const crowded = audio.some((other, number) => Math.abs(y(other) - y(load)) < 12 && x(text[number]) > x(text[expert]) && x(text[number]) - x(text[expert]) < 26);
      make("text", { x: x(text[expert]) + (crowded ? -10 : 10), y: y(load) + 4, "text-anchor": crowded ? "end" : "start", "font-weight": mine ? 700 : 400 }, expert);
    });
    say();
  }

  function say() {
    const rows = data.layers.map((name, layer) => {
      const chosen = chosenIn(layer);
      const shares = data.shares.map((modality) => chosen.reduce((sum, expert) => sum + modality[layer][expert], 0));
      const percent = shares.map((share) => (100 * share).toFixed(0) + " %");
      return `${name}: ${chosen.join(", ")} · ${percent[0]} of the sound, ${percent[1]} of the text`;
    });
    const title = document.createElement("strong"), list = document.createElement("ul");
    title.textContent = `${state.count} audio experts ${state.formula === "by_index" ? "" : "by "}${state.formula.replace("_", " ")}, normaliser ${state.normaliser}`;
    for (const words of rows) list.append(Object.assign(document.createElement("li"), { textContent: words }));
    tells.replaceChildren(title, list);
    plot.setAttribute("aria-label", `${data.layers[state.layer]}: experts by text load and audio load. ${rows[state.layer]}`);
  }

  for (const group of box.querySelectorAll("[data-choice]")) {
    const buttons = [...group.querySelectorAll("button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        const value = button.dataset.value;
        state[group.dataset.choice] = group.dataset.choice === "layer" ? Number(value) : value;
        for (const other of buttons) other.setAttribute("aria-pressed", other === button);
        draw();
      });
    }
  }
  const range = box.querySelector("input[type=range]");
  const shown = box.querySelector("[data-count]");
  range.addEventListener("input", () => {
    state.count = Number(range.value);
    shown.textContent = state.count;
    range.setAttribute("aria-valuetext", `${state.count} audio experts`);
    draw();
  });
  box.querySelector("[data-controls]").hidden = false;
  draw();
}
