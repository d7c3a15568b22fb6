// The tester's page: asks once a second how things are, and posts what the tester does.
// It must never build HTML out of words: all text is set as text.
"use strict";

const $ = (id) => document.getElementById(id);
const LED = {
  idle: ["平静", "idle"], sending: ["正在呼叫", "sending"], centre_has_it: ["中心已收到", "the centre has it"],
  help_coming: ["有人来了", "help is coming"], resolved: ["已处理", "resolved"], dark: ["没电", "dark"],
};
const address = new URL(location.href);
let chosen = address.searchParams.get("t") || "";
let building = null;
$("q").value = address.searchParams.get("q") || "";

async function ask(path, body, method) {
  const options = body === undefined ? { method: method || "GET" } : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(8000) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(typeof found.detail === "string" ? found.detail : JSON.stringify(found.detail));
  return found;
}

async function act(path, body, method) {
  try {
    await ask(path, body, method);
    $("said").textContent = "";
  } catch (error) {
    $("said").textContent = `没做成 · not done: ${error.message}`;
  }
  await look();
}

const two = (zh, en) => {
  const span = document.createElement("span");
  span.lang = "en";
  span.textContent = en;
  return [`${zh} `, span];
};

const time = (ms) => new Date(ms).toLocaleTimeString("zh-CN", { timeZone: "Asia/Shanghai", hour12: false });

function remember() {
  address.searchParams.set("t", chosen);
  address.searchParams.set("q", $("q").value);
  history.replaceState(null, "", address);
}

function showHouse(house) {
  $("now").textContent = new Date(house.now_ms).toLocaleString("zh-CN", { timeZone: "Asia/Shanghai", hour12: false });
  $("figures").replaceChildren(
    ...two(`在线 ${house.connected}/${house.terminals}，没电 ${house.dark}，呼叫 ${house.calling}`,
      `connected ${house.connected}/${house.terminals}, dark ${house.dark}, calling ${house.calling}`));
  const pace = $("speed");
  if (document.activeElement !== pace) {
    if (![...pace.options].some((o) => Number(o.value) === house.speed)) pace.append(new Option(`× ${house.speed}`, house.speed));
    pace.value = String(house.speed);
  }
  pace.disabled = !house.clock_moves;
  document.querySelectorAll("[data-jump]").forEach((b) => { b.disabled = !house.clock_moves; });
  document.querySelectorAll("[data-broker]").forEach((b) => {
    b.disabled = !house.clock_moves || (b.dataset.broker === "on") === house.broker_on;
  });
}

function showList(list) {
  $("found").replaceChildren(...two(`${list.found} 台`, `${list.found} found, showing ${list.terminals.length}`));
  const rows = $("terminals");
  const old = new Map([...rows.children].map((li) => [li.dataset.id, li]));
  const fresh = list.terminals.map((one) => {
    const li = old.get(one.id) || document.createElement("li");
    if (!li.firstChild) {
      li.dataset.id = one.id;
      const button = document.createElement("button");
      button.type = "button";
      button.append(document.createElement("span"), document.createElement("span"));
      button.addEventListener("click", () => { chosen = one.id; remember(); look(); });
      li.append(button);
    }
    const button = li.firstChild;
    button.setAttribute("aria-pressed", String(one.id === chosen));
    button.children[0].textContent = one.id;
    const [zh, en] = one.powered && !one.connected ? ["断线", "offline"] : LED[one.led];
    button.children[1].replaceChildren(...two(zh, en));
    return li;
  });
  // Moving the button under a finger would lose the press.
  const same = fresh.length === rows.children.length && fresh.every((li, i) => li === rows.children[i]);
  if (!same && !rows.matches(":active")) rows.replaceChildren(...fresh);
}

function showOne(one) {
  $("one").hidden = false;
  building = one.building;
  $("building").textContent = `${one.building}栋`;
  $("h-one").replaceChildren(`${one.id} · ${one.building}栋 ${one.flat} `, ...two("", `floor ${one.floor}, ${one.profile}`));
  const [zh, en] = LED[one.led];
  $("lamp").dataset.led = one.led;
  $("lamp").querySelector("b").textContent = zh;
  $("lamp").querySelector("span").textContent = one.who ? `${en} · ${one.who}` : en;
  $("buzz").hidden = !one.buzzing;
  $("voice").replaceChildren(...one.said.slice(-8).reverse().map((line) => {
    const li = document.createElement("li");
    li.textContent = `${time(line.at_ms)} ${line.text}`;
    return li;
  }));
  const facts = [
    ["连接 line", one.connected ? "在线 up" : "断开 down"], ["固件 firmware", one.fw],
    ["插头 mains", one.mains ? "有 on" : "无 off"], ["电量 battery", !one.battery_in ? "无 none" : one.battery === undefined ? "–" : `${one.battery} %`],
    ["信号 rssi", one.rssi === undefined ? "–" : `${one.rssi} dBm`], ["链路 link", one.link || "–"],
    ["启动 boot", one.boot ?? "–"], ["序号 seq", one.seq ?? "–"], ["等回执 waiting", one.pending.length],
    ["时钟差 clock", one.clock_ok === false ? "未设 unset" : `${one.clock_off_s ?? "–"} s`],
    ["死机 hung", one.hung ? "是 yes" : "否 no"], ["室温 °C", one.temp_c ?? "–"],
  ];
  $("facts").replaceChildren(...facts.map(([name, value]) => {
    const row = document.createElement("div");
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = name;
    dd.textContent = String(value);
    row.append(dt, dd);
    return row;
  }));
}

function showTexts(found) {
  $("texts").replaceChildren(...found.texts.map((text) => {
    const li = document.createElement("li");
    const small = document.createElement("small");
    small.textContent = `${time(text.at_ms)} ${text.building ? `${text.building}栋 ` : ""}${text.name} ${text.from_phone ? "→" : "←"} ${text.status}`;
    li.append(small, text.body);
    return li;
  }));
}

let looking = null;
let again = false;
function look() {
  if (looking) { again = true; return looking; }
  looking = (async () => {
    do {
      again = false;
      const where = chosen ? ask(`/sim/terminals/${encodeURIComponent(chosen)}`).catch(() => null) : null;
      const [house, list, one, faults] = await Promise.all([
        ask("/sim/house"), ask(`/sim/terminals?limit=80&q=${encodeURIComponent($("q").value)}`), where, ask("/faults"),
      ]);
      showHouse(house);
      showList(list);
      if (one) showOne(one);
      $("faults").textContent = faults.faults.map((f) => `${f.kind} × ${f.count}`).join(", ");
      showTexts(await ask(`/sim/texts?limit=40${one ? `&building=${one.building}` : ""}`));
    } while (again);
  })().finally(() => { looking = null; });
  return looking;
}

async function poll() {
  try {
    await look();
    if ($("said").dataset.lost) { $("said").textContent = ""; delete $("said").dataset.lost; }
  } catch {
    $("said").textContent = "连接断开，正在重试 · connection lost, trying again";
    $("said").dataset.lost = "yes";
  }
  setTimeout(poll, document.hidden ? 5000 : 1000);
}

$("find").addEventListener("submit", (event) => { event.preventDefault(); remember(); look(); });
$("q").addEventListener("input", () => { remember(); look(); });
$("speed").addEventListener("change", () => act("/sim/clock", { speed: Number($("speed").value) }));
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { jump, broker, quiet, provider, key, held, do: what, building: all, with: how } = button.dataset;
  if (jump) act("/sim/clock", { by_s: Number(jump) });
  else if (broker) act("/sim/broker", { on: broker === "on" });
  else if (quiet) act(`/sim/quiet?on=${quiet}`, {});
  else if (provider === "set") act("/faults", { kind: $("provider").value, count: 5 });
  else if (provider === "clear") act("/faults", undefined, "DELETE");
  else if (key) act(`/sim/terminals/${encodeURIComponent(chosen)}/key`, { key, held_ms: Number(held), bounces: 3 });
  else if (what) act(`/sim/terminals/${encodeURIComponent(chosen)}/${what}`, JSON.parse(how));
  else if (all) act(`/sim/buildings/${building}/${all}`, JSON.parse(how));
});
poll();
