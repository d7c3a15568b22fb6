// The live wall: wires feed, façades, queue and header together. Starts with what the page brought.

import { ResolveDialog } from "./actions.js";
import { ServerClock } from "./clock.js";
import { keepWall } from "./details.js";
import { Facades } from "./facades.js";
import { Header } from "./header.js";
import { Keyboard } from "./keyboard.js";
import { Queue } from "./queue.js";
import { SharedFeed } from "./shared_feed.js";
import { Sound } from "./sound.js";
import { local, put, t } from "./text.js";

const main = document.getElementById("main");
const first = JSON.parse(document.getElementById("snapshot").textContent);
const ms = (name) => Number(main.dataset[name]);
const settings = {
  user: main.dataset.user, mayAct: main.dataset.mayAct === "yes", postTimeoutMs: ms("postTimeoutMs") };

const clock = new ServerClock(first.now_ms, first.speed, first.community?.tz ?? "UTC");
const header = new Header(clock);
const dialog = new ResolveDialog(settings.user);
let heardMs = first.now_ms; // the server's time at the last thing we learned
let picked = null;

function pick(buildingId, scroll) {
  picked = picked === buildingId ? null : buildingId;
  facades.mark(picked);
  queue.mark(picked, scroll);
}

const facades = new Facades((id) => pick(id, true));
const queue = new Queue({
  root: document.getElementById("queue"), clock, dialog, settings,
  onPick: (alert) => pick(alert.building_id, false),
  onOpened: (alert) => put(document.getElementById("announce"), t("live.announce", { address: local(alert, "address") })),
});

// A flat this page has never drawn: the plan of the houses changed, draw it anew. Not under a hand
// that is writing an outcome.
function redraw() {
  if (!dialog.open) location.reload();
  else dialog.dialog.addEventListener("close", () => location.reload(), { once: true });
}

// What changed is drawn ten times a second at most: each frame with a changed window paints the wall
// anew, and a flood of check-ins would paint sixty of them. A call for help waits for nothing.
const TOGETHER_MS = 100;
const waiting = [];
let applying = null;

function urgent(data) {
  return data.alerts?.some((alert) => alert.kind === "sos") || Object.values(data.flats ?? {}).includes("sos");
}

function apply() {
  clearTimeout(applying);
  applying = null;
  const changes = waiting.splice(0);
  if (!changes.length) return;
  const last = (key) => Object.assign({}, ...changes.map((data) => data[key] ?? {}));
  const known = changes.map((data) => facades.apply(data.flats, data.buildings));
  if (known.includes(false)) redraw();
  facades.weeks(last("rounds"));
  const alerts = changes.flatMap((data) => data.alerts ?? []);
  if (alerts.length) {
    queue.apply(alerts);
    queue.mark(picked, false);
    sound?.tick(); // a hidden tab's own timers are slow
  }
  header.counts(last("counts"));
  const latest = changes.findLast((data) => data.round);
  if (latest) header.setRounds(latest);
  tick();
}

function takeSnapshot(snapshot) {
  apply(); // what came before it is older
  clock.sync(snapshot.now_ms, snapshot.speed);
  heardMs = snapshot.now_ms;
  const flats = {};
  const worst = {};
  const weeks = {};
  for (const building of snapshot.buildings) {
    worst[building.id] = building.worst;
    weeks[building.id] = building.rounds ?? "";
    for (const flat of building.flats) flats[flat.id] = flat.state;
  }
  if (!facades.apply(flats, worst)) redraw();
  facades.weeks(weeks);
  queue.replace(snapshot.alerts);
  queue.mark(picked, false);
  header.counts(snapshot.counts);
  header.load(snapshot.alarms_10min);
  header.setRounds(snapshot);
  tick();
}

const feed = new SharedFeed({
  seq: first.seq, worker: main.dataset.feedWorker,
  times: { lateMs: ms("lateMs"), blindMs: ms("blindMs"), backoffMinMs: ms("backoffMinMs"),
    backoffMaxMs: ms("backoffMaxMs") },
  on: {
    snapshot: takeSnapshot,
    change(data) {
      heardMs = clock.now();
      waiting.push(data);
      if (document.hidden || urgent(data)) apply();
      else applying ??= setTimeout(apply, TOGETHER_MS);
    },
    heartbeat(data) {
      clock.sync(data.now_ms, data.speed);
      heardMs = data.now_ms;
      header.hear(data);
      header.load(data.alarms_10min);
      sound?.handedOver(data.handed_over_ms);
      tick();
    },
    signedOut(out) {
      header.signedOut = out;
    },
  },
});

function tick() {
  header.tick(feed.level(), feed.age(), heardMs, { ingest: ms("ingestMs"), canary: ms("canaryMs") });
  queue.tick();
}

function toggle(button, name, show) {
  const set = (on) => {
    button.setAttribute(name, String(on));
    show(on);
  };
  button.addEventListener("click", () => set(button.getAttribute(name) !== "true"));
  return set;
}

toggle(document.getElementById("table-toggle"), "aria-expanded",
  (on) => {
    const view = document.getElementById("table-view");
    view.classList.toggle("shown", on);
    view.tabIndex = on ? 0 : -1; // it scrolls, so a keyboard must get into it
    facades.table();
  });
const still = toggle(document.getElementById("pulse-toggle"), "aria-pressed", (on) => {
  document.body.dataset.still = String(on);
  localStorage.setItem("still", String(on));
});
if (localStorage.getItem("still") === "true") still(true);

let sound = null;
takeSnapshot(first);
keepWall();
sound = new Sound({
  clock, alerts: () => queue.alerts(),
  feedLost: () => feed.level() !== "live" || document.body.dataset.deaf === "true",
});
new Keyboard({ sound, pickBuilding: (id) => picked !== id && pick(id, true) });
feed.start();
setInterval(() => {
  tick();
  facades.table();
}, Math.min(1000, ms("lateMs") / 4));
facades.table();
document.addEventListener("visibilitychange", tick);
