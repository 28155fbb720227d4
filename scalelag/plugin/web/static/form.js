// <scalelag-form>: the form that starts a test, in place of Locust's own.
import { BASE, ask, element, follow } from "./parts.js";

const TABS_PAGE = new URL("../?tab=scalelag-replicas", BASE).href;
const SWARM = new URL("../swarm", BASE).href;
const WIDE = ["steps", "gates"]; // their texts are long
let made = 0; // ids of fields, unique on the page

export class StartForm extends HTMLElement {
  connectedCallback() {
    this.classList.add("scalelag");
    this.stopTheme = follow(this, () => {});
    this.connected = new AbortController();
    this.load(this.connected.signal);
  }

  disconnectedCallback() {
    this.connected.abort();
    this.stopTheme();
    clearInterval(this.waiting);
  }

  async load(signal) {
    try {
      this.form = await ask("form", signal);
    } catch (error) {
      if (!signal.aborted) this.replaceChildren(element("p", { className: "banner bad", textContent: error.message }));
      return;
    }
    this.replaceChildren(...this.skeleton());
    this.showShape();
  }

  skeleton() {
    this.fields = new Map();
    const form = element("form", { noValidate: true });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.start();
    });
    const [first, ...others] = this.form.sections.map((section) => this.section(section));
    const open = others.filter((one) => one.dataset.open === "true");
    const folded = others.filter((one) => one.dataset.open !== "true");
    this.more = element("details", { className: "more" });
    this.more.append(element("summary", { textContent: "More options" }), ...folded);
    this.status = element("p", { className: "banner", hidden: true });
    this.status.setAttribute("role", "status");
    this.button = element("button", { type: "submit", className: "start", textContent: "Start" });
    const foot = element("div", { className: "foot" });
    foot.append(this.status, this.button);
    const shape = this.form.shapes.length ? [this.shapeField()] : [];
    form.append(...shape, first, ...open, this.more, foot);
    if (this.form.refusal) this.say(`The last start was refused: ${this.form.refusal}`, true);
    return [element("h2", { textContent: "Start a test" }), form];
  }

  section({ title, is_open: isOpen, fields }) {
    const found = element("fieldset", {});
    found.dataset.open = String(isOpen);
    found.append(element("legend", { textContent: title }));
    const grid = element("div", { className: "grid" });
    grid.append(...fields.map((field) => this.field(field)));
    found.append(grid);
    return found;
  }

  field(field) {
    const id = `scalelag-field-${(made += 1)}`;
    const input = this.input(field);
    Object.assign(input, { id, name: field.name, required: field.is_required });
    input.setAttribute("aria-describedby", `${id}-help`);
    input.addEventListener("input", () => this.complain(field.name, ""));
    const label = element("label", { htmlFor: id, textContent: field.label });
    const help = element("p", { id: `${id}-help`, className: "help", textContent: field.help });
    // A help text that only repeats the label is left out.
    help.hidden = field.help.replace(/\.$/, "").toLowerCase() === field.label.toLowerCase();
    const error = element("p", { className: "error", hidden: true });
    error.setAttribute("role", "alert");
    const found = element("div", { className: `field ${field.kind}${WIDE.includes(field.name) ? " wide" : ""}` });
    if (field.kind === "flag") {
      const line = element("div", { className: "line" });
      line.append(input, label);
      found.append(line, error, help);
    } else {
      found.append(label, input, error, help);
    }
    this.fields.set(field.name, { field, found, input, error });
    return found;
  }

  input({ kind, value, choices, is_required: isRequired }) {
    if (kind === "flag") return element("input", { type: "checkbox", checked: value === true });
    if (kind === "choice" || kind === "choices") {
      const select = element("select", { multiple: kind === "choices" });
      const chosen = [value].flat().map(String);
      for (const choice of choices) {
        select.append(element("option", { value: choice, textContent: choice === "" ? "(none)" : choice, selected: chosen.includes(choice) }));
      }
      return select;
    }
    const input = element("input", { type: kind === "secret" ? "password" : "text", value, autocomplete: "off", spellcheck: false });
    if (kind === "number") input.inputMode = "decimal";
    if (isRequired) input.required = true;
    if (choices.length) {
      const list = element("datalist", { id: `scalelag-list-${(made += 1)}` });
      list.append(...choices.map((choice) => element("option", { value: choice })));
      this.append(list);
      input.setAttribute("list", list.id);
    }
    return input;
  }

  // With Locust's class picker the shape can be chosen too. Only ours follows the load plan.
  shapeField() {
    const choices = this.form.shapes.map((shape) => shape.name);
    const followed = this.form.shapes.find((shape) => shape.follows_plan);
    const found = this.field({
      name: "shape_class", label: "Load shape", help: "StepShape follows the load plan below; Default is Locust's own: users and spawn rate.",
      kind: "choice", value: followed ? followed.name : choices[0], choices, tests: "all", is_required: false,
    });
    this.fields.get("shape_class").input.addEventListener("change", () => this.showShape());
    return found;
  }

  showShape() {
    const chosen = this.fields.get("shape_class")?.input.value;
    const shape = this.form.shapes.find((one) => one.name === chosen);
    const follows = shape ? shape.follows_plan : true;
    for (const { field, found } of this.fields.values()) found.hidden = field.tests === (follows ? "users" : "plan");
    for (const section of this.querySelectorAll("fieldset")) section.hidden = !section.querySelector(".field:not([hidden])");
    this.follows = follows;
  }

  values() {
    const found = new URLSearchParams();
    for (const { field, found: place, input } of this.fields.values()) {
      if (place.hidden) continue;
      if (field.kind === "flag") found.append(field.name, String(input.checked));
      else if (field.kind === "choices") for (const option of input.selectedOptions) found.append(field.name, option.value);
      else found.append(field.name, input.value);
    }
    for (const name of this.classes ?? []) found.append("user_classes", name);
    return found;
  }

  // Names of the user classes chosen in Locust's own picker above the form; null without a picker.
  get classes() {
    const rows = [...(this.parentElement?.querySelectorAll(":scope > .scalelag-kept tbody tr") ?? [])];
    if (!this.form.shapes.length || !rows.length) return null;
    return rows.filter((row) => row.querySelector("input[type=checkbox]")?.checked).map((row) => row.cells[1].textContent);
  }

  async start() {
    this.clear();
    if (this.classes?.length === 0) {
      this.say("Choose at least one user class above.", true);
      return;
    }
    const missing = [...this.fields.values()].find(({ found, input }) => input.required && !found.hidden && !input.value);
    if (missing) {
      this.complain(missing.field.name, `“${missing.field.label}” is empty.`, true);
      return;
    }
    this.button.disabled = true;
    this.showWaiting();
    let refusal = null;
    try {
      refusal = await this.send();
    } catch (error) {
      refusal = { message: error.message };
    }
    clearInterval(this.waiting);
    if (refusal === null) {
      // Locust's page does not know of this start. Loaded again, it opens on our tab.
      location.assign(TABS_PAGE);
      return;
    }
    this.button.disabled = false;
    this.say("", false);
    if (!this.complain(refusal.field, refusal.message, true)) this.say(refusal.message, true);
  }

  // Nothing starts before the target answers: say at once what is waited for, and for how long.
  showWaiting() {
    const value = (name) => this.fields.get(name)?.input.value;
    const begun = Date.now();
    const update = () => {
      const seconds = Math.floor((Date.now() - begun) / 1000);
      const target = this.follows ? ` Waiting for ${value("host") || "the target"} and the dashboard ${value("dashboard") ?? ""} to answer, for at most ${value("wait") ?? "10"} s (${seconds} s so far).` : "";
      this.say(`Starting.${target}`, false);
    };
    update();
    this.waiting = setInterval(update, 1000);
  }

  // Send the form. Returns { field, message } if the server refuses it, null after a start.
  async send() {
    let answer;
    try {
      answer = await fetch(SWARM, { method: "POST", body: this.values(), signal: this.connected.signal });
    } catch {
      throw new Error("Locust does not answer: is it still running?");
    }
    if (answer.redirected || answer.status === 401) throw new Error("Signed out: reload the page and sign in.");
    if (!answer.ok) throw new Error(`Locust answered ${answer.status}: see its log.`);
    const result = await answer.json();
    return result.success ? null : result;
  }

  clear() {
    for (const name of this.fields.keys()) this.complain(name, "");
    this.say("", false);
  }

  // Show the message at the field; returns false if the form has no such field.
  complain(name, message, isShown = false) {
    const entry = this.fields.get(name);
    if (!entry) return false;
    entry.error.textContent = message;
    entry.error.hidden = !message;
    entry.found.classList.toggle("wrong", Boolean(message));
    entry.input.toggleAttribute("aria-invalid", Boolean(message));
    if (isShown) {
      if (this.more.contains(entry.found)) this.more.open = true;
      entry.input.focus({ preventScroll: true });
      entry.found.scrollIntoView({ block: "center" });
    }
    return true;
  }

  say(text, isBad) {
    this.status.textContent = text;
    this.status.hidden = !text;
    this.status.classList.toggle("bad", isBad);
  }
}
