// Puts our form in place of Locust's wherever its page shows one, and our tabs before Locust's.
// Of Locust's page we know: its start form has inputs named userCount and host, the class picker is a
// table before the form, and a tab is a button with the role "tab" (Locust 2.47). Where that is no
// longer so, Locust's own form and order are what is shown.
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
