"""The simulator's control over HTTP, under /sim: look at terminals, press their buttons.

For testers, scenarios and the reconciliation of a run. It is part of the simulator only and
must never be mounted on the server.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from firmware_sim.fleet import Fleet
from firmware_sim.manifest import TerminalEntry
from firmware_sim.node import UnknownTerminalError
from firmware_sim.residents import Residents
from firmware_sim.runner import Result
from firmware_sim.state import own_time_ms, rssi_now
from firmware_sim.story import Scenario, Step
from firmware_sim.trouble_api import router as trouble_router
from firmware_sim.wire import Kind


class PressRequest(BaseModel):
    """Which button; `test` marks a drill, `want` says what a `help` asks for."""

    kind: Literal["sos", "checkin", "test", "fall", "sos_cancel", "tamper", "help"]
    test: bool = False
    want: Literal["errand", "repair", "haircut", "wish", "other"] | None = None


def terminal_view(fleet: Fleet, terminal: str) -> dict[str, Any]:
    """What can be seen and heard at a terminal. Raises UnknownTerminalError."""
    state, entry = fleet.state(terminal), fleet.entry(terminal)
    node, now_ms = fleet.node(terminal), fleet.clock.now_ms()
    view: dict[str, Any] = {
        "id": terminal,
        "building": entry.building,
        "floor": entry.floor,
        "flat": entry.flat,
        "profile": str(entry.profile),
        "story": entry.story,
        "fw": entry.fw,
        "simulated": True,
        "link": node.link,
        "network": node.network_up,
        "flash_stores": node.stores,
        "flash_wear": round(node.flash_wear, 6),
        "powered": state is not None,
        "battery_in": fleet.parts(terminal).battery.fitted,
        "connected": state is not None and state.connected,
        "led": "dark" if state is None else str(state.led),
        "said": [
            {"at_ms": at_ms, "text": say.text, "key": say.key}
            for at_ms, say in fleet.heard(terminal)
        ],
        # In the flash of a dark one, until it starts again.
        "pending": [
            {"boot": event.ref.boot, "seq": event.ref.seq, "type": str(event.kind),
             "attempt": 0, "buffered": True, "next_ms": None}
            for event in fleet.kept(terminal)
        ],
    }  # fmt: skip
    if state is not None:
        view |= {
            "boot": state.boot,
            "seq": state.seq,
            "buzzing": state.buzzing,
            "who": None if state.alarm is None else state.alarm.who,
            "battery": int(state.battery.at(now_ms)),
            "mains": state.battery.mains,
            "temp_c": state.battery.temp_c,
            "rssi": rssi_now(state, now_ms),
            "clock_ok": state.clock_ok,
            "clock_off_s": round((own_time_ms(state, now_ms) - now_ms) / 1000, 1),
            "hung": state.hung_ms is not None,
            "reset": node.reset,
            "volume": state.config.volume,
            "hb_s": state.config.hb_s,
            "pending": [
                {
                    "boot": pending.event.ref.boot,
                    "seq": pending.event.ref.seq,
                    "type": str(pending.event.kind),
                    "attempt": pending.attempt,
                    "buffered": pending.buffered,
                    "next_ms": pending.next_ms,
                }
                for pending in state.pending
            ],
        }
    return view


def brief_view(fleet: Fleet, terminal: str) -> dict[str, Any]:
    """One line of a list of terminals. Raises UnknownTerminalError."""
    state, entry = fleet.state(terminal), fleet.entry(terminal)
    return {
        "id": terminal,
        "building": entry.building,
        "flat": entry.flat,
        "floor": entry.floor,
        "powered": state is not None,
        "connected": state is not None and state.connected,
        "led": "dark" if state is None else str(state.led),
        "buzzing": state is not None and state.buzzing,
        "mains": state is not None and state.battery.mains,
        "waiting": len(fleet.kept(terminal)),
    }


MOST_LISTED: Final = 200


def find(fleet: Fleet, words: str) -> list[str]:
    """Terminals that fit: "11" or "11栋" a building, else parts of an id, a flat, a profile or a
    lamp; whose lamp burns come first. An empty wish finds all."""
    text = words.strip().lower()
    building = re.fullmatch(r"(\d{1,3})\s*(?:栋|幢|座|#)?", text)

    def fits(entry: TerminalEntry) -> bool:
        if building:
            return entry.building == int(building.group(1))
        state = fleet.state(entry.id)
        led = "dark" if state is None else str(state.led)
        return text in f"{entry.id} {entry.flat} {entry.profile} {led}".lower()

    def calm(terminal: str) -> bool:
        state = fleet.state(terminal)
        return state is None or state.alarm is None

    return sorted((e.id for e in fleet.terminals if fits(e)), key=calm)


def exposition(fleet: Fleet) -> str:
    """The fleet's figures in Prometheus's text form. Counters never fall within a run."""
    now = fleet.summary()
    figures = now.figures
    lines: list[str] = []

    def add(name: str, kind: str, value: int | float, labels: str = "") -> None:
        full = f"xunlou_sim_{name}"
        if f"# TYPE {full} {kind}" not in lines:
            lines.append(f"# TYPE {full} {kind}")
        # Six digits of `:g` would make a counter above a million stand still, and then leap.
        lines.append(f"{full}{labels} {value if isinstance(value, int) else repr(value)}")

    for name, gauge in (
        ("terminals", now.terminals), ("connected", now.connected), ("dark", now.dark),
        ("waiting", figures.waiting), ("lost", figures.lost),
    ):  # fmt: skip
        add(name, "gauge", gauge)
    for name, counter in (
        ("sent", figures.sent), ("pubacks", figures.pubacks), ("receipts", figures.receipts),
        ("resent", figures.resent), ("expired", figures.expired),
    ):  # fmt: skip
        add(f"{name}_total", "counter", counter)
    for kind, count in figures.by_kind.items():
        add("events_total", "counter", count, f'{{type="{kind}"}}')
    for rank, ms in figures.receipt_after_ms.items():
        add("receipt_after_seconds", "gauge", ms / 1000, f'{{rank="{rank}"}}')
    for fault, count in sorted(now.faults.items()):
        what = fault.replace("\\", " ").replace('"', " ").replace("\n", " ")
        add("faults_total", "counter", count, f'{{what="{what}"}}')
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Progress:
    """How far the scenarios have come. Without any they are done from the start."""

    playing: bool = False
    steps: list[dict[str, Any]] = field(default_factory=list)

    def report(self, story: Scenario, step: Step, result: Result) -> None:
        """Note how a step went."""
        self.steps.append({"scenario": story.name, "title": step.title, **asdict(result)})


def router(fleet: Fleet, residents: Residents, progress: Progress) -> APIRouter:
    """The endpoints, to be included in the phones' application."""
    api = APIRouter(prefix="/sim")
    def known(terminal: str) -> str:
        try:
            fleet.entry(terminal)
        except UnknownTerminalError as error:
            raise HTTPException(404, str(error.args[0])) from error
        return terminal

    @api.get("/summary")
    async def summary() -> dict[str, Any]:
        """Figures for reconciliation; `identities` lists every call for help."""
        now = fleet.summary()
        return {
            "now_ms": fleet.clock.now_ms(),
            "terminals": now.terminals,
            "connected": now.connected,
            "dark": now.dark,
            "quiet": residents.quiet,
            **asdict(now.figures),
            "faults": now.faults,
            "identities": [entry.as_json() for entry in fleet.ledger.entries()],
        }

    @api.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> str:
        """The same for Prometheus, while it runs."""
        return exposition(fleet)

    @api.get("/ledger")
    async def ledger(kind: Kind = Kind.CHECKIN) -> dict[str, Any]:
        """Every identity of one kind that is still in the books."""
        return {"entries": [entry.as_json() for entry in fleet.ledger.entries((kind,))]}

    @api.get("/terminals")
    async def listed(q: str = "", limit: int = MOST_LISTED) -> dict[str, Any]:
        """The terminals that fit `q` (see `find`), alarms first."""
        found = find(fleet, q)
        shown = found[: max(0, min(limit, MOST_LISTED))]
        return {"found": len(found), "terminals": [brief_view(fleet, t) for t in shown]}

    @api.get("/terminals/{terminal}")
    async def look(terminal: str) -> dict[str, Any]:
        """One terminal."""
        return terminal_view(fleet, known(terminal))

    @api.post("/terminals/{terminal}/press")
    async def press(terminal: str, wanted: PressRequest) -> dict[str, Any]:
        """Press; boot and seq of the event, or null when nothing came of it."""
        ref = fleet.press(known(terminal), Kind(wanted.kind), wanted.test, wanted.want)
        view = terminal_view(fleet, terminal)
        identity = {"boot": ref.boot if ref else None, "seq": ref.seq if ref else None}
        return {"terminal": view, "t": terminal, **identity}

    @api.get("/scenario")
    async def scenario() -> dict[str, Any]:
        """The steps played so far, and whether a scenario goes on."""
        ok = all(step["ok"] for step in progress.steps)
        return {"playing": progress.playing, "ok": ok, "steps": progress.steps}

    @api.post("/quiet")
    async def quiet(on: bool = True) -> dict[str, Any]:
        """Residents begin nothing new (?on=false: they do again); what is pending goes on."""
        residents.quiet = on
        return {"quiet": on, "waiting": len(set(fleet.waiting()))}

    api.include_router(trouble_router(fleet))
    return api
