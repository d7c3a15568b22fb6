// Keeps a tap that did not get through, says so, and sends it again; reads the page again while it is open.
// Without this the page is plain forms.
//
// A tap counts once the server has answered, and until then the page says that it doesn't. Sending one
// twice is harmless. A tap that waited too long is given up: "I am going" of an hour ago is no help.
// It is kept in localStorage: a phone that closes the tab in the stairwell must not forget it.

const TOO_OLD_MS = 10 * 60 * 1000;
const TIMEOUT_MS = 10000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const FRESH_MS = 10000;
const MISSES = 2; // so many times without an answer, and what is shown may be old
const KEPT = "unsent ";
const STORED = KEPT + location.pathname;
// A refusal's own address is a button's and can't be read.
const PAGE = location.pathname.split("/").slice(0, 3).join("/") + location.search;

let tries = 0;
let timer = 0;
let sending = false;
let taps = 0;
let tag = "";
let missed = 0;
let looking = false;
let next = 0;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null; // storage denied, or broken: nothing is kept
  }
}

const load = () => read(STORED);

function drop(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // storage denied: nothing is there either
  }
}

// Returns whether the tap is kept. Storage may be denied or full.
function keep(tap) {
  drop(STORED); // an older tap must not follow the one that goes now
  try {
    localStorage.setItem(STORED, JSON.stringify(tap));
  } catch {
    return false;
  }
  return load()?.at === tap.at;
}

function forget() {
  drop(STORED);
  stop();
}

// The link is the key to a home: other links' taps go once they are too old to be sent.
function sweep() {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(KEPT) && key !== STORED && !(Date.now() - read(key)?.at < TOO_OLD_MS)) drop(key);
    }
  } catch {
    // storage denied
  }
}

function stop() {
  clearTimeout(timer);
  timer = 0;
}

function say(words, tap = load()) {
  const place = document.getElementById("unsent");
  if (!place) return;
  place.hidden = false;
  place.textContent = tap ? `${tap.words} · ${place.dataset[words]}` : place.dataset[words];
}

async function send() {
  const tap = load();
  if (!tap || sending) return;
  if (Date.now() - tap.at > TOO_OLD_MS) {
    say("givenUp");
    forget();
    for (const each of document.querySelectorAll("button.b")) each.disabled = false;
    return;
  }
  sending = true;
  taps += 1;
  stop();
  try {
    const answer = await fetch(tap.path, { method: "POST", body: new URLSearchParams(tap.fields),
      referrerPolicy: "no-referrer", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status >= 500) throw new Error(answer.status);
    const page = await ours(answer);
    if (load()?.at === tap.at) forget(); // else another button was tapped meanwhile
    show(page);
  } catch {
    say("failed");
    timer = setTimeout(send, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
    tries += 1;
  } finally {
    sending = false;
  }
  if (load() && !timer) send();
}

// The login page of a café's network answers 200 too: only our own page says that we heard it.
async function ours(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!page.documentElement.hasAttribute("data-xunlou")) throw new Error("not ours");
  return page;
}

// The answer is the whole page as it is now, or the words of a refusal.
function show(page) {
  document.body.replaceWith(page.body);
  scrollTo(0, 0);
  tag = "";
  begin();
}

// What has happened since, without a tap: who goes, who has come, which flat has checked in. Only what changed
// is put in its place, so that ticks, the finger's place and what is being read stay. Nothing is read while
// nobody looks, nor while a tap is under way: its answer is the newer page.
async function look() {
  clearTimeout(next);
  if (!document.querySelector("main[data-fresh]") || document.hidden || looking) return;
  if (load()) {
    soon();
    return;
  }
  looking = true;
  const before = taps;
  try {
    const answer = await fetch(PAGE, { cache: "no-store", referrerPolicy: "no-referrer",
      headers: tag ? { "If-None-Match": tag } : {}, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status >= 500) throw new Error(answer.status);
    const page = answer.status === 304 ? null : await ours(answer);
    missed = 0;
    if (page && before === taps && !load()) {
      if (page.querySelector(".bar#act")) freshen(page);
      else show(page); // the link has ended
      tag = answer.headers.get("ETag") ?? "";
    }
  } catch {
    missed += 1;
  }
  looking = false;
  document.getElementById("stale")?.toggleAttribute("hidden", missed < MISSES);
  soon();
}

function soon() {
  clearTimeout(next);
  next = setTimeout(look, FRESH_MS);
}

function freshen(page) {
  const main = document.querySelector("main"), fresh = page.querySelector("main");
  const mine = (each) => each?.id === "unsent" || each?.id === "stale"; // this script's own words
  const refusal = main.querySelector(":scope > [role=alert]"); // of the last tap: until the next one
  if (refusal) fresh.querySelector("h1").after(refusal.cloneNode(true));
  const ticked = [...main.querySelectorAll("input:checked")].map((box) => box.value);
  const focused = ["href", "value", "formaction"].map((name) => [name, document.activeElement?.getAttribute(name)])
    .find(([, value]) => value);
  const now = [...fresh.children];
  [...main.children].forEach((old, n) => {
    if (!now[n]) old.remove();
    else swap(old, now[n], mine(old));
  });
  main.append(...now.slice(main.children.length));
  main.toggleAttribute("data-fresh", fresh.hasAttribute("data-fresh"));
  for (const box of main.querySelectorAll("input[type=checkbox]")) box.checked = ticked.includes(box.value);
  if (swap(document.getElementById("act"), page.getElementById("act"))) watch();
  if (focused && document.activeElement === document.body)
    document.querySelector(`[${focused[0]}="${CSS.escape(focused[1])}"]`)?.focus({ preventScroll: true });
}

// Puts `fresh` in the place of `old` where they differ.
function swap(old, fresh, keep = false) {
  if (keep || old.isEqualNode(fresh)) return false;
  old.replaceWith(fresh);
  return true;
}

// A worklist's outcome is of the flats that are ticked; without a tick it would be of none, and the
// server refuses it.
function unticked(button) {
  const boxes = [...document.querySelectorAll("input[name=resident_id]")];
  return button.formAction.includes("/resolve:") && boxes.length > 0 && !boxes.some((box) => box.checked);
}

function begin() {
  tries = 0;
  watch();
  soon();
}

function watch() {
  document.getElementById("act")?.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.hasAttribute("formaction")) return;
    if (unticked(button)) {
      event.preventDefault();
      say("tick", null);
      scrollTo(0, 0);
      return;
    }
    const fields = [...new FormData(event.target)];
    const words = button.firstChild.textContent.trim();
    const path = new URL(button.formAction).pathname;
    if (!keep({ path, fields, words, at: Date.now() })) return; // then the browser sends the form
    event.preventDefault();
    for (const each of document.querySelectorAll("button.b")) each.disabled = each === button;
    say("sending");
    tries = 0;
    send();
  });
}

sweep();
begin();
addEventListener("online", send);
addEventListener("online", look);
addEventListener("pageshow", (event) => event.persisted && look());
document.addEventListener("visibilitychange", look);
if (load()) {
  say("sending");
  send();
}
