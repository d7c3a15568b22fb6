// The windows: flips attributes of elements the server drew. Never re-renders, never moves one.

import { put, t, word } from "./text.js";

// The worst first; the label carries the worst in words.
const RANK = ["sos", "claimed", "late", "offline"];
const COUNTED = ["checked", "waiting", ...RANK];
// "late_offline" is late, drawn with a hatched corner: counted and named as late.
const base = (state) => state.split("_")[0];

export class Facades {
  constructor(onPick) {
    this.buildings = new Map();
    this.windows = new Map();
    this.dirty = new Set();
    this.rows = new Set(); // houses whose line in the table is out of date
    for (const element of document.querySelectorAll(".building")) this.read(element, onPick);
    this.paint();
  }

  read(element, onPick) {
    const id = Number(element.dataset.building);
    const building = {
      id, element, name: element.dataset.name, worst: element.dataset.worst, counts: {},
      label: element.querySelector(".word"),
      week: element.querySelector(".week"),
      row: document.querySelector(`tr[data-row="${id}"]`),
    };
    for (const pane of element.querySelectorAll("[data-flat]")) {
      this.windows.set(Number(pane.dataset.flat), { pane, building });
      const state = base(pane.dataset.state);
      building.counts[state] = (building.counts[state] ?? 0) + 1;
    }
    element.addEventListener("click", () => onPick(id));
    this.buildings.set(id, building);
    this.dirty.add(building);
  }

  // flats: {flat id: state}, buildings: {building id: worst}. False if a flat isn't on this page.
  apply(flats, buildings) {
    let known = true;
    for (const [id, state] of Object.entries(flats ?? {})) {
      const place = this.windows.get(Number(id));
      if (!place) {
        known = false;
        continue;
      }
      const old = place.pane.dataset.state;
      if (old === state) continue;
      place.pane.dataset.state = state;
      const { counts } = place.building;
      counts[base(old)] -= 1;
      counts[base(state)] = (counts[base(state)] ?? 0) + 1;
      place.building.worst = null; // derived again, unless the server says it below
      this.dirty.add(place.building);
    }
    for (const [id, worst] of Object.entries(buildings ?? {})) {
      const building = this.buildings.get(Number(id));
      if (!building) {
        known = false;
        continue;
      }
      building.worst = worst;
      this.dirty.add(building);
    }
    this.paint();
    return known;
  }

  paint() {
    for (const building of this.dirty) this.label(building);
    this.dirty.clear();
  }

  label(building) {
    const { counts, element } = building;
    const count = (state) => counts[state] ?? 0;
    const waiting = count("waiting") ? "waiting" : "ok";
    const worst = building.worst ?? RANK.find(count) ?? waiting;
    building.worst = worst;
    const expected = COUNTED.reduce((sum, state) => sum + count(state), 0);
    const words = RANK.includes(worst)
      ? t(`word.${worst}`, { n: count(worst) > 1 || worst === "late" ? count(worst) : "" }).trim()
      : expected ? `${count("checked")}/${expected}` : t("word.empty");
    element.dataset.worst = worst;
    put(building.label, words);
    element.setAttribute("aria-label", `${building.name} ${words}`);
    building.words = `${words} ${word("live.worst.", worst)}`;
    this.rows.add(building);
  }

  // The table for screen readers, once in a while: in a storm of check-ins it cost more layout than
  // all windows together, and nobody reads a hundred lines a second.
  table() {
    for (const { row, counts, words } of this.rows) {
      put(row.querySelector('[data-cell="word"]'), words);
      for (const state of COUNTED) {
        put(row.querySelector(`[data-cell="${state}"]`), String(counts[state] ?? 0));
      }
    }
    this.rows.clear();
  }

  // weeks: {building id: one letter a round, the oldest first}. Everybody in: a low mark; somebody
  // missed: a high one; blind: a dot; before our time: nothing. Grey, because it is the past.
  weeks(weeks) {
    const bar = (i, width, height) => `M${i + (1 - width) / 2} ${4 - height}h${width}v${height}h-${width}z`;
    const shapes = { o: [".in", 0.8, 1], m: [".out", 0.8, 4], b: [".dark", 0.3, 2] };
    for (const [id, letters] of Object.entries(weeks ?? {})) {
      const building = this.buildings.get(Number(id));
      if (!building) continue;
      for (const [letter, [path, width, height]] of Object.entries(shapes)) {
        const marks = [...letters].map((at, i) => (at === letter ? bar(i, width, height) : ""));
        building.week.querySelector(path).setAttribute("d", marks.join(""));
      }
      const count = (letter) => letters.split(letter).length - 1;
      put(building.row.querySelector('[data-cell="week"]'),
        t("live.week", { all: count("o"), missed: count("m"), blind: count("b") }));
    }
  }

  mark(id) {
    for (const building of this.buildings.values()) {
      building.element.setAttribute("aria-pressed", String(building.id === id));
    }
  }
}
