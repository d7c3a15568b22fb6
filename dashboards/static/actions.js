// What staff do to an alert, through the JSON API. A failure always comes back as words to show.

import { offer, t } from "./text.js";

const PATHS = { accept: "accept", on_scene: "on-scene", resolve: "resolve", escalate: "escalate" };

async function detail(answer) {
  try {
    const body = await answer.json();
    const words = body.words?.[document.documentElement.lang.slice(0, 2)];
    if (typeof words === "string") return words;
    if (typeof body.detail === "string") return body.detail;
  } catch {
    // no JSON: the status alone has to do
  }
  return `HTTP ${answer.status}`;
}

// Returns {alert} or {failure}: the alert as it is now, or why nothing happened.
export async function act(alertId, action, fields, timeoutMs) {
  let answer;
  try {
    answer = await fetch(`/api/v1/alerts/${alertId}/${PATHS[action]}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Requested-With": "xunlou" },
      body: JSON.stringify(fields),
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (answer.ok) return { alert: await answer.json() };
  } catch {
    return { failure: t("live.unreachable") };
  }
  if (answer.status === 401) return { failure: t("live.signed_out") };
  return { failure: t("live.refused", { detail: await detail(answer) }) };
}

// The outcome dialog: nothing is resolved without an outcome and a person who says so: one of `people`
// (id → name), or whoever is logged in. `submit(fields)` gives a failure or null.
export class ResolveDialog {
  constructor(user) {
    this.user = user;
    this.dialog = document.getElementById("resolve");
    this.form = this.dialog.querySelector("form");
    this.failure = this.dialog.querySelector('[data-slot="failure"]');
    this.dialog.querySelector('[data-slot="by"]').textContent = t("live.by", { user });
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.form.addEventListener("submit", (event) => this.send(event));
  }

  get open() {
    return this.dialog.open;
  }

  ask(title, people, submit) {
    this.form.reset();
    const select = this.form.elements.as_person_id;
    offer(select, this.user, people);
    select.value = ""; // the choice was another alert's
    this.failure.hidden = true;
    this.submit = submit;
    document.getElementById("resolve-title").textContent = title;
    this.dialog.showModal();
  }

  async send(event) {
    event.preventDefault();
    const button = this.form.querySelector("button.strong");
    if (button.disabled) return;
    const fields = { outcome: this.form.elements.outcome.value };
    const note = this.form.elements.note.value.trim();
    if (note) fields.note = note;
    const person = this.form.elements.as_person_id.value;
    if (person) fields.as_person_id = Number(person);
    button.disabled = true;
    const failure = await this.submit(fields);
    button.disabled = false;
    this.failure.textContent = failure ?? "";
    this.failure.hidden = !failure;
    if (!failure) this.dialog.close();
  }
}
