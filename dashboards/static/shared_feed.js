// A page's side of the live feed: what it has learned, and how old that is.
//
// All pages of one browser share one stream, held by a shared worker: HTTP/1.1 gives a browser six
// connections to a host, and a wall on two screens with a few alerts open would use them up. A worker
// belongs to no tab, so no tab has to take over when another one closes, and no hidden tab slows it.
// (Web Locks would need HTTPS, which a wall in a community office may not have.) Without workers, or
// with a dead one, the page follows the feed by itself.

import { Feed } from "./feed.js";

const NAME = "xunlou-feed";

export class SharedFeed {
  // times: lateMs, blindMs, backoffMinMs, backoffMaxMs. on: snapshot, change, heartbeat, signedOut.
  constructor({ seq, times, worker, on }) {
    Object.assign(this, { seq, times, worker, on });
    this.port = null;
    this.alone = null;
    this.heard();
  }

  start() {
    if (!this.worker || typeof SharedWorker === "undefined") {
      this.goAlone();
      return;
    }
    const worker = new SharedWorker(this.worker, { type: "module", name: NAME });
    worker.addEventListener("error", () => this.goAlone());
    this.port = worker.port;
    this.port.onmessage = (event) => this.take(event.data);
    this.join();
    addEventListener("pagehide", () => this.port?.postMessage({ kind: "leave" }));
    addEventListener("pageshow", (event) => event.persisted && this.port && this.join());
    setInterval(() => this.watch(), Math.min(1000, this.times.lateMs / 4));
  }

  join() {
    this.pulseAt = performance.now();
    this.port.postMessage({ kind: "join", seq: this.seq, times: this.times });
  }

  // The worker pulses whether or not the server speaks; without a pulse it is the worker that died.
  watch() {
    if (this.port && performance.now() - this.pulseAt > this.times.lateMs) this.goAlone();
  }

  goAlone() {
    if (this.alone) return;
    this.port?.postMessage({ kind: "leave" });
    this.port?.close();
    this.port = null;
    const pass = (kind) => (data) => this.take({ kind, data });
    this.alone = new Feed({ seq: this.seq, times: this.times, on: {
      snapshot: pass("snapshot"), change: pass("change"), heartbeat: pass("heartbeat"),
      signedOut: pass("signedOut") } });
    this.alone.start();
  }

  take({ kind, data }) {
    this.pulseAt = performance.now();
    if (kind === "pulse") return;
    if (kind === "signedOut") {
      this.on.signedOut(data);
      return;
    }
    if (kind === "change" && data.seq <= this.seq) return; // this page was drawn with it
    this.heard();
    if (kind !== "heartbeat") this.seq = data.seq;
    this.on[kind](data);
  }

  heard() {
    this.heardAt = [performance.now(), Date.now()];
  }

  // Milliseconds since we last learned anything. The larger of two clocks: after sleep the
  // monotonic one may have stood still, and a laptop that slept must not look fresh.
  age() {
    return Math.max(performance.now() - this.heardAt[0], Date.now() - this.heardAt[1]);
  }

  level() {
    const age = this.age();
    return age >= this.times.blindMs ? "blind" : age >= this.times.lateMs ? "late" : "live";
  }
}
