// Keeps the page of one alert fresh: counts its clocks, fetches it anew when the alert changed, and says
// so when it can't know. Never takes a half-written note, a choice or the shown way in from under a hand.
//
// The page is plain forms. Where htmx is there, a form is sent without leaving the page, and the part
// that changed is put in its place; where it isn't, the browser loads the page.

import { ServerClock } from "./clock.js";
import { backToWall } from "./details.js";
import { SharedFeed } from "./shared_feed.js";
import { put, slot, span, t } from "./text.js";

const { htmx } = window;
const body = document.body;
const ms = (name) => Number(body.dataset[name]);
const page = () => document.getElementById("main").dataset; // htmx puts a new one in its place
const id = Number(page().alert);
const clock = new ServerClock(Number(page().now), 1, "UTC");
let changed = false;
let unsent = "";

function busy() {
  const written = [...document.querySelectorAll("textarea, input:not([type])")].some((f) => f.value);
  const selected = [...document.querySelectorAll("main select")].some((s) => s.selectedIndex > 0);
  const chosen = selected || document.querySelector("input:checked") !== null;
  return written || chosen || document.querySelector("#access .way") !== null;
}

function tick() {
  const now = clock.now();
  for (const element of document.querySelectorAll("[data-since]")) {
    put(element, span(now - Number(element.dataset.since)));
  }
  for (const element of document.querySelectorAll("[data-until]")) {
    put(element, span(Number(element.dataset.until) - now));
  }
  const silent = page().over === "no" && feed.level() !== "live";
  const stale = document.getElementById("stale");
  const words = unsent || (changed ? t("live.detail.changed") : silent ? t("live.detail.silent") : "");
  stale.hidden = words === "";
  put(slot(stale, "words"), words);
}

function refresh() {
  changed = false;
  if (!htmx) location.reload();
  else htmx.ajax("GET", location.pathname, { target: "#main", select: "#main", swap: "outerHTML" });
}

// A message's fate changes no version; the table of messages shows it all the same.
function compare(alert) {
  if (!alert) return;
  const told = alert.told.map((entry) => entry.state).join();
  if (alert.version <= Number(page().version) && told === page().told) return;
  if (busy()) changed = true;
  else refresh();
  tick();
}

const feed = new SharedFeed({
  seq: Number(page().seq), worker: body.dataset.feedWorker,
  times: { lateMs: ms("lateMs"), blindMs: ms("blindMs"), backoffMinMs: ms("backoffMinMs"),
    backoffMaxMs: ms("backoffMaxMs") },
  on: {
    change: (data) => compare(data.alerts.find((alert) => alert.id === id)),
    // What is in no snapshot is over: look.
    snapshot(data) {
      const alert = data.alerts.find((one) => one.id === id);
      if (alert) compare(alert);
      else if (page().over === "no") busy() ? (changed = true) : refresh();
    },
    heartbeat: (data) => clock.sync(data.now_ms, data.speed),
    signedOut: () => {},
  },
});

// What was sent and not taken is said, and stays in the form.
body.addEventListener("htmx:sendError", () => {
  unsent = t("live.unreachable");
  tick();
});
body.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  unsent = status === 401 ? t("live.signed_out") : t("live.refused", { detail: `HTTP ${status}` });
  tick();
});
body.addEventListener("htmx:afterSwap", () => {
  unsent = "";
  changed = false;
  clock.sync(Number(page().now), clock.speed);
  tick();
});

backToWall(document.querySelector("a.back"));
const print = document.getElementById("print");
print.hidden = false;
print.addEventListener("click", () => window.print());
feed.start();
setInterval(tick, 500);
