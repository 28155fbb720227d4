// One chart of a run: the load, and below it each deployment, on one time axis.

const LOAD_PX = 190;
const DEPLOYMENT_PX = 160;
const FULL_SIZE = 6; // deployments; of more, each is lower
const LOW_PX = 90;
const GAP_PX = 44;
const MARGIN = { l: 46, r: 46, t: 40, b: 44 };
const HEADROOM = 1.3; // above the replicas, for the lags
const SHORTEST_S = 20; // of the axis
const WINDOW_STEPS = 20;
const STILL_COMING_S = 1.5; // rows of requests come twice a second

const [START, WIDTH, DUE, ANSWERED, FAILED] = [0, 1, 2, 3, 4];
const [, AT, STARTING, RUNNING, STOPPING, TARGET] = [0, 1, 2, 3, 4, 5];

// Escape for plotly, which reads some HTML in texts, and %{..} in templates.
export function chartText(text) {
  const safe = text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  return safe.replace(/%\{/g, "%&#123;");
}

export const level = (value) => Number(value.toPrecision(6)).toLocaleString("en");

export function figure(store, chosen, color, view) {
  const each = chosen.length > FULL_SIZE ? LOW_PX : DEPLOYMENT_PX;
  const height = MARGIN.t + MARGIN.b + LOAD_PX + chosen.length * (each + GAP_PX);
  const inner = height - MARGIN.t - MARGIN.b;
  const domainOf = (place) => {
    const top = place === 0 ? 0 : LOAD_PX + GAP_PX + (place - 1) * (each + GAP_PX);
    const px = place === 0 ? LOAD_PX : each;
    return [1 - (top + px) / inner, 1 - top / inner];
  };
  const until = endOf(store);
  const range = rangeOf(store, view, until);
  const axis = { gridcolor: color("grid"), zeroline: false, linecolor: color("line"), fixedrange: true, rangemode: "tozero" };
  const layout = {
    height,
    margin: MARGIN,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("text"), family: "Roboto, Helvetica, Arial, sans-serif", size: 12 },
    showlegend: false,
    hovermode: "x unified",
    hoverlabel: { bgcolor: color("surface"), bordercolor: color("line"), font: { color: color("text") } },
    uirevision: `${store.run} ${view}`,
    dragmode: "zoom",
    xaxis: {
      ...axis, fixedrange: false, range, anchor: chosen.length ? `y${chosen.length + 1}` : "y",
      title: { text: "seconds after the start of the plan", standoff: 8 }, ticksuffix: " s", hoverformat: ".1f",
      nticks: 9,
    },
    yaxis: { ...axis, domain: domainOf(0), nticks: 5 },
    shapes: [],
    annotations: [],
  };
  const data = loadTraces(store, color, layout, until, axis);
  title(layout, domainOf(0), "Load", `requests/s${store.head.unit === "users" ? ", and users planned (right)" : ""}`, color);
  chosen.forEach((deployment, place) => {
    const domain = domainOf(place + 1);
    const most = mostReplicas(store, deployment);
    layout[`yaxis${place + 2}`] = { ...axis, domain, dtick: tickStep(most), range: [0, most * HEADROOM] };
    data.push(...replicaTraces(store, deployment, `y${place + 2}`, color, until));
    const [name, low, high] = store.head.deployments[deployment];
    title(layout, domain, name, low === null ? "replicas" : `${low} to ${high} replicas`, color);
    lagBars(store, deployment, domain, color, layout, range);
  });
  marks(store, color, layout, range);
  return { data, layout };
}

function endOf(store) {
  const { elapsedS, seenS, state } = store.latest;
  return Math.max(0, state === "running" ? elapsedS : (seenS ?? elapsedS));
}

// While it goes on its end moves in steps, not with each answer: Plotly remembers the size of each label
// at each place.
function rangeOf(store, view, until) {
  if (view === "plan") return [0, Math.max(store.head.durationS, until)];
  const longest = Math.max(SHORTEST_S, until);
  if (view === "so far") return [0, store.latest.state === "closed" ? longest * 1.02 : roundedUp(longest)];
  const width = Number(view);
  const step = width / WINDOW_STEPS;
  const end = Math.max(width, Math.ceil(until / step) * step);
  return [end - width, end];
}

// To a tenth of the power of ten below, so that at most a tenth is empty.
function roundedUp(seconds) {
  const step = 10 ** Math.floor(Math.log10(seconds)) / 10;
  return Math.ceil(seconds / step) * step;
}

function loadTraces(store, color, layout, until, axis) {
  const bins = store.bins;
  const running = store.latest.state === "running";
  const done = running ? bins.filter((bin) => bin[START] + bin[WIDTH] <= until - STILL_COMING_S) : bins;
  const rates = (column) => {
    const points = done.map((bin) => bin[column] / bin[WIDTH]);
    return [...points, points.at(-1)];
  };
  const times = done.map((bin) => bin[START]);
  if (done.length) times.push(done.at(-1)[START] + done.at(-1)[WIDTH]);
  const line = (name, column, tone, more) => ({
    name, x: times, y: rates(column), mode: "lines", line: { color: color(tone), width: 2, shape: "hv" },
    hovertemplate: "%{y:.1f}", ...more,
  });
  const traces = [
    line("offered", DUE, "offered", { fill: "tozeroy", fillcolor: color("offered-fill"), line: { color: color("offered"), width: 1, shape: "hv" } }),
    line("achieved", ANSWERED, "completed"),
  ];
  if (done.some((bin) => bin[FAILED])) traces.push(line("failed", FAILED, "failed"));
  const users = store.head.unit === "users";
  const planned = {
    name: users ? "users planned" : "planned", x: store.head.stages.flatMap((stage) => [stage[0], stage[1]]),
    y: store.head.stages.flatMap((stage) => [stage[2], stage[3]]), mode: "lines",
    line: { color: color("mark"), width: 1.5, dash: "dot" }, hovertemplate: "%{y:.1f}",
  };
  if (users) {
    const most = Math.max(1, ...planned.y);
    layout.yaxis99 = {
      ...axis, overlaying: "y", side: "right", showgrid: false, anchor: "x", tickmode: "linear", tick0: 0, dtick: Math.ceil(most / 4), range: [0, most * 1.1],
    };
    planned.yaxis = "y99";
  }
  return [...traces, planned];
}

function replicaTraces(store, deployment, yaxis, color, until) {
  const rows = store.replicas[deployment];
  if (!rows.length) return [];
  const times = [...rows.map((row) => Math.max(0, row[AT])), Math.max(until, rows.at(-1)[AT])];
  const column = (index) => [...rows.map((row) => row[index]), rows.at(-1)[index]];
  const area = (name, index, tone) => ({
    name, x: times, y: column(index), yaxis, stackgroup: `stack ${yaxis}`, mode: "lines",
    // STARTING and STOPPING have no line: at 0 it would cover the line of the area below.
    line: { color: color(tone), width: index === RUNNING ? 1 : 0, shape: "hv" }, fillcolor: color(`${tone}-fill`), hovertemplate: "%{y}",
  });
  const traces = [area("RUNNING", RUNNING, "running"), area("STARTING", STARTING, "starting"), area("STOPPING", STOPPING, "stopping")];
  if (rows.some((row) => row[TARGET] !== null)) {
    traces.push({
      name: "target", x: times, y: column(TARGET), yaxis, mode: "lines",
      line: { color: color("target"), width: 2, dash: "dash", shape: "hv" }, hovertemplate: "%{y}",
    });
    const decisions = rows.filter((row, place) => place && row[TARGET] !== rows[place - 1][TARGET] && rows[place - 1][TARGET] !== null);
    traces.push({
      name: "decision", x: decisions.map((row) => row[AT]), y: decisions.map((row) => row[TARGET]), yaxis, mode: "markers",
      marker: { symbol: "diamond", size: 9, color: color("target"), line: { color: color("surface"), width: 1 } },
      hovertemplate: "%{y}",
    });
  }
  return traces;
}

// Whole and round, for at most five ticks up to `most`.
function tickStep(most) {
  const least = most / 4;
  const power = 10 ** Math.max(0, Math.floor(Math.log10(least)));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least);
}

function mostReplicas(store, deployment) {
  const rows = store.replicas[deployment];
  return rows.reduce((top, row) => Math.max(top, row[TARGET] ?? 0, row[STARTING] + row[RUNNING] + row[STOPPING]), 1);
}

function title(layout, domain, name, unit, color) {
  layout.annotations.push({
    xref: "paper", yref: "paper", x: 0, y: domain[1], xanchor: "left", yanchor: "bottom", showarrow: false, yshift: 3,
    text: `<b>${chartText(name)}</b>  <span style="color:${color("soft")}">${chartText(unit)}</span>`,
    font: { size: 13, color: color("text") },
  });
}

// A bar along the top of the deployment, from the step to the last replica that it needed.
function lagBars(store, deployment, domain, color, layout, range) {
  const height = (domain[1] - domain[0]) * 0.14;
  for (const [index, at] of store.head.steps) {
    const lag = store.lags.get(`${index} ${deployment}`);
    const isKnown = lag && lag.valueS !== null;
    const lasts = isKnown ? lag.valueS : (lag?.loS ?? null);
    if (lasts === null) continue;
    const ends = at + lasts;
    if (ends < range[0] || at > range[1]) continue;
    layout.shapes.push({
      type: "rect", xref: "x", yref: "paper", x0: at, x1: ends, y0: domain[1] - height, y1: domain[1],
      fillcolor: color("lag-fill"), line: { color: color("lag"), width: 1, dash: isKnown ? "solid" : "dot" }, layer: "above",
    });
    layout.annotations.push({
      xref: "x", yref: "paper", x: at, y: domain[1] - height / 2, xanchor: "left", yanchor: "middle", showarrow: false, xshift: 3,
      text: `${isKnown ? "" : "&gt; "}${lasts.toFixed(1)} s`, font: { size: 11, color: color("text") },
    });
  }
}

function marks(store, color, layout, range) {
  const line = (at, tone, dash) => ({
    type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1, line: { color: color(tone), width: 1, dash }, layer: "below",
  });
  const steps = store.head.steps.filter(([, at]) => at >= range[0] && at <= range[1]);
  for (const [, at, from, to] of steps) {
    layout.shapes.push(line(at, "mark", "dot"));
    if (steps.length > 14) continue;
    layout.annotations.push({
      xref: "x", yref: "paper", x: at, y: 1, xanchor: at > range[0] + (range[1] - range[0]) * 0.93 ? "right" : "left", yanchor: "bottom",
      showarrow: false, yshift: 18, text: `${level(from)} → ${level(to)}`, font: { size: 11, color: color("soft") },
    });
  }
  for (const at of store.latest.restarts) layout.shapes.push(line(at, "failed", "dash"));
  for (const [from, to] of store.latest.gaps) {
    layout.shapes.push({
      type: "rect", xref: "x", yref: "paper", x0: from, x1: to, y0: 0, y1: 1, fillcolor: color("unseen"), line: { width: 0 }, layer: "below",
    });
  }
}
