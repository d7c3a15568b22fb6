// Words and figures for the live wall. The words come with the page, from the one catalogue.

const texts = JSON.parse(document.getElementById("texts").textContent);

export function t(key, params = {}) {
  let words = texts[key];
  if (words === undefined) throw new Error(`no words for ${key}`);
  for (const [name, value] of Object.entries(params)) words = words.replaceAll(`{${name}}`, value);
  return words;
}

export function has(key) {
  return texts[key] !== undefined;
}

// For words chosen by a value from the server: an unknown value is shown as it is, never hidden.
export function word(prefix, value) {
  return texts[prefix + value] ?? String(value);
}

// A field in the page's language where the server gives both.
const english = document.documentElement.lang === "en";
export function local(thing, key) {
  return (english && thing[`${key}_en`]) || thing[key];
}

// A stretch of time as mm:ss, from an hour on h:mm:ss. Never negative.
export function span(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(all / 3600);
  const rest = `${two(Math.floor(all / 60) % 60)}:${two(all % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

// Writes only what changed, so a screen reader and the layout are left in peace.
export function put(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

export function slot(root, name) {
  return root.querySelector(`[data-slot="${name}"]`);
}

// Puts people into a select, whoever is logged in first. A choice made stays made when somebody else
// is told meanwhile: else the wrong person would be put down as going.
export function offer(select, user, people) {
  const wanted = ["", ...people.keys()].join(",");
  if (select.dataset.people === wanted) return;
  const chosen = select.value;
  select.dataset.people = wanted;
  select.replaceChildren(new Option(user, ""));
  for (const [id, name] of people) select.append(new Option(name, String(id)));
  if (people.has(Number(chosen))) select.value = chosen;
}
