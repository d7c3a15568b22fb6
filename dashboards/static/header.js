// The head of the wall: clock, round, counts, and how fresh all of it is.

import { put, slot, span, t, word } from "./text.js";

export class Header {
  constructor(clock) {
    this.clock = clock;
    this.time = document.getElementById("clock");
    this.date = document.getElementById("date");
    this.round = document.getElementById("round");
    this.feed = document.getElementById("feed");
    this.band = document.getElementById("band");
    this.blind = document.getElementById("blind");
    this.asOf = document.getElementById("as-of");
    this.signedOut = false;
    this.deafForMs = () => null;
    this.roundFacts = null;
    this.communities = [];
    this.minutes = new Map(); // a zone → its time of day
  }

  // Of one community its round. Of several, where all have the same round, that with everybody in
  // it; where they differ, the one that is next due, and each community's own beside its name.
  setRounds(data) {
    const each = (data.communities ?? []).map((c) => ({ ...c.round, id: c.id, community: c.name, tz: c.tz }));
    const same = new Set(each.map((r) => [r.name, r.opens_at, r.due_at, r.tz].join()));
    this.communities = same.size > 1 ? each : [];
    if (each.length === 0) this.roundFacts = data.round;
    else if (same.size === 1) {
      const sum = (key) => each.reduce((n, round) => n + round[key], 0);
      this.roundFacts = { ...each[0], community: "", expected: sum("expected"), checked: sum("checked") };
    } else {
      const next = (round) => (round.state === "open" ? round.due_at : round.opens_at);
      this.roundFacts = each.reduce((first, round) => (next(round) < next(first) ? round : first));
    }
    for (const place of document.querySelectorAll("[data-community] [data-slot=round]")) {
      if (same.size < 2) put(place, "");
    }
  }

  minutesOf(round) {
    if (!round.tz) return this.clock.minutes;
    if (!this.minutes.has(round.tz)) this.minutes.set(round.tz, this.clock.minutesIn(round.tz));
    return this.minutes.get(round.tz);
  }

  // How long nothing has come in behind the live feed: by the server's own word, by the canary it
  // sends through the whole chain, or by the gateways' silence. Null: all is well, or not told.
  hear(data) {
    this.deafForMs = (limits) => {
      if (data.blind_since) return Math.max(0, this.clock.now() - new Date(data.blind_since).getTime());
      const canary = (data.canary_age_s ?? 0) * 1000;
      if (canary > limits.canary) return canary;
      return (data.ingest_lag_ms ?? 0) > limits.ingest ? data.ingest_lag_ms : null;
    };
  }

  counts(counts) {
    for (const [name, n] of Object.entries(counts ?? {})) {
      const place = document.querySelector(`[data-count="${name}"]`);
      if (!place) continue;
      place.dataset.zero = String(n === 0);
      put(place.querySelector("dd"), String(n));
    }
  }

  // New alarms in the last ten minutes with EEMUA 191's bands: about one is manageable, five is
  // too many, ten is a flood in which things are missed.
  load(n) {
    if (n === undefined || n === null) return;
    const band = n >= 10 ? "flood" : n >= 5 ? "excess" : n >= 2 ? "busy" : "calm";
    const place = document.getElementById("load");
    place.dataset.band = band;
    put(slot(place, "n"), String(n));
    put(slot(place, "band"), t(`live.load.${band}`));
  }

  tick(level, ageMs, heardMs, limits) {
    const now = this.clock.now();
    put(this.time, this.clock.seconds.format(now));
    put(this.date, this.clock.day.format(now));
    if (this.roundFacts) this.showRound(this.roundFacts, now);
    for (const round of this.communities) {
      const place = document.querySelector(`[data-community="${round.id}"] [data-slot="round"]`);
      const { name, time } = this.roundWords(round, now);
      if (place) put(place, `${name} · ${time}`); // a community without a house has no place
    }
    this.showFeed(level, ageMs, heardMs, limits);
  }

  roundWords(round, now) {
    const name = word("live.round.", round.name);
    const minutes = this.minutesOf(round);
    const at = (ms) => minutes.format(ms);
    let time;
    if (now < round.opens_at) {
      time = t("live.round_opens", { at: at(round.opens_at), time: span(round.opens_at - now) });
    } else if (now < round.due_at) {
      time = t("live.round_due", { at: at(round.due_at), time: span(round.due_at - now) });
    } else {
      time = t("live.round_over", { at: at(round.due_at) });
    }
    const begun = now >= round.opens_at;
    const counted = begun
      ? t("live.round_count", { name, checked: round.checked, expected: round.expected }) : name;
    return { name: counted, time, begun };
  }

  showRound(round, now) {
    const { name, time, begun } = this.roundWords(round, now);
    put(slot(this.round, "name"), round.community ? `${round.community} ${name}` : name);
    put(slot(this.round, "time"), time);
    const bar = slot(this.round, "bar");
    bar.max = Math.max(1, round.expected);
    bar.value = begun ? round.checked : 0;
  }

  // Three kinds of not knowing, the worst first: logged out, cut off, and a live feed behind
  // which nothing comes in any more.
  showFeed(level, ageMs, heardMs, limits) {
    document.body.dataset.feed = level;
    const since = this.clock.seconds.format(heardMs);
    const deafForMs = this.deafForMs(limits);
    const deaf = level === "live" && deafForMs !== null;
    document.body.dataset.deaf = String(deaf);
    put(slot(this.feed, "words"), t(`live.feed.${level}`, { age: Math.floor(ageMs / 1000), since }));
    let words = "";
    if (this.signedOut) words = t("live.signed_out_band", { since });
    else if (level !== "live") words = t(`live.band.${level}`, { since, age: span(ageMs) });
    else if (deaf) words = t("live.band.deaf", { age: span(deafForMs) });
    this.band.hidden = words === "";
    put(slot(this.band, "words"), words);
    slot(this.band, "login").hidden = !this.signedOut;
    this.blind.hidden = this.asOf.hidden = level !== "blind";
    put(this.asOf, t("live.as_of", { since }));
    put(slot(this.blind, "since"), t("live.blind_since", { since, age: span(ageMs) }));
  }
}
