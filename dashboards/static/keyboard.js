// One-key control of the wall. C and E act only on the card that has the focus, and all of it can be
// switched off (WCAG 2.1.4): a key brushed by a sleeve must not accept an SOS.

import { put, slot, t } from "./text.js";

const STORED = "keys";

export class Keyboard {
  constructor({ sound, pickBuilding }) {
    Object.assign(this, { sound, pickBuilding });
    this.help = document.getElementById("help");
    this.find = document.getElementById("find");
    this.on = this.help.querySelector("[data-keys]");
    this.on.checked = localStorage.getItem(STORED) !== "off";
    this.on.addEventListener("change", () => localStorage.setItem(STORED, this.on.checked ? "on" : "off"));
    for (const dialog of [this.help, this.find]) {
      dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    }
    document.getElementById("help-open").addEventListener("click", () => this.help.showModal());
    this.find.querySelector("form").addEventListener("submit", (event) => this.found(event));
    this.find.addEventListener("close", () => this.unknown(false));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, textarea, select, dialog")) return;
    if (!this.on.checked && event.key !== "?") return;
    const card = document.activeElement?.closest(".card");
    const acts = {
      j: () => this.step(1), k: () => this.step(-1), m: () => this.sound.toggleMute(),
      c: () => this.press(card, "accept"), e: () => this.press(card, "escalate"),
      enter: () => event.target === card && card.querySelector("a.detail").click(),
      "/": () => this.find.showModal(), "?": () => this.help.showModal(),
    };
    const act = acts[event.key.toLowerCase()];
    if (!act || (event.key === "Enter" && event.target !== card)) return;
    event.preventDefault();
    act();
  }

  step(by) {
    const cards = [...document.querySelectorAll(".queue .card")];
    if (cards.length === 0) return;
    const at = cards.indexOf(document.activeElement?.closest(".card"));
    const to = at < 0 ? (by > 0 ? 0 : cards.length - 1)
      : Math.min(cards.length - 1, Math.max(0, at + by));
    cards[to].focus();
    cards[to].scrollIntoView({ block: "nearest" });
  }

  press(card, name) {
    const button = card?.querySelector(`[data-act="${name}"]`);
    if (button && !button.hidden && !button.disabled) button.click();
  }

  found(event) {
    const input = this.find.querySelector("input");
    const number = input.value.trim();
    // Each community may have a house of that number: asked again, the next of them.
    const named = [...document.querySelectorAll(".building")].filter(
      (building) => building.dataset.number === number);
    const name = named[(named.findIndex((b) => b.getAttribute("aria-pressed") === "true") + 1) % named.length];
    this.unknown(!name);
    if (name) {
      this.pickBuilding(Number(name.dataset.building));
      name.focus();
    } else {
      event.preventDefault(); // the dialog stays, with what was typed
      input.select();
    }
  }

  unknown(is) {
    const failure = slot(this.find, "failure");
    failure.hidden = !is;
    put(failure, is ? t("live.no_building") : "");
    this.find.querySelector("input").setAttribute("aria-invalid", String(is));
  }
}
