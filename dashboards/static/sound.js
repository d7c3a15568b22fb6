// The wall's voice: plays what the plan says is due, and shows honestly whether it could be heard.

import { priority, SoundPlan } from "./sound_plan.js";
import { put, slot, span, t } from "./text.js";

const LOOK_MS = 200;
const VOLUME = 0.5;
const STORED = "sound-tested"; // in this tab: the shift's test outlives a reload of the page
const SHIFT_MS = 12 * 3600 * 1000;
const DRIFT_MS = 60 * 1000; // so far may the server's clock be put right

// When the test was made, by the server's clock; null when it never was.
function tested() {
  try {
    const stored = sessionStorage.getItem(STORED);
    return stored === null ? null : Number(stored);
  } catch {
    return null; // storage denied: the test is asked for again
  }
}

function remember(at) {
  try {
    sessionStorage.setItem(STORED, String(at));
  } catch {
    // storage denied: the test is asked for again at the next load
  }
}

export class Sound {
  constructor({ clock, alerts, feedLost }) {
    Object.assign(this, { clock, alerts, feedLost });
    this.plan = new SoundPlan();
    this.context = null;
    this.testedMs = tested();
    this.handedOverMs = null;
    this.lamp = document.getElementById("sound");
    this.lamp.addEventListener("click", () => this.press());
    setInterval(() => this.tick(), LOOK_MS);
    if (this.testedMs !== null) this.wake();
    this.tick();
  }

  // After a reload. The browser may want a click first, and the lamp says so until then; any key or
  // click in the page will do.
  wake() {
    this.open();
    const resume = () => this.context.state !== "running" && this.context.resume();
    for (const touch of ["pointerdown", "keydown"]) document.addEventListener(touch, resume);
    resume();
  }

  open() {
    this.context ??= new AudioContext();
    this.context.onstatechange = () => this.tick();
  }

  // unarmed: nobody has made the shift-start test. blocked: the browser plays nothing. stale: it
  // plays, but nobody of this shift has heard it.
  state() {
    if (this.context === null) return "unarmed";
    if (this.context.state !== "running") return "blocked";
    if (this.plan.muted(performance.now())) return "muted";
    return this.heardByThisShift() ? "armed" : "stale";
  }

  heardByThisShift() {
    const age = this.clock.now() - this.testedMs;
    return age > -DRIFT_MS && age < SHIFT_MS && !(this.handedOverMs > this.testedMs);
  }

  // When the last shift was handed over; null before the first.
  handedOver(at) {
    this.handedOverMs = at ?? null;
    this.tick();
  }

  press() {
    if (["unarmed", "blocked", "stale"].includes(this.state())) this.arm();
    else this.toggleMute();
  }

  // The shift-start test: a browser lets a page sound only after a click, and a person has to have
  // heard it. Sounds the highest pattern once.
  async arm() {
    this.open();
    await this.context.resume();
    this.testedMs = this.clock.now();
    remember(this.testedMs);
    this.play([{ at: 0, hz: 880, ms: 150 }, { at: 250, hz: 880, ms: 150 }, { at: 500, hz: 880, ms: 150 }]);
    this.tick();
  }

  toggleMute() {
    const now = performance.now();
    if (this.state() === "muted") this.plan.unmute(now);
    else if (["armed", "stale"].includes(this.state())) this.plan.mute(now);
    this.tick();
  }

  tick() {
    const alerts = this.alerts();
    const sos = alerts.filter((a) => a.kind === "sos" && a.state === "open" && !a.test);
    const level = priority(alerts, { now: this.clock.now(), feedLost: this.feedLost() });
    const now = performance.now();
    const beeps = this.plan.due(now, level, sos.map((alert) => alert.id));
    if (beeps.length && this.context?.state === "running") this.play(beeps);
    const state = this.state();
    this.lamp.dataset.state = state;
    put(slot(this.lamp, "words"), t(`live.sound.${state}`, { time: span(this.plan.mutedForMs(now)) }));
  }

  play(beeps) {
    const start = this.context.currentTime + 0.02;
    for (const beep of beeps) {
      const tone = this.context.createOscillator();
      const gain = this.context.createGain();
      const from = start + beep.at / 1000;
      const to = from + beep.ms / 1000;
      tone.frequency.value = beep.hz;
      gain.gain.setValueAtTime(0, from);
      gain.gain.linearRampToValueAtTime(VOLUME, from + 0.015); // no click at the edges
      gain.gain.setValueAtTime(VOLUME, to - 0.03);
      gain.gain.linearRampToValueAtTime(0, to);
      tone.connect(gain).connect(this.context.destination);
      tone.start(from);
      tone.stop(to);
    }
  }
}
