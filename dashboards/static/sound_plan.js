// When which tone is due: pure timing, the clock is passed in. Plays nothing itself (sound.js does).
//
// After IEC 60601-1-8 as monitors implement it: high is 3+2 beeps, twice in 10 s; medium 3 beeps in
// 25 s; low one beep in 30 s. A mute ends by itself, and a new SOS ends it at once.

export const MUTE_MS = 120_000;

const burst = (starts, hz, ms) => starts.map((at) => ({ at, hz, ms }));
const FIVE = [0, 250, 500, 900, 1150];

export const PATTERNS = {
  high: { everyMs: 10_000, beeps: burst([...FIVE, ...FIVE.map((at) => at + 2500)], 880, 150) },
  medium: { everyMs: 25_000, beeps: burst([0, 350, 700], 660, 200) },
  low: { everyMs: 30_000, beeps: burst([0], 440, 250) },
};
const RANK = ["low", "medium", "high"];

// The one priority to sound for the open alerts; null when there is nothing to say. A test never
// sounds, nor does what somebody has already taken up. A fault sounds for its first two minutes:
// a tone that never ends teaches people to mute.
export function priority(alerts, { now, feedLost }) {
  const open = alerts.filter((alert) => alert.state === "open" && !alert.test);
  if (open.some((alert) => alert.kind === "sos")) return "high";
  if (open.some((alert) => alert.kind === "missed")) return "medium";
  const fresh = open.some((alert) => alert.kind === "fault" && now - alert.opened_ms < MUTE_MS);
  return feedLost || fresh ? "low" : null;
}

export class SoundPlan {
  constructor() {
    this.level = null;
    this.nextMs = 0;
    this.mutedUntilMs = null;
    this.known = new Set();
  }

  // The beeps to start at `nowMs` ([] for none): {at: ms from now, hz, ms}. A higher priority starts
  // at once; the same or a lower one waits for the running pattern's end.
  due(nowMs, level, sosIds = []) {
    for (const id of sosIds) {
      if (!this.known.has(id)) this.mutedUntilMs = null;
    }
    this.known = new Set(sosIds);
    const higher = RANK.indexOf(level) > RANK.indexOf(this.level);
    if (higher) this.nextMs = nowMs;
    this.level = level;
    if (level === null || this.muted(nowMs) || nowMs < this.nextMs) return [];
    this.nextMs = nowMs + PATTERNS[level].everyMs;
    return PATTERNS[level].beeps;
  }

  mute(nowMs) {
    this.mutedUntilMs = nowMs + MUTE_MS;
  }

  unmute(nowMs) {
    this.mutedUntilMs = null;
    this.nextMs = Math.min(this.nextMs, nowMs);
  }

  // Milliseconds until the sound comes back by itself; 0 when it isn't muted.
  mutedForMs(nowMs) {
    return this.mutedUntilMs === null ? 0 : Math.max(0, this.mutedUntilMs - nowMs);
  }

  muted(nowMs) {
    return this.mutedForMs(nowMs) > 0;
  }
}
