// The queue: one card per alert that is not resolved, in four groups. Cards are updated in place.

import { act } from "./actions.js";
import { contacts, fill, tickCard } from "./card.js";
import { local, slot, t, word } from "./text.js";

export function groupOf(alert) {
  if (alert.state === "resolved") return null;
  if (alert.kind === "sos") return alert.state === "open" ? "sos" : "claimed";
  return alert.kind === "missed" ? "missed" : "fault";
}

// Oldest first: the one who waits longest stands on top. Tests come after the real ones.
function before(a, b) {
  return Number(a.test) - Number(b.test) || a.opened_ms - b.opened_ms || a.id - b.id;
}

export class Queue {
  constructor({ root, clock, dialog, settings, onPick, onOpened }) {
    Object.assign(this, { root, clock, dialog, settings, onPick, onOpened });
    this.cards = new Map();
    this.template = document.getElementById("card");
    this.last = document.getElementById("last-resolved");
    this.groups = new Map();
    for (const element of root.querySelectorAll(".group")) {
      this.groups.set(element.dataset.group, {
        element, cards: slot(element, "cards"), n: slot(element, "n"), none: slot(element, "none") });
    }
  }

  // The whole truth: whatever isn't in the snapshot is over.
  replace(alerts) {
    const kept = new Set(alerts.map((alert) => alert.id));
    for (const id of [...this.cards.keys()]) if (!kept.has(id)) this.remove(id);
    for (const alert of alerts) this.place(alert, true);
    this.settle();
  }

  alerts() {
    return [...this.cards.values()].map((card) => card.alert);
  }

  apply(alerts) {
    for (const alert of alerts ?? []) this.place(alert, false);
    this.settle();
  }

  place(alert, fromSnapshot) {
    const known = this.cards.get(alert.id);
    if (known && !fromSnapshot && alert.version < known.alert.version) return; // older news
    const group = groupOf(alert);
    if (group === null) {
      if (known) this.tellResolved(alert);
      this.remove(alert.id);
      return;
    }
    const card = known ?? this.create(alert.id);
    card.alert = alert;
    card.group = group;
    fill(card, this.settings);
    if (!known && group === "sos" && !alert.test && !fromSnapshot) this.onOpened(alert);
  }

  create(id) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    const card = { element, alert: null, group: null };
    element.dataset.alert = String(id);
    element.querySelector(".pick").addEventListener("click", () => this.onPick(card.alert));
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button.act, button.item");
      if (button) this.press(card, button);
    });
    this.cards.set(id, card);
    return card;
  }

  remove(id) {
    this.cards.get(id)?.element.remove();
    this.cards.delete(id);
  }

  tellResolved(alert) {
    this.last.hidden = false;
    this.last.textContent = t("live.resolved", {
      time: this.clock.minutes.format(this.clock.now()), address: local(alert, "address"),
      outcome: alert.outcome ? word("outcome.", alert.outcome) : "" });
  }

  settle() {
    const focused = document.activeElement; // a card that moves keeps the keyboard
    for (const [name, group] of this.groups) {
      const cards = [...this.cards.values()].filter((card) => card.group === name);
      cards.sort((one, other) => before(one.alert, other.alert));
      cards.forEach((card, i) => {
        if (group.cards.children[i] !== card.element) {
          group.cards.insertBefore(card.element, group.cards.children[i] ?? null);
        }
      });
      group.n.textContent = cards.length ? String(cards.length) : "";
      group.none.hidden = cards.length > 0;
      group.element.dataset.empty = String(cards.length === 0);
    }
    if (focused !== document.activeElement && focused.isConnected) focused.focus();
    this.tick();
  }

  tick() {
    const now = this.clock.now();
    for (const card of this.cards.values()) tickCard(card, now);
  }

  press(card, button) {
    const item = button.dataset.resident;
    if (!item && button.dataset.act !== "resolve") {
      this.send(card, button.dataset.act, card.fields?.(button.dataset.act) ?? {}, button);
      return;
    }
    const title = item ? `${local(card.alert, "building")} ${button.dataset.label}` : local(card.alert, "address");
    this.dialog.ask(title, contacts(card.alert), async (fields) => {
      if (item) fields.item_resident_id = Number(item);
      const { alert, failure } = await act(
        card.alert.id, "resolve", fields, this.settings.postTimeoutMs);
      if (alert) this.apply([alert]);
      return failure ?? null;
    });
  }

  async send(card, action, fields, button) {
    const failure = slot(card.element, "failure");
    failure.hidden = true;
    button.disabled = true; // a double click is one action
    const result = await act(card.alert.id, action, fields, this.settings.postTimeoutMs);
    button.disabled = false;
    if (result.alert) this.apply([result.alert]);
    failure.textContent = result.failure ?? "";
    failure.hidden = !result.failure;
  }

  // The cards of a building, the first brought into view; none when id is null.
  mark(buildingId, scroll) {
    let first = null;
    for (const card of this.cards.values()) {
      const marked = buildingId !== null && card.alert.building_id === buildingId;
      card.element.dataset.marked = String(marked);
      if (marked && (first === null || first.compareDocumentPosition(card.element) & 2)) {
        first = card.element;
      }
    }
    if (scroll) first?.scrollIntoView({ block: "nearest" });
  }
}
