// Helpers that our elements share.
export const BASE = new URL("..", import.meta.url).href;

export function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

export function cell(text, isWords) {
  const found = element("td", { className: isWords ? "words" : "" });
  if (text) found.append(element("bdi", { textContent: text }));
  return found;
}

// Get JSON from our server. Throws an Error with a message for people.
export async function ask(path, signal) {
  let answer;
  try {
    answer = await fetch(BASE + path, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Error("Locust does not answer: trying again.");
  }
  if (answer.redirected || answer.status === 401) throw new Error("Signed out: reload the page and sign in.");
  if (!answer.ok) throw new Error(`Locust answered ${answer.status}: see its log.`);
  return answer.json();
}

const THEME_MS = 300;

// Keep data-theme in step with the page around it. Locust's switch fires no event, and its page turns
// dark after our elements were added.
export function follow(host, changed) {
  const update = () => {
    const theme = isDark() ? "dark" : "light";
    if (host.dataset.theme === theme) return;
    host.dataset.theme = theme;
    changed();
  };
  update();
  const timer = setInterval(update, THEME_MS);
  return () => clearInterval(timer);
}

function isDark() {
  const [red, green, blue, alpha] = getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).map(Number);
  if (alpha === 0) return matchMedia("(prefers-color-scheme: dark)").matches;
  return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
}
