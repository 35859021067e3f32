// Draws each figure of the page from the JSON beside it. Plotly's own sliders and buttons are drawn shapes that no keyboard
// reaches, so each becomes an HTML control that makes the same plotly call.
(function () {
  "use strict";

  function run(plot, step) {
    return window.Plotly[step.method].apply(window.Plotly, [plot].concat(step.args));
  }

  function slider(plot, specification, place) {
    var steps = specification.steps;
    var prefix = (specification.currentvalue || {}).prefix || "";
    var row = document.createElement("div");
    var range = document.createElement("input");
    var output = document.createElement("output");
    range.type = "range";
    range.setAttribute("aria-label", prefix.trim() || "position");
    range.min = 0;
    range.max = steps.length - 1;
    range.value = specification.active || 0;
    function name() {
      output.textContent = prefix + (steps[range.value].value || steps[range.value].label);
      range.setAttribute("aria-valuetext", output.textContent);
    }
    range.addEventListener("input", function () {
      name();
      run(plot, steps[range.value]);
    });
    name();
    row.append(output, range);
    place.append(row);
  }

  function buttons(plot, specification, place) {
    specification.buttons.forEach(function (step, position) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = step.label;
      button.setAttribute("aria-pressed", String(position === (specification.active || 0)));
      button.addEventListener("click", function () {
        place.querySelectorAll("button").forEach(function (other) {
          other.setAttribute("aria-pressed", String(other === button));
        });
        run(plot, step);
      });
      place.append(button);
    });
  }

  function draw(figure) {
    var plot = figure.querySelector(".plot");
    var place = figure.querySelector(".controls");
    var content = JSON.parse(figure.querySelector("script").textContent);
    var sliders = content.layout.sliders || [];
    var menus = content.layout.updatemenus || [];
    delete content.layout.sliders;
    delete content.layout.updatemenus;
    plot.style.minHeight = content.layout.height + "px";
    window.Plotly.newPlot(plot, content.data, content.layout, { responsive: true, displayModeBar: false, scrollZoom: false });
    sliders.forEach(function (specification) { slider(plot, specification, place); });
    menus.forEach(function (specification) { buttons(plot, specification, place); });
  }

  function drawOpen(scope) {
    // A figure inside a closed <details> has no width yet; it is drawn when the reader opens it.
    scope.querySelectorAll("figure.plotly-figure:not([data-drawn])").forEach(function (figure) {
      if (figure.closest("details:not([open])")) { return; }
      figure.dataset.drawn = "yes";
      draw(figure);
    });
  }

  drawOpen(document);
  document.querySelectorAll("details").forEach(function (details) {
    details.addEventListener("toggle", function () { drawOpen(details); });
  });
})();
