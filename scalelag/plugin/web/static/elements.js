// The elements that we add to Locust's page.
import { StartForm } from "./form.js";
import { Replicas } from "./replicas.js";
import { Report } from "./report.js";

customElements.define("scalelag-form", StartForm);
customElements.define("scalelag-replicas", Replicas);
customElements.define("scalelag-report", Report);
