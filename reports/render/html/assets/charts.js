// Draws the figures of the page: in the colours of the page's style, on one time axis.
"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const coarse = matchMedia("(pointer: coarse)").matches;
  // No bar of buttons: one of them sends the chart to plotly's servers.
  const config = {
    displayModeBar: false,
    showSendToCloud: false,
    displaylogo: false,
    responsive: true,
    showTips: false,
    doubleClick: "reset",
  };
  const plotOf = (figure) => document.getElementById("plot-" + figure.id);
  const linked = figures.filter((figure) => figure.linked);

  // Colours stand as var(--name) in the figures: plotly cannot resolve them itself.
  function colored(value, style) {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((one) => colored(one, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, colored(one, style)]));
    }
    return value;
  }

  let range = null; // null: the whole run
  function draw(figure) {
    const style = getComputedStyle(document.documentElement);
    const layout = colored(figure.layout, style);
    layout.dragmode = figure.linked && !coarse ? "zoom" : false;
    if (figure.linked && range) layout.xaxis.range = range.slice();
    return Plotly.react(plotOf(figure), colored(figure.data, style), layout, config);
  }
  const drawAll = () => Promise.all(figures.map(draw));

  // A zoom of one time axis moves them all.
  let moving = false;
  async function moveTo(wanted) {
    range = wanted;
    moving = true;
    await Promise.all(
      linked.map((figure) => Plotly.relayout(plotOf(figure), { "xaxis.range": wanted || figure.layout.xaxis.range.slice() }))
    );
    moving = false;
  }
  function followed(change) {
    if (moving) return;
    const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
    const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
    if (from === undefined) return;
    moveTo([from, to]);
    select.selectedIndex = -1; // none of its views
  }

  const select = document.getElementById("view");
  select?.addEventListener("change", () => moveTo(select.value ? select.value.split(" ").map(Number) : null));
  select?.form.addEventListener("submit", (event) => event.preventDefault());

  // What is printed is light, as narrow as paper, and has its evidence open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not(.data):not([open])")];
    opened.forEach((details) => { details.open = true; });
    document.documentElement.classList.add("printing");
    figures.forEach((figure) => { plotOf(figure).style.width = "680px"; });
    drawAll();
    figures.forEach((figure) => Plotly.Plots.resize(plotOf(figure)));
  });
  addEventListener("afterprint", () => {
    opened.forEach((details) => { details.open = false; });
    document.documentElement.classList.remove("printing");
    figures.forEach((figure) => { plotOf(figure).style.width = ""; });
    drawAll();
    figures.forEach((figure) => Plotly.Plots.resize(plotOf(figure)));
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll().then(() => {
    linked.forEach((figure) => plotOf(figure).on("plotly_relayout", followed));
    document.documentElement.dataset.drawn = "yes";
  });
})();
