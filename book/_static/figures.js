// Draws the plotly figures of a page from the JSON beside them. plotly.js is loaded once, and only where a figure is.
// plotly's own sliders and menus cannot be used with a keyboard, so each becomes a native control under its figure.
(function () {
  "use strict";
  const base = document.currentScript.src;
  const palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];

  function dark() {
    return document.documentElement.dataset.theme === "dark";
  }

  function theme(layout) {
    const ink = dark() ? "#dfe3e8" : "#24292f";
    const grid = dark() ? "#3d444d" : "#dde1e6";
    const colours = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", "font.color": ink,
      "hoverlabel.bgcolor": dark() ? "#24292f" : "#ffffff", "hoverlabel.font.color": ink };
    for (const key of Object.keys(layout).concat(["xaxis", "yaxis"])) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      for (const part of ["gridcolor", "zerolinecolor", "linecolor"]) colours[key + "." + part] = grid;
    }
    return colours;
  }

  function apply(layout, flat) {
    for (const [path, value] of Object.entries(flat)) {
      const keys = path.split(".");
      const last = keys.pop();
      let place = layout;
      for (const key of keys) place = place[key] = place[key] || {};
      place[last] = value;
    }
  }

  function run(place, step) {
    if (step.method === "animate") {
      const options = Object.assign({}, step.args[1], { mode: "immediate", transition: { duration: 0 },
        frame: { duration: 0, redraw: true } });
      return Plotly.animate(place, step.args[0], options);
    }
    return step.method === "skip" ? null : Plotly[step.method](place, ...step.args);
  }

  function sliderControl(place, slider, number) {
    const label = document.createElement("label");
    const name = document.createElement("span");
    const input = document.createElement("input");
    const prefix = (slider.currentvalue && slider.currentvalue.prefix) || "";
    input.type = "range";
    input.min = 0;
    input.max = slider.steps.length - 1;
    input.value = slider.active || 0;
    const show = () => {
      const text = prefix + slider.steps[input.value].label;
      name.textContent = text;
      input.setAttribute("aria-valuetext", text);
    };
    input.setAttribute("aria-label", prefix.replace(/[:= ]+$/, "") || "slider " + (number + 1));
    input.addEventListener("input", () => { show(); run(place, slider.steps[input.value]); });
    show();
    label.append(name, input);
    return label;
  }

  function menuControl(place, menu) {
    const group = document.createElement("span");
    group.className = "figure-buttons";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "Choices of this figure");
    for (const [position, choice] of menu.buttons.entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = choice.label;
      const active = position === (menu.active === undefined ? 0 : menu.active);
      button.setAttribute("aria-pressed", active);
      button.addEventListener("click", () => {
        for (const other of group.children) other.setAttribute("aria-pressed", other === button);
        run(place, choice);
      });
      group.append(button);
    }
    return group;
  }

  function draw(figure) {
    const place = figure.querySelector(".plotly-place");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const layout = spec.layout;
    const controls = document.createElement("div");
    controls.className = "figure-controls";
    (layout.updatemenus || []).forEach((menu) => controls.append(menuControl(place, menu)));
    (layout.sliders || []).forEach((slider, number) => controls.append(sliderControl(place, slider, number)));
    delete layout.sliders;
    delete layout.updatemenus;
    delete layout.width;
    layout.autosize = true;
    layout.height = Number(figure.dataset.height);
    if (!layout.template) {  // not made by minideeptalk.viz: the page's own look
      layout.colorway = layout.colorway || palette;
      layout.font = Object.assign({ size: 13 }, layout.font);
      layout.margin = Object.assign({ l: 56, r: 16, t: layout.title ? 56 : 24, b: 48 }, layout.margin);
    }
    apply(layout, theme(layout));
    const config = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
    return Plotly.newPlot(place, spec.data, layout, config).then(() => {
      if (spec.frames.length) Plotly.addFrames(place, spec.frames);
      if (controls.children.length) figure.append(controls);
      figure.dataset.drawn = "true";
    });
  }

  function tell(figure) {  // what it shows, in words, where it cannot be drawn
    const place = figure.querySelector(".plotly-place");
    if (!figure.dataset.drawn && place) place.textContent = `This figure could not be drawn. ${figure.getAttribute("aria-label") || ""}`;
  }

  function start() {
    const figures = document.querySelectorAll(".plotly-figure");
    if (!figures.length) return;
    const script = document.createElement("script");
    script.src = new URL("plotly.min.js", base);
    script.onerror = () => figures.forEach(tell);
    script.onload = () => {
      for (const figure of figures) {
        try { Promise.resolve(draw(figure)).catch(() => tell(figure)); } catch (error) { tell(figure); throw error; }
      }
      new MutationObserver(() => {
        for (const place of document.querySelectorAll(".plotly-place.js-plotly-plot")) Plotly.relayout(place, theme(place.layout));
      }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    };
    document.head.append(script);
  }

  start();
})();
