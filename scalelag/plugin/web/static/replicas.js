// <scalelag-replicas>: the load and the replicas of each deployment, live.
import { Store } from "./store.js";
import { figure, level } from "./charts.js";
import { BASE, ask, cell, element, follow } from "./parts.js";

const REFRESH_MS = 1000;
const IDLE_MS = 3000;
const HIDDEN_MS = 5000;
const MOST_SHOWN = 6;
const MOST_STEPS = 60;
const FIRST_POLLS = 5; // whose cost was not known yet
const OVER_BUDGET = 1.5;
const STATES = { none: "no test yet", waiting: "waiting for the target", starting: "starting", running: "running", closing: "load over, writing the report", closed: "closed" };
const KEYS = [
  ["offered", "area", "offered"], ["achieved", "line", "completed"], ["failed", "line", "failed"], ["planned", "dotted", "mark"],
  ["RUNNING", "area", "running"], ["STARTING", "area", "starting"], ["STOPPING", "area", "stopping"], ["target", "dashed", "target"],
  ["decision", "diamond", "target"], ["lag of a step", "area", "lag"],
];

let plotly = null;
function loadPlotly() {
  plotly ??= new Promise((resolve, reject) => {
    const script = element("script", { src: `${BASE}plotly.js` });
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      plotly = null;
      reject(new Error("plotly.js did not come"));
    };
    document.head.append(script);
  });
  return plotly;
}

export class Replicas extends HTMLElement {
  connectedCallback() {
    this.store = new Store();
    this.chosen = null;
    this.view = "so far";
    this.classList.add("scalelag");
    this.replaceChildren(...this.skeleton());
    this.stopTheme = follow(this, () => this.draw());
    this.connected = new AbortController();
    this.onVisible = () => document.hidden || this.wake?.();
    document.addEventListener("visibilitychange", this.onVisible);
    this.run(this.connected.signal);
  }

  disconnectedCallback() {
    this.connected.abort();
    this.stopTheme();
    document.removeEventListener("visibilitychange", this.onVisible);
    if (this.drawn) window.Plotly.purge(this.plot);
    this.drawn = false;
  }

  skeleton() {
    this.banner = element("p", { className: "banner", role: "status", hidden: true });
    this.heading = element("h2", {});
    this.tiles = element("dl", { className: "tiles" });
    this.findings = element("ul", { className: "findings" });
    const select = element("select", {});
    for (const [value, text] of [["so far", "the run so far"], ["plan", "the whole plan"], ["600", "the last 10 minutes"], ["120", "the last 2 minutes"]]) {
      select.append(element("option", { value, textContent: text }));
    }
    select.addEventListener("change", () => {
      this.view = select.value;
      this.draw();
    });
    this.chooser = element("details", { className: "chooser", hidden: true });
    const tools = element("div", { className: "tools" });
    const alone = element("a", { href: BASE, textContent: "This page on its own", target: "_blank", rel: "noreferrer" });
    const label = element("label", { textContent: "Show " });
    label.append(select);
    tools.append(label, this.chooser);
    if (!this.hasAttribute("alone")) tools.append(alone);
    const keys = element("ul", { className: "keys" });
    keys.ariaLabel = "Legend";
    for (const [name, style, tone] of KEYS) {
      const swatch = element("span", { className: `swatch ${style}` });
      swatch.style.setProperty("--tone", `var(--${tone})`);
      const key = element("li", {});
      key.append(swatch, name);
      keys.append(key);
    }
    this.plot = element("div", { className: "plot" });
    this.plot.setAttribute("role", "img");
    this.lags = element("div", { className: "lags" });
    this.body = element("div", { hidden: true });
    this.body.append(this.tiles, this.findings, tools, keys, this.plot, this.lags);
    return [this.banner, this.heading, this.body];
  }

  async run(signal) {
    while (!signal.aborted) {
      let wait = REFRESH_MS;
      try {
        const answer = await ask(`live?${this.store.query()}`, signal);
        this.store.apply(answer);
        this.say(answer.message ?? "", answer.state !== "waiting");
        if (answer.more) continue;
        this.show();
        await this.draw();
        if (answer.state === "none" || answer.state === "closed") wait = IDLE_MS;
      } catch (error) {
        if (signal.aborted) return;
        this.say(error.message, true);
        wait = IDLE_MS;
      }
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, document.hidden ? HIDDEN_MS : wait);
      });
    }
  }

  say(text, isBad) {
    this.banner.textContent = text;
    this.banner.hidden = !text;
    this.banner.classList.toggle("bad", isBad);
  }

  show() {
    const { latest, head } = this.store;
    this.dataset.state = latest.state;
    this.body.hidden = !head;
    const verdict = latest.verdict ? [" ", element("span", { className: `badge ${latest.verdict}`, textContent: latest.verdict.toUpperCase() })] : [];
    const state = latest.state === "watching" ? `load over, watching the scale-down (at most ${head.drainS} s)` : STATES[latest.state];
    const name = head ? [element("bdi", { textContent: head.name }), " "] : [];
    this.heading.replaceChildren(...name, element("span", { className: "unit", textContent: state }), ...verdict);
    if (!head) return;
    if (!this.chosen || this.chosenOf !== this.store.run) this.choose();
    this.showTiles(latest, head);
    this.findings.replaceChildren(...head.findings.map((text) => element("li", { textContent: text })));
    this.showLags(head);
  }

  // Deployments that can scale come first.
  choose() {
    const all = this.store.head.deployments.map((one, place) => [one, place]);
    const scaling = all.filter(([one]) => one[1] !== null);
    this.chosen = new Set((scaling.length ? scaling : all).slice(0, MOST_SHOWN).map(([, place]) => place));
    this.chosenOf = this.store.run;
    this.chooser.hidden = all.length < 2;
    const summary = element("summary", {});
    const name = () => { summary.textContent = `Deployments: ${this.chosen.size} of ${all.length}`; };
    name();
    const changed = () => {
      name();
      this.show();
      this.draw();
    };
    const boxes = all.map(([, place]) => {
      const box = element("input", { type: "checkbox", checked: this.chosen.has(place) });
      box.addEventListener("change", () => {
        this.chosen[box.checked ? "add" : "delete"](place);
        changed();
      });
      return box;
    });
    const labels = all.map(([one, place]) => {
      const label = element("label", {});
      label.append(boxes[place], " ", element("bdi", { textContent: one[0] }));
      return label;
    });
    const every = [["All", true], ["None", false]].map(([textContent, checked]) => {
      const button = element("button", { type: "button", textContent });
      button.addEventListener("click", () => {
        for (const box of boxes) box.checked = checked;
        this.chosen = new Set(checked ? boxes.keys() : []);
        changed();
      });
      return button;
    });
    this.chooser.replaceChildren(summary, ...every, ...labels);
  }

  showTiles(latest, head) {
    const tile = (name, figure, unit, detail) => {
      const one = element("div", {});
      one.append(element("dt", { textContent: name }));
      const value = element("dd", { className: "figure", textContent: `${figure} ` });
      value.append(element("span", { className: "unit", textContent: unit }));
      one.append(value, element("dd", { className: "detail", textContent: detail }));
      return one;
    };
    const { counts, probe } = latest;
    const planned = latest.state === "running" ? plannedNow(head, latest.elapsedS) : null;
    const bins = this.store.bins.filter((bin) => bin[0] + bin[1] <= latest.elapsedS - 1.5).slice(-5);
    const rate = bins.reduce((sum, bin) => sum + bin[3], 0) / Math.max(1, bins.reduce((sum, bin) => sum + bin[1], 0));
    const failed = counts.requests ? `${((100 * counts.failed) / counts.requests).toFixed(1)} %` : "-";
    const lost = counts.lost ? `, ${counts.lost} of ${counts.workers} load processes lost` : "";
    const time = latest.elapsedS < 0 ? "starting" : latest.state === "running" ? `${Math.floor(latest.elapsedS)} of ${level(head.durationS)} s` : "the load is over";
    const tiles = [
      tile("Planned now", planned === null ? "0" : level(planned), head.unit, time),
      tile("Achieved", latest.state === "running" ? rate.toLocaleString("en", { maximumFractionDigits: 1 }) : "0", "requests/s", `${counts.requests.toLocaleString("en")} requests${lost}`),
      tile("Failed or not sent", counts.failed.toLocaleString("en"), "", failed),
      tile("Probe", (1 / probe.intervalS).toFixed(1), "polls/s", probeText(probe, latest.gapS, head.budget)),
    ];
    this.tiles.replaceChildren(...tiles);
    tiles[3].classList.toggle("bad", Boolean(probe.blind) || isOverBudget(probe, head.budget));
  }

  // A row for each step that has begun, a column for each deployment that is drawn.
  showLags(head) {
    const chosen = [...this.chosen].sort((a, b) => a - b);
    const begun = head.steps.filter(([index]) => chosen.some((place) => this.store.lags.has(`${index} ${place}`)));
    const table = element("table", {});
    const header = element("tr", {});
    const names = ["step", "at s", `load ${head.unit}`, ...chosen.map((place) => head.deployments[place][0])];
    header.append(...names.map((name, place) => element("th", { scope: "col", textContent: name, className: place === 1 ? "" : "words" })));
    const top = element("thead", {});
    top.append(header);
    const body = element("tbody", {});
    for (const [index, at, from, to] of begun.slice(-MOST_STEPS)) {
      const row = element("tr", {});
      row.append(cell(`${index} ${to > from ? "up" : "down"}`, true), cell(at.toFixed(1)), cell(`${level(from)} → ${level(to)}`, true));
      for (const place of chosen) {
        const lag = this.store.lags.get(`${index} ${place}`);
        const figure = cell(lag ? lagText(lag) : "-", true);
        if (lag?.reason) {
          figure.title = lag.reason;
          figure.append(" ", element("span", { className: "unit", textContent: lag.reason }));
        }
        row.append(figure);
      }
      body.append(row);
    }
    table.append(element("caption", { textContent: "Lag of each step in seconds, from polling alone" }), top, body);
    this.lags.hidden = !begun.length;
    this.lags.replaceChildren(table);
  }

  async draw() {
    if (!this.store.head || !this.isConnected) return;
    const Plotly = await loadPlotly();
    if (!this.isConnected || !this.store.head) return;
    const style = getComputedStyle(this);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();
    const chosen = [...this.chosen].sort((a, b) => a - b);
    const { data, layout } = figure(this.store, chosen, color, this.view);
    await Plotly.react(this.plot, data, layout, { displayModeBar: false, showSendToCloud: false, responsive: true, doubleClick: "reset" });
    this.plot.ariaLabel = `Load and replicas of ${chosen.length} deployments over time; the table below has each step's lag`;
    this.drawn = true;
    this.dataset.drawn = String(this.store.run);
  }
}

function plannedNow(head, elapsed) {
  const stage = head.stages.find(([from, to]) => from <= elapsed && elapsed < to);
  if (!stage) return null;
  const [from, to, start, end] = stage;
  return start + ((elapsed - from) / (to - from)) * (end - start);
}

// The interval grows with the cost of a poll, up to a limit.
function isOverBudget(probe, budget) {
  return probe.costS > OVER_BUDGET * budget * probe.intervalS;
}

function probeText(probe, gapS, budget) {
  if (probe.blind) return `sees nothing: ${probe.blind}`;
  const gaps = `${probe.gaps} ${probe.gaps === 1 ? "gap" : "gaps"} (${gapS.toFixed(1)} s)`;
  if (probe.polls < FIRST_POLLS) return `${gaps}, its first polls`;
  const share = `${(100 * probe.share).toFixed(1)} % of the controller's time`;
  if (!isOverBudget(probe, budget)) return `${gaps}, at most ${share} (budget ${level(100 * budget)} %)`;
  return `${gaps}. An answer takes ${probe.costS.toFixed(1)} s, so one poll every ${probe.intervalS.toFixed(1)} s may cost up to ${share}, `
    + `over the budget of ${level(100 * budget)} %: the controller is busy or slow, and lags are known only to ±${(probe.intervalS / 2).toFixed(1)} s.`;
}

export function lagText(lag) {
  if (lag.valueS !== null) {
    const margin = (lag.hiS - lag.loS) / 2;
    return `${lag.valueS.toFixed(2)}${margin >= 0.005 ? ` ±${margin.toFixed(2)}` : ""}`;
  }
  if (lag.loS !== null) return `> ${lag.loS.toFixed(1)}`;
  return lag.over || lag.reason ? "-" : "not yet";
}
