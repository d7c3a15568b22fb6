// One card of the queue: puts an alert's facts into the cloned markup, as text and nothing else.

import { local, offer, put, slot, span, t, word } from "./text.js";

const FAILED = new Set(["failed", "undelivered"]);

function node(tag, className, words) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = words;
  return element;
}

// Messages that follow up on an alert and don't tell anyone that help is needed.
const FOLLOW_UPS = new Set([
  "confirm", "confirm_missed", "other_goes", "cancelled", "closed", "checked_in",
  "fewer",
  "which", "old_code", "not_understood", "nothing_open",
]);

// The newest telling message of each person: a second attempt replaces the first.
function lastTold(alert) {
  const people = new Map();
  for (const entry of alert.told ?? []) {
    if (!FOLLOW_UPS.has(entry.template)) people.set(`${entry.person_id ?? entry.name} ${entry.channel}`, entry);
  }
  return [...people.values()];
}

function facts(alert) {
  const list = [];
  const add = (words, className = "") => list.push(node("span", `fact ${className}`, words));
  if (alert.rehearsal) add(t("live.rehearsal"), "test");
  else if (alert.test) add(t("live.test"), "test");
  if (alert.fall) add(t("live.fall"), "warn");
  if (alert.exhausted) add(t("live.exhausted"), "bad");
  if (alert.late) add(t("live.arrived_late"), "warn");
  if (alert.cancelled_by_resident) add(t("live.cancelled"), "warn");
  if (alert.presses > 1) add(t("live.presses", { n: alert.presses }));
  if (alert.kind === "fault") add(faultWord(alert));
  if (alert.kind === "fault" && alert.detail) add(alert.detail, "quiet-fact");
  if (alert.kind === "sos" && alert.age) add(t("live.age", { n: alert.age }));
  if (alert.kind === "sos" && alert.lives_alone) add(t("live.alone"));
  if (alert.code) add(t("live.code", { code: alert.code }), "quiet-fact");
  return list;
}

function faultWord(alert) {
  return word("fault.", alert.fault ?? "unknown");
}

// A fault of the house itself has no address: its kind stands there.
function heading(alert) {
  return (alert.kind === "missed" ? local(alert, "building") : local(alert, "address")) || faultWord(alert);
}

function items(alert) {
  return (alert.items ?? []).map((item) => {
    const open = item.state === "open";
    const chip = node(open ? "button" : "span", open ? "item" : "item done", item.label);
    if (open) {
      chip.type = "button";
      chip.dataset.resident = String(item.resident_id);
      chip.dataset.label = item.label;
    } else {
      chip.append(node("span", "why", word("live.item.", item.state)));
    }
    const place = document.createElement("li");
    place.append(chip);
    return place;
  });
}

// What to say to 120, ready to be read out, in the page's language.
function emergency(alert) {
  // Only once the clock of 120 asks for it: before that it would be one more line on every card.
  const words = alert.emergency?.prompt === false ? null : alert.emergency?.read_out;
  if (!words) return "";
  return document.documentElement.lang.startsWith("zh") ? words.zh : words.en ?? words.zh;
}

function toldRow(entry) {
  const row = document.createElement("tr");
  const channel = word("channel.", entry.channel);
  const who = node("td", "", entry.name);
  who.append(node("span", "role", word("role.", entry.role)));
  const how = node("td", FAILED.has(entry.state) ? "bad" : "", "");
  how.textContent = `${channel} ${word("told.", entry.state)}`;
  row.append(who, how);
  return row;
}

function who(alert) {
  if (!alert.responder) {
    return alert.kind === "fault" ? "" : t("live.nobody");
  }
  const person = { name: alert.responder.name, role: word("role.", alert.responder.role) };
  return alert.state === "on_scene" ? t("live.at_door", person) : t("live.going", person);
}

// Everybody who goes or was told, once: id → name. Staff are accounts and have no id here.
export function contacts(alert) {
  const people = new Map();
  for (const one of [...(alert.responders ?? []), ...(alert.told ?? [])]) {
    if (one.person_id !== undefined && one.person_id !== null) people.set(one.person_id, one.name);
  }
  return people;
}

// Whose act it is: a contact's, or (no id) the act of whoever is logged in.
const asPerson = (id) => (id ? { as_person_id: Number(id) } : {});

// Who is at the door is the one who said "I am going", not the one who presses the button for them:
// else the desk would become a second helper, and the first would read that the other goes.
function goingChoice(card, settings) {
  const label = slot(card.element, "going");
  const select = label.querySelector("select");
  const people = contacts(card.alert);
  const offered = settings.mayAct && card.alert.actions.includes("accept") && people.size > 0;
  label.hidden = !offered;
  if (offered) offer(select, settings.user, people);
  const accept = card.element.querySelector('[data-act="accept"]');
  if (!offered) put(accept, t("act.accept_as", { user: settings.user }));
  card.fields = (action) => {
    if (action === "on_scene") return asPerson(card.alert.responders?.[0]?.person_id);
    return asPerson(action === "accept" && offered ? select.value : "");
  };
}

// Rewrites a list only when its content changed, so that focus and selection survive an update.
function fillList(parent, key, build) {
  if (parent.dataset.shown === key) return;
  parent.dataset.shown = key;
  parent.replaceChildren(...build());
}

export function fill(card, settings) {
  const { alert, element } = card;
  const part = (name) => slot(element, name);
  element.dataset.kind = alert.kind;
  element.dataset.group = card.group;
  element.dataset.test = String(alert.test);
  element.dataset.rehearsal = String(Boolean(alert.rehearsal));
  put(part("address"), heading(alert));
  element.querySelector("a.detail").href = `/alerts/${alert.id}`;
  element.setAttribute("aria-label", heading(alert));
  fillList(part("facts"), JSON.stringify([
    alert.test, alert.rehearsal, alert.exhausted, alert.late, alert.cancelled_by_resident, alert.presses, alert.fault,
    alert.age, alert.lives_alone, alert.code, alert.fall, alert.detail,
  ]), () => facts(alert));
  fillList(part("items"), JSON.stringify(alert.items ?? []), () => items(alert));
  put(part("who"), who(alert));
  part("who").dataset.claimed = String(Boolean(alert.responder));
  const readOut = emergency(alert);
  put(part("read-out"), readOut ? t("live.read_out", { words: readOut }) : "");
  part("emergency").hidden = !readOut;
  const told = lastTold(alert);
  fillList(part("told").tBodies[0], JSON.stringify(told), () => told.map(toldRow));
  part("told").hidden = told.length === 0;
  for (const button of element.querySelectorAll("button.act")) {
    const { act } = button.dataset;
    button.hidden = !settings.mayAct || !alert.actions.includes(act);
    button.classList.toggle("strong", primaryAct(alert) === act);
    put(button, t(`act.${act}`));
    button.title = t("live.by", { user: settings.user });
  }
  for (const button of element.querySelectorAll("button.item")) button.disabled = !settings.mayAct;
  goingChoice(card, settings);
}

function primaryAct(alert) {
  if (alert.kind === "fault") return null;
  return ["accept", "on_scene", "resolve"].find((action) => alert.actions.includes(action));
}

function next(alert, now) {
  const parts = [];
  if (alert.state === "accepted" && alert.lease_until_ms) {
    const left = alert.lease_until_ms - now;
    parts.push(left > 0 ? t("live.lease", { time: span(left) }) : t("live.lease_over"));
  }
  if (alert.next_step) {
    const left = alert.next_step.at_ms - now;
    const time = span(left);
    // Whom the next step tells: names, listed as the page's language lists them.
    const text = alert.next_step.text?.split("、").join(t("live.comma"));
    if (left <= 0) parts.push(t("live.next_now"));
    else parts.push(text ? t("live.next", { time, text }) : t("live.next_step", { time }));
  }
  return parts.join(" · ");
}

// The parts that move with the clock.
export function tickCard(card, now) {
  put(slot(card.element, "elapsed"), span(now - card.alert.opened_ms));
  put(slot(card.element, "next"), next(card.alert, now));
}
