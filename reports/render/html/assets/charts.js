// Draws the figures of the page: in the colours of its style, on one time axis, under one crosshair.
// Works in a sandboxed frame too: nothing is stored, and a clipboard that is denied is done without.
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
    // A narrow chart has room for the numbers of steps only, and for few times.
    if (plotOf(figure).clientWidth < 800) layout.annotations?.forEach((one) => { one.text = one.name ?? one.text; });
    if (figure.linked && plotOf(figure).clientWidth < 500) layout.xaxis.nticks = 6;
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

  // One crosshair: each linked chart shows its values at the moment under the mouse.
  const lines = new Map();
  function lineOf(figure) {
    if (!lines.has(figure)) {
      const line = document.createElement("div");
      line.className = "crosshair";
      plotOf(figure).append(line);
      lines.set(figure, line);
    }
    return lines.get(figure);
  }
  const isInView = (box) => box.bottom > 0 && box.top < innerHeight;
  function pointAt(source, x) {
    for (const figure of linked) {
      const plot = plotOf(figure);
      const { xaxis, _size: size } = plot._fullLayout;
      const px = xaxis.d2p(x);
      if (px < 0 || px > xaxis._length) continue;
      const line = lineOf(figure);
      line.hidden = false;
      line.style.cssText = `left:${size.l + px}px;top:${size.t}px;height:${size.h}px`;
      const hasValues = figure !== source && plot._fullLayout.hovermode === "x unified";
      if (hasValues && isInView(plot.getBoundingClientRect())) {
        Plotly.Fx.hover(plot, { xval: x }, "xy", true);
      }
    }
  }
  function pointNowhere() {
    for (const figure of linked) {
      if (lines.has(figure)) lineOf(figure).hidden = true;
      Plotly.Fx.unhover(plotOf(figure));
    }
  }
  let waiting = 0;
  function crosshair(figure) {
    const plot = plotOf(figure);
    plot.addEventListener("mousemove", (event) => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => {
        const { xaxis, _size: size } = plot._fullLayout;
        const px = event.clientX - plot.getBoundingClientRect().left - size.l;
        if (px < 0 || px > xaxis._length) pointNowhere();
        else pointAt(figure, xaxis.p2d(px));
      });
    });
    plot.addEventListener("mouseleave", () => {
      cancelAnimationFrame(waiting);
      pointNowhere();
    });
  }

  const select = document.getElementById("view");
  select?.addEventListener("change", () => moveTo(select.value ? select.value.split(" ").map(Number) : null));
  select?.form.addEventListener("submit", (event) => event.preventDefault());

  // A link to a row opens what it is folded in.
  function unfold() {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const folded = row?.closest("details");
    if (folded && !folded.open) {
      folded.open = true;
      row.scrollIntoView({ block: "center" });
    }
  }
  addEventListener("hashchange", unfold);

  // Tables that go on beyond their box say so.
  function measure() {
    for (const box of document.querySelectorAll(".scroll")) {
      box.toggleAttribute("data-more", box.scrollWidth > box.clientWidth + 1);
    }
  }
  addEventListener("resize", measure);
  document.addEventListener("toggle", measure, true);

  // A frame may forbid the clipboard: then the text is selected, for Ctrl-C.
  async function copy(button) {
    const text = document.getElementById(button.dataset.copies);
    try {
      if (origin === "null") throw new Error("a sandboxed frame");
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl-C";
    }
  }
  for (const button of document.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }

  // What is printed is light, as narrow as paper, not zoomed, and has its evidence open.
  let opened = [];
  let zoomed = null;
  addEventListener("beforeprint", () => {
    [zoomed, range] = [range, null];
    opened = [...document.querySelectorAll("details:not(.data):not([open])")];
    opened.forEach((details) => { details.open = true; });
    document.documentElement.classList.add("printing");
    figures.forEach((figure) => { plotOf(figure).style.width = "680px"; });
    drawAll();
    figures.forEach((figure) => Plotly.Plots.resize(plotOf(figure)));
  });
  addEventListener("afterprint", () => {
    range = zoomed;
    opened.forEach((details) => { details.open = false; });
    document.documentElement.classList.remove("printing");
    figures.forEach((figure) => { plotOf(figure).style.width = ""; });
    drawAll();
    figures.forEach((figure) => Plotly.Plots.resize(plotOf(figure)));
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll().then(() => {
    linked.forEach((figure) => plotOf(figure).on("plotly_relayout", followed));
    if (!coarse) linked.forEach(crosshair);
    measure();
    unfold();
    document.documentElement.dataset.drawn = "yes";
  });
})();
