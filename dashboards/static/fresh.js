// Keeps the marked regions of a page fresh, and says how old they are. Without it the page is whole:
// it carries the time it was true at. It only replaces markup that the same address served.
const age = document.querySelector("#age");
const EVERY_MS = Number(age.dataset.everyMs ?? 15_000);
const STALE_MS = Number(age.dataset.staleMs ?? 60_000);
let heard = performance.now();
let since = heard;
let loggedOut = false;

const words = (text, n) => text.replace("{n}", String(n));

function span(ms) {
  const whole = Math.max(0, Math.round(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${pad(minutes)}:${pad(seconds)}` : `${minutes}:${pad(seconds)}`;
}

function show() {
  const now = performance.now();
  const old = now - heard;
  const stale = old > STALE_MS || loggedOut;
  const text = loggedOut ? age.dataset.login : words(stale ? age.dataset.stale : age.dataset.ago, Math.floor(old / 1000));
  if (age.textContent !== text) age.textContent = text;
  if (document.body.dataset.stale !== String(stale)) {
    document.body.dataset.stale = String(stale);
    age.setAttribute("role", stale ? "alert" : "none");
  }
  for (const clock of document.querySelectorAll("[data-until]")) {
    const left = Number(clock.dataset.until) - (now - since);
    clock.textContent = left > 0 ? words(clock.dataset.words, span(left)) : "";
  }
}

function replace(fresh) {
  for (const region of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${region.dataset.live}"]`);
    if (!next || next.innerHTML === region.innerHTML) continue;
    const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    region.replaceChildren(...document.adoptNode(next).childNodes);
    if (focused) region.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

async function look() {
  if (document.visibilityState === "hidden") return;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(10_000), cache: "no-store" });
    loggedOut = answer.redirected || answer.status === 401 || answer.status === 403;
    if (!answer.ok || answer.redirected) return;
    replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    heard = since = performance.now();
  } catch {
    // The age on the screen tells; the next look comes by itself.
  } finally {
    show();
  }
}

setInterval(show, 1000);
setInterval(look, EVERY_MS);
document.addEventListener("visibilitychange", () => { if (performance.now() - heard > EVERY_MS) look(); });
show();
