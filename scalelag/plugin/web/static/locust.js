// Replaces Locust's start form by ours, on its page and in its dialog, and puts our tabs first.
// It relies on this (Locust 2.47): the start form has inputs named userCount and host, the class picker
// is a table before the form, and a tab is a button with the role "tab". If a later Locust differs, it
// shows its own form, and the tabs in its own order.
const OURS = ["Replicas", "Lag report"];

function arrange() {
  for (const input of document.querySelectorAll("form input[name=host]")) replace(input.closest("form"));
  for (const tab of document.querySelectorAll("[role=tab]")) {
    if (OURS.includes(tab.textContent)) tab.style.order = "-1";
  }
}

function replace(form) {
  const container = form.parentElement;
  if (!form.querySelector("input[name=userCount]") || container.classList.contains("scalelag-place")) return;
  for (const one of container.children) {
    if (one !== form && one.querySelector("table")) one.classList.add("scalelag-kept");
  }
  container.classList.add("scalelag-place");
  form.before(document.createElement("scalelag-form"));
}

new MutationObserver(arrange).observe(document.body, { childList: true, subtree: true });
arrange();
