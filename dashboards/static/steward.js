// Keeps a tap that did not get through, says so, and sends it again. Without this the page is plain forms.
//
// A tap counts once the server has answered, and until then the page says that it doesn't. Sending one
// twice is harmless. A tap that waited too long is given up: "I am going" of an hour ago is no help.

const TOO_OLD_MS = 10 * 60 * 1000;
const TIMEOUT_MS = 10000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const STORED = `unsent ${location.pathname}`;

let tries = 0;
let timer = 0;
let sending = false;

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED));
  } catch {
    return null;
  }
}

function forget() {
  sessionStorage.removeItem(STORED);
  stop();
}

function stop() {
  clearTimeout(timer);
  timer = 0;
}

function say(words) {
  const place = document.getElementById("unsent");
  const tap = load();
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
    const html = await answer.text();
    if (load()?.at === tap.at) forget(); // else another button was tapped meanwhile
    show(html);
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
function show(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  document.body.replaceWith(page.body);
  scrollTo(0, 0);
  begin();
}

function begin() {
  tries = 0;
  document.getElementById("act")?.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.hasAttribute("formaction")) return;
    event.preventDefault();
    const fields = [...new FormData(event.target)];
    const words = button.firstChild.textContent.trim();
    const path = new URL(button.formAction).pathname;
    sessionStorage.setItem(STORED, JSON.stringify({ path, fields, words, at: Date.now() }));
    for (const each of document.querySelectorAll("button.b")) each.disabled = each === button;
    say("sending");
    tries = 0;
    send();
  });
}

begin();
addEventListener("online", send);
if (load()) {
  say("sending");
  send();
}
