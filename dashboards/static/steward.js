// Keeps a tap that did not get through, says so, and sends it again. Without this the page is plain forms.
//
// A tap counts once the server has answered, and until then the page says that it doesn't. Sending one
// twice is harmless. A tap that waited too long is given up: "I am going" of an hour ago is no help.
// It is kept in localStorage: a phone that closes the tab in the stairwell must not forget it.

const TOO_OLD_MS = 10 * 60 * 1000;
const TIMEOUT_MS = 10000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const KEPT = "unsent ";
const STORED = KEPT + location.pathname;

let tries = 0;
let timer = 0;
let sending = false;

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
    return;
  }
  sending = true;
  stop();
  try {
    const answer = await fetch(tap.path, { method: "POST", body: new URLSearchParams(tap.fields),
      referrerPolicy: "no-referrer", signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status >= 500) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // The login page of a café's network answers 200 too: only our own page says that we heard it.
    if (!page.documentElement.hasAttribute("data-xunlou")) throw new Error("not ours");
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

// The answer is the whole page as it is now, or the words of a refusal.
function show(page) {
  document.body.replaceWith(page.body);
  scrollTo(0, 0);
  begin();
}

// A worklist's outcome is of the flats that are ticked; without a tick it would be of none, and the
// server refuses it.
function unticked(button) {
  const boxes = [...document.querySelectorAll("input[name=resident_id]")];
  return button.formAction.includes("/resolve:") && boxes.length > 0 && !boxes.some((box) => box.checked);
}

function begin() {
  tries = 0;
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
if (load()) {
  say("sending");
  send();
}
