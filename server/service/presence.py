"""Supervising devices and ourselves: heartbeats, wills, command answers, and gateways heard.

The device and the person are supervised apart: nothing here is a sign of life.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import RowMapping

from server.core.words import Fault
from server.database import Tx
from server.service import raising
from server.service.house import House
from server.store import journal, outbox, signals

HEARTBEATS_MISSED = 2.5
"""A device is silent when this many of its intervals passed without a word."""
WILL_GRACE = timedelta(seconds=120)
"""A restart of broker or router makes every device "lost" for a moment: no flood for that."""
GATEWAY_GAP = timedelta(seconds=60)
"""A gateway that said nothing for so long (it asks for commands every 20 s) left us blind."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A device lives. All but the terminal's id may be missing."""

    t: str
    boot: int | None = None
    bat: int | None = None
    mains: bool | None = None
    rssi: int | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A device came online, or its will says that it is lost."""

    t: str
    s: str
    boot: int | None = None
    fw: str | None = None
    hb_s: int | None = None


@dataclass(frozen=True, slots=True)
class CommandAck:
    """What a terminal did with a command."""

    t: str
    cmd_id: str
    result: str


class _Event(Protocol):
    @property
    def t(self) -> str: ...
    @property
    def boot(self) -> int: ...
    @property
    def bat(self) -> int | None: ...
    @property
    def mains(self) -> bool | None: ...
    @property
    def rssi(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Words:
    """All that devices said of themselves in one batch."""

    heartbeats: Sequence[Heartbeat] = ()
    statuses: Sequence[Status] = ()
    events: Sequence[_Event] = ()


def heard(tx: Tx, gateway_id: str) -> None:
    """A gateway spoke. After a gap, the time since is noted as blind."""
    gap = tx.real(GATEWAY_GAP)
    row = signals.gateway(tx.conn, gateway_id)
    if row is None:
        signals.set_gateway(tx.conn, gateway_id, tx.now, tx.now)
        journal.note(tx, "gateway_heard", gateway=gateway_id)
        return
    if tx.now - row["last_heard_at"] <= gap / 12:  # not a write for every batch
        return
    if not signals.hold_gateway(tx.conn, gateway_id):
        return
    if tx.now - row["last_heard_at"] > gap:
        signals.set_gateway(tx.conn, gateway_id, tx.now, tx.now)
        # Nobody could hear the devices meanwhile: our outage is not a thousand silent devices.
        signals.heartbeats_anew(tx.conn, tx.now, HEARTBEATS_MISSED)
        journal.note(
            tx, "sight_regained", gateway=gateway_id,
            blind_from=row["last_heard_at"].isoformat(), blind_to=tx.now.isoformat(),
        )  # fmt: skip
    else:
        signals.set_gateway(tx.conn, gateway_id, tx.now, row["resumed_at"])


def update(
    tx: Tx,
    house: House,
    known: Mapping[str, RowMapping],
    words: "Words",
) -> None:
    """Fold all words of a batch into one presence row a terminal."""
    rows: dict[str, dict[str, Any]] = {}
    back: list[str] = []

    def alive(terminal_id: str, hb_s: int | None = None, **values: Any) -> None:
        interval_s = hb_s or known[terminal_id]["heartbeat_s"]
        row = rows.setdefault(terminal_id, {"t_id": terminal_id})
        row.update({k: v for k, v in values.items() if v is not None})
        row["status"] = "online"
        row["last_seen_at"] = tx.now
        row["heartbeat_due_at"] = tx.now + timedelta(seconds=interval_s * HEARTBEATS_MISSED)
        if known[terminal_id]["status"] == "lost":
            back.append(terminal_id)

    for e in words.events:
        # Never back: a stored event of an earlier life must not make that life's will current.
        alive(e.t, boot=max(e.boot, known[e.t]["boot"]), battery=e.bat, mains=e.mains, rssi=e.rssi)
    for h in words.heartbeats:
        if h.t in known:
            alive(h.t, boot=h.boot, battery=h.bat, mains=h.mains, rssi=h.rssi)
    for s in words.statuses:
        if s.t not in known:
            continue
        newest = rows.get(s.t, {}).get("boot") or known[s.t]["boot"]
        if s.s == "online":
            alive(s.t, s.hb_s, boot=s.boot, firmware=s.fw, heartbeat_s=s.hb_s)
        elif s.boot is None or s.boot >= newest:  # a will of an older life is stale
            row = rows.setdefault(s.t, {"t_id": s.t})
            row["heartbeat_due_at"] = tx.now + tx.real(WILL_GRACE)
    signals.mark_presence(tx.conn, list(rows.values()))
    if back:
        raising.fault_over(tx, house, Fault.OFFLINE, sorted(set(back)))
        journal.append(
            tx,
            [
                {"kind": "device_back", "building_id": known[t]["building_id"],
                 "flat_id": known[t]["flat_id"], "data": {"terminal": t}}
                for t in sorted(set(back))
            ],
        )  # fmt: skip


def command_acks(tx: Tx, acks: Sequence[CommandAck]) -> None:
    """Record what terminals did with their commands; receipts are no rows and are passed over."""
    for ack in acks:
        number = ack.cmd_id.removeprefix("c-")
        if number != ack.cmd_id and number.isdigit() and len(number) < 18:
            outbox.command_answered(tx.conn, ack.t, int(number), ack.result)


def silent_devices(tx: Tx, house: House, limit: int) -> int:
    """Open a fault for each device whose heartbeat is overdue; returns how many."""
    overdue = signals.devices_overdue(tx.conn, tx.now, limit)
    for row in overdue:
        signals.set_device_lost(tx.conn, row["id"])
        raising.fault(
            tx, house, Fault.OFFLINE, row["id"], building_id=row["building_id"],
            resident_id=row["resident_id"], terminal_id=row["id"],
        )  # fmt: skip
    return len(overdue)
