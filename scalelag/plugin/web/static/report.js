// <scalelag-report>: the report of each run of this Locust process, and its files.
import { BASE, ask, cell, element, follow } from "./parts.js";

const REFRESH_MS = 2000;
const STATES = { running: "running", watching: "watching the scale-down", closing: "writing the report", closed: "closed" };

export class Report extends HTMLElement {
  connectedCallback() {
    this.classList.add("scalelag");
    this.chosen = null; // null: the last run
    this.shown = "";
    this.runsKey = "";
    this.banner = element("p", { className: "banner", role: "status", hidden: true });
    this.table = element("div", { className: "runs" });
    this.downloads = element("p", { className: "downloads" });
    this.frame = element("iframe", { className: "report", title: "Report of the run", hidden: true });
    // The page holds text from the cluster: it runs its own script, and reaches nothing of Locust's.
    this.frame.setAttribute("sandbox", "allow-scripts allow-downloads allow-popups");
    this.replaceChildren(this.banner, this.table, this.downloads, this.frame);
    this.stopTheme = follow(this, () => { this.frame.style.colorScheme = this.dataset.theme; });
    this.connected = new AbortController();
    this.run(this.connected.signal);
  }

  disconnectedCallback() {
    this.connected.abort();
    this.stopTheme();
  }

  async run(signal) {
    while (!signal.aborted) {
      try {
        await this.refresh(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.say(error.message);
      }
      await new Promise((resolve) => {
        this.wake = resolve;
        setTimeout(resolve, REFRESH_MS);
      });
    }
  }

  say(text) {
    this.banner.textContent = text;
    this.banner.hidden = !text;
  }

  async refresh(signal) {
    const runs = await ask("runs", signal);
    const run = runs.find((one) => one.number === this.chosen) ?? runs[0];
    const key = JSON.stringify([runs, run?.number]);
    if (key !== this.runsKey) {
      this.runsKey = key;
      this.showList(runs, run);
    }
    if (!run) {
      this.say("No run yet: the report comes when a test has ended.");
      return;
    }
    const isReady = run.state === "closed";
    this.say(isReady ? (run.message ?? "") : `Run ${run.number} is not over (${STATES[run.state]}): its report comes when it is closed.`);
    const shown = `${run.number} ${run.state}`;
    if (shown === this.shown) return;
    this.downloads.replaceChildren();
    this.showFrame(run, isReady);
    this.showDownloads(run, isReady);
    this.shown = shown;
    this.dataset.run = isReady ? String(run.number) : "";
  }

  showFrame(run, isReady) {
    this.frame.hidden = !isReady || !run.files.includes("report.html");
    if (this.frame.hidden) this.frame.removeAttribute("src");
    else this.frame.src = `${BASE}runs/${run.number}/report.html?show`;
  }

  showDownloads(run, isReady) {
    const link = (path, text) => element("a", { href: `${BASE}runs/${run.number}/${path}`, textContent: text });
    const found = [];
    if (run.files.includes("report.html")) {
      found.push(element("a", { href: `${BASE}runs/${run.number}/report.html?show`, textContent: "Open in a new tab", target: "_blank", rel: "noreferrer" }));
    }
    found.push(...run.files.map((name) => link(name, name)));
    if (isReady) found.push(link("record.zip", "the record (zip)"));
    found.push(element("span", { className: "unit", textContent: run.folder }));
    this.downloads.replaceChildren(...found);
  }

  showList(runs, current) {
    this.table.replaceChildren();
    this.table.hidden = runs.length < 2;
    if (this.table.hidden) return;
    const table = element("table", {});
    table.append(element("caption", { textContent: "Runs of this Locust process" }));
    const top = element("thead", {});
    const header = element("tr", {});
    for (const name of ["run", "began", "plan", "verdict", "directory"]) header.append(element("th", { scope: "col", className: "words", textContent: name }));
    top.append(header);
    const body = element("tbody", {});
    for (const run of runs) {
      const row = element("tr", { className: run.number === current.number ? "current" : "" });
      const button = element("button", { type: "button", textContent: `Run ${run.number}` });
      button.ariaPressed = String(run.number === current.number);
      button.addEventListener("click", () => {
        this.chosen = run.number;
        this.wake?.();
      });
      const first = element("th", { scope: "row", className: "words" });
      first.append(button);
      const verdict = cell("", true);
      if (run.verdict) verdict.append(element("span", { className: `badge ${run.verdict}`, textContent: run.verdict.toUpperCase() }));
      const status = run.status && run.status !== "complete" ? run.status : "";
      verdict.append(run.verdict ? ` ${status}` : run.state === "closed" ? "no report" : STATES[run.state]);
      row.append(first, cell(new Date(run.startedS * 1000).toLocaleTimeString(), true), cell(run.plan, true), verdict, cell(run.folder, true));
      body.append(row);
    }
    table.append(top, body);
    this.table.append(table);
  }
}
