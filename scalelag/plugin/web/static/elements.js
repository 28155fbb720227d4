// The elements that our tabs consist of.
import { Replicas } from "./replicas.js";
import { Report } from "./report.js";

customElements.define("scalelag-replicas", Replicas);
customElements.define("scalelag-report", Report);
