// Follows the phones: asks once a second what changed and swaps only the parts that did.
// It must never replace a form while somebody types in it.
"use strict";

const body = document.body;
const groups = document.getElementById("groups");
const link = document.getElementById("link");
const auto = document.getElementById("auto");
const query = body.dataset.query;
const MAX_CARDS = 150;
let seq = Number(body.dataset.seq);
let failures = 0;

const toEnd = (screen) => { screen.scrollTop = screen.scrollHeight; };

const post = (path, data) => fetch(path, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: data === undefined ? undefined : JSON.stringify(data),
});

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

function groupFor(number) {
  const found = groups.querySelector(`[data-group="${number}"]`);
  if (found) return found.querySelector(".row");
  const section = document.createElement("section");
  section.className = "group";
  section.dataset.group = number;
  section.setAttribute("aria-labelledby", `g${number}`);
  const title = document.createElement("h2");
  title.id = `g${number}`;
  const english = document.createElement("span");
  english.lang = "en";
  english.textContent = number ? `Building ${number}` : "Community";
  title.append(number ? `${number}栋 ` : "社区 ", english);
  const row = document.createElement("div");
  row.className = "row";
  section.append(title, row);
  const next = [...groups.children].find((other) => Number(other.dataset.group) > number);
  groups.insertBefore(section, next || null);
  return row;
}

function insert(card, fresh) {
  if (groups.querySelectorAll(".phone").length >= MAX_CARDS) return;
  const row = groupFor(card.group);
  const next = [...row.children].find((other) => other.dataset.key > card.key);
  row.insertBefore(fresh, next || null);
  toEnd(fresh.querySelector(".screen"));
}

function update(card) {
  const fresh = parsed(card.html);
  const old = document.getElementById(`p${card.key}`);
  if (!old) { insert(card, fresh); return; }
  const screen = old.querySelector(".screen");
  const atEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 40;
  old.className = fresh.className;
  screen.innerHTML = fresh.querySelector(".screen").innerHTML;
  if (atEnd) toEnd(screen);
  old.querySelector(".who").innerHTML = fresh.querySelector(".who").innerHTML;
  const slot = old.querySelector(".call-slot");
  const freshCall = fresh.querySelector(".call-slot").innerHTML;
  // A button under the finger stays; everything else about the call is news.
  if (slot.innerHTML !== freshCall) slot.innerHTML = freshCall;
  const stopped = old.querySelector(".stopped");
  const newlyStopped = fresh.querySelector(".stopped");
  if (stopped) stopped.remove();
  if (newlyStopped) screen.after(newlyStopped);
  const keys = old.querySelector(".keys");
  if (!keys.contains(document.activeElement)) {
    keys.innerHTML = fresh.querySelector(".keys").innerHTML;
  } else {
    // Keep the focused button; only what it would send may have changed.
    fresh.querySelectorAll(".key").forEach((key, i) => { keys.querySelectorAll(".key")[i].value = key.value; });
  }
}

// With dozens of phones on the page, the one that just rang must be one touch away.
function showWaiting() {
  const waiting = [...groups.querySelectorAll(".phone.has-unread")].slice(0, 12);
  document.getElementById("waiting").replaceChildren(...waiting.map((phone) => {
    const jump = document.createElement("a");
    const group = phone.closest(".group").querySelector("h2").firstChild.textContent.trim();
    const name = phone.querySelector("h3").firstChild.textContent.trim();
    jump.href = `#${phone.id}`;
    jump.textContent = `${group} ${name} · ${phone.querySelector(".unread").textContent}`;
    return jump;
  }));
}

function showAuto(on) { auto.setAttribute("aria-checked", on ? "true" : "false"); }

async function poll() {
  try {
    const params = new URLSearchParams({ after: seq, run: body.dataset.run, q: query });
    const answer = await fetch(`/updates?${params}`, { signal: AbortSignal.timeout(8000) });
    if (!answer.ok) throw new Error(String(answer.status));
    const news = await answer.json();
    if (news.run !== body.dataset.run) { location.reload(); return; }
    news.cards.forEach(update);
    if (news.cards.length) showWaiting();
    seq = news.seq;
    showAuto(news.auto);
    const count = document.getElementById("active");
    if (count) count.textContent = news.active;
    if (groups.children.length) document.getElementById("empty").hidden = true;
    failures = 0;
    link.textContent = "";
  } catch {
    failures += 1;
    if (failures > 2) link.textContent = "连接断开，正在重试 · connection lost, trying again";
  }
  const wait = failures ? Math.min(15000, 1000 * 2 ** Math.min(failures, 4)) : (document.hidden ? 5000 : 1000);
  setTimeout(poll, wait);
}

async function onCall(number, button) {
  const key = /^key(\d)$/.exec(button.value);
  button.setAttribute("aria-busy", "true");
  const answer = await post(`/phones/${number}/call`, key ? { verb: "key", digit: key[1] } : { verb: button.value }).catch(() => null);
  button.removeAttribute("aria-busy");
  link.textContent = answer && (answer.ok || answer.status === 409) ? "" : "没有接通，请再试 · not put through, please try again";
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.call) { event.preventDefault(); await onCall(form.dataset.call, event.submitter); return; }
  if (!form.dataset.key) return;
  event.preventDefault();
  const input = form.querySelector("input");
  const text = input ? input.value.trim() : event.submitter.value;
  if (!text) return;
  const button = event.submitter || form.querySelector("button");
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await post(`/phones/${form.dataset.key}/send`, { body: text });
    if (!answer.ok) throw new Error(String(answer.status));
    if (input) input.value = "";
    link.textContent = "";
  } catch {
    link.textContent = "没有发出去，请再试 · not sent, please try again";
  } finally {
    button.removeAttribute("aria-busy");
  }
});

// Looking at a phone is touching it; a page open in a corner reads nothing.
document.addEventListener("pointerdown", (event) => {
  const phone = event.target.closest(".phone.has-unread");
  if (phone) post(`/phones/${phone.dataset.key}/read`).catch(() => {});
});
document.addEventListener("focusin", (event) => {
  const phone = event.target.closest(".phone.has-unread");
  if (phone) post(`/phones/${phone.dataset.key}/read`).catch(() => {});
});

auto.addEventListener("click", async () => {
  const on = auto.getAttribute("aria-checked") !== "true";
  const answer = await post("/auto", { on }).catch(() => null);
  if (answer && answer.ok) showAuto(on);
});

document.querySelectorAll(".screen").forEach(toEnd);
showWaiting();
setTimeout(poll, 1000);
