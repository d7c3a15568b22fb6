// The live feed: one EventSource, reconnected by hand, and the honest age of what we know.
//
// Why by hand: an EventSource that meets a single 502 closes for good, and a half-open connection
// says nothing at all. Resumes with ?after=; loads the snapshot whenever there may be a gap. Runs in
// the browser's one feed worker (feed_worker.js), or in the page where there is none.

export function backoffMs(attempt, minMs, maxMs, random = Math.random()) {
  const ceiling = Math.min(maxMs, minMs * 2 ** attempt);
  return ceiling / 2 + (ceiling / 2) * random;
}

export class Feed {
  // times: lateMs, blindMs, backoffMinMs, backoffMaxMs. on: snapshot, change, heartbeat, signedOut.
  constructor({ seq, times, on }) {
    this.seq = seq;
    this.times = times;
    this.on = on;
    this.failures = 0;
    this.owed = null; // the sequence a heartbeat told of and we haven't seen yet
    this.source = null;
    this.heard();
  }

  start() {
    this.connect();
    this.watching = setInterval(() => this.watch(), Math.min(1000, this.times.lateMs / 4));
  }

  stop() {
    clearInterval(this.watching);
    this.drop();
  }

  heard() {
    this.heardAt = [performance.now(), Date.now()];
  }

  // Milliseconds since we last learned anything. The larger of two clocks: after sleep the
  // monotonic one may have stood still, and a laptop that slept must not look fresh.
  age() {
    return Math.max(performance.now() - this.heardAt[0], Date.now() - this.heardAt[1]);
  }

  connect() {
    this.drop();
    const source = new EventSource(`/api/v1/stream?after=${this.seq}`);
    this.source = source;
    this.connectedAt = performance.now();
    source.addEventListener("change", (event) => this.take(event, (data) => this.change(data)));
    source.addEventListener("heartbeat", (event) => this.take(event, (data) => this.beat(data)));
    source.addEventListener("reset", () => this.resync());
    source.addEventListener("error", () => this.retry());
  }

  take(event, use) {
    let data;
    try {
      data = JSON.parse(event.data);
    } catch {
      this.resync(); // half an event is a gap
      return;
    }
    this.failures = 0;
    this.heard();
    use(data);
  }

  change(data) {
    this.seq = Math.max(this.seq, data.seq);
    this.on.change(data);
  }

  // A heartbeat may overtake a change by a moment. Told of it twice and still without: a gap.
  beat(data) {
    this.on.heartbeat(data);
    if (this.owed !== null && this.seq < this.owed) this.resync();
    this.owed = data.seq > this.seq ? data.seq : null;
  }

  drop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.source?.close();
    this.source = null;
  }

  retry() {
    this.drop();
    const { backoffMinMs, backoffMaxMs } = this.times;
    const wait = backoffMs(this.failures, backoffMinMs, backoffMaxMs);
    this.failures += 1;
    // EventSource hides why it failed. From the second time on ask for the snapshot first: it
    // tells whether we are logged out, and closes any gap.
    this.timer = setTimeout(() => (this.failures > 1 ? this.resync() : this.connect()), wait);
  }

  // A page was loaded just now, so the server is there: no need to sit out a long wait.
  nudge() {
    if (this.timer !== null && this.failures > 1) this.resync();
  }

  async resync() {
    this.drop();
    this.owed = null;
    let answer;
    try {
      answer = await fetch("/api/v1/snapshot", {
        cache: "no-store", signal: AbortSignal.timeout(this.times.backoffMaxMs) });
      if (answer.status === 401) {
        this.on.signedOut(true);
        throw new Error("logged out");
      }
      if (!answer.ok) throw new Error(`snapshot: ${answer.status}`);
      const snapshot = await answer.json();
      this.seq = snapshot.seq;
      this.heard();
      this.on.signedOut(false);
      this.on.snapshot(snapshot);
    } catch {
      this.retry();
      return;
    }
    this.connect();
  }

  // A connection that is open and silent is a dead one.
  watch() {
    const quiet = this.age() > this.times.lateMs;
    if (quiet && this.source && performance.now() - this.connectedAt > this.times.lateMs) {
      this.retry();
    }
  }
}
