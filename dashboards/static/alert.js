// Keeps the page of one alert fresh: counts its clocks, loads it anew when the alert changed, and says
// so when it can't know. Never takes a half-written note or the shown way in from under a hand.

import { put, slot, span, t } from "./text.js";

const SILENCE_MS = 12_000;
const RETRY_MS = 3_000;

const main = document.getElementById("main");
const stale = document.getElementById("stale");
const id = Number(main.dataset.alert);
const version = Number(main.dataset.version);
const clock = { base: Number(main.dataset.now), at: performance.now(), speed: 1 };
let heardAt = performance.now();
let changed = false;
let source = null;

function now() {
  return clock.base + (performance.now() - clock.at) * clock.speed;
}

function busy() {
  const written = [...document.querySelectorAll("textarea, input:not([type])")].some((f) => f.value);
  const chosen = document.querySelector("input:checked") !== null;
  return written || chosen || document.querySelector("#access .way") !== null;
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    put(element, span(now() - Number(element.dataset.since)));
  }
  for (const element of document.querySelectorAll("[data-until]")) {
    put(element, span(Number(element.dataset.until) - now()));
  }
  const silent = performance.now() - heardAt > SILENCE_MS;
  stale.hidden = !changed && !silent;
  put(slot(stale, "words"), changed ? t("live.detail.changed") : silent ? t("live.detail.silent") : "");
}

function connect() {
  source?.close();
  source = new EventSource("/api/v1/stream");
  source.addEventListener("heartbeat", (event) => {
    const data = JSON.parse(event.data);
    Object.assign(clock, { base: data.now_ms, at: performance.now(), speed: data.speed });
    heardAt = performance.now();
  });
  source.addEventListener("change", (event) => {
    heardAt = performance.now();
    compare(JSON.parse(event.data).alerts.find((alert) => alert.id === id));
  });
  // What happened before this connection stood: ask once, each time it is made.
  source.addEventListener("open", async () => {
    const answer = await fetch(`/api/v1/alerts/${id}`, { cache: "no-store" }).catch(() => null);
    if (answer?.ok) compare(await answer.json());
  });
  source.addEventListener("error", () => {
    source.close();
    setTimeout(connect, RETRY_MS);
  });
}

// A message's fate changes no version; the table of messages shows it all the same.
function compare(alert) {
  if (!alert) return;
  const told = alert.told.map((entry) => entry.state).join();
  if (alert.version <= version && told === main.dataset.told) return;
  if (busy()) changed = true;
  else location.reload();
  tick();
}

const print = document.getElementById("print");
print.hidden = false;
print.addEventListener("click", () => window.print());
if (main.dataset.over === "no") connect();
else heardAt = Infinity;
setInterval(tick, 500);
