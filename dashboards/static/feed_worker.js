// The browser's one live feed: a shared worker that holds the stream and tells every open page.
//
// Each page says from which number on it needs to know. What it missed is repeated to it from
// memory; where the memory doesn't reach, it gets a snapshot of its own.

import { Feed } from "./feed.js";

const KEPT = 200; // changes kept for pages that join later

const ports = new Set();
let feed = null;
let kept = []; // the newest changes, oldest first
let keptFrom = null; // every change after this number is in `kept`

function tell(kind, data) {
  for (const port of ports) port.postMessage({ kind, data });
}

function keep(change) {
  kept.push(change);
  if (kept.length > KEPT) keptFrom = kept.shift().seq;
}

function begin(seq, times) {
  keptFrom = seq;
  feed = new Feed({ seq, times, on: {
    snapshot(snapshot) {
      kept = [];
      keptFrom = snapshot.seq;
      tell("snapshot", snapshot);
    },
    change(change) {
      keep(change);
      tell("change", change);
    },
    heartbeat: (data) => tell("heartbeat", data),
    signedOut: (out) => tell("signedOut", out),
  } });
  feed.start();
  setInterval(() => tell("pulse"), Math.min(1000, times.lateMs / 4));
}

// A page that is behind: from memory where that reaches back far enough, else everything anew (for
// all pages: it is rare, and applying a snapshot twice is harmless).
function catchUp(port, seq) {
  if (seq < keptFrom) {
    feed.resync();
    return;
  }
  for (const change of kept) if (change.seq > seq) port.postMessage({ kind: "change", data: change });
}

function join(port, { seq, times }) {
  ports.add(port);
  if (feed === null) begin(seq, times);
  else {
    catchUp(port, seq);
    feed.nudge();
  }
}

self.addEventListener("connect", (event) => {
  const [port] = event.ports;
  port.onmessage = ({ data }) => {
    if (data.kind === "join") join(port, data);
    else ports.delete(port);
  };
});
