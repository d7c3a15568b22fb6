// The server's clock, carried on between two messages. The browser's own time of day is never shown.

export class ServerClock {
  constructor(nowMs, speed, timeZone) {
    const locale = document.documentElement.lang;
    const base = { timeZone, hourCycle: "h23" };
    this.seconds = new Intl.DateTimeFormat(locale, {
      ...base, hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.minutes = new Intl.DateTimeFormat(locale, { ...base, hour: "2-digit", minute: "2-digit" });
    this.day = new Intl.DateTimeFormat(locale, {
      ...base, month: "long", day: "numeric", weekday: "short" });
    this.sync(nowMs, speed);
  }

  // The time of day where it is another.
  minutesIn(timeZone) {
    return new Intl.DateTimeFormat(document.documentElement.lang, {
      timeZone, hourCycle: "h23", hour: "2-digit", minute: "2-digit" });
  }

  sync(nowMs, speed) {
    this.base = nowMs;
    this.speed = speed;
    this.at = performance.now();
  }

  now() {
    return this.base + (performance.now() - this.at) * this.speed;
  }
}
