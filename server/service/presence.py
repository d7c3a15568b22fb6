"""Supervising devices: heartbeats, wills, command answers. Our own sight is in sight.py, what is
made of silence in parents.py.

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
from server.service.sight import HEARTBEATS_MISSED
from server.store import journal, outbox, signals

WILL_GRACE = timedelta(seconds=120)
"""A restart of broker or router makes every device "lost" for a moment: no flood for that."""
MANY = 20
"""So many wills in one batch are a restart of ours or of the network: one notice."""
NOTICE_AGAIN = timedelta(minutes=5)


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


def update(
    tx: Tx,
    house: House,
    known: Mapping[str, RowMapping],
    words: "Words",
) -> None:
    """Fold all words of a batch into one presence row a terminal."""
    rows: dict[str, dict[str, Any]] = {}
    back: list[str] = []
    gone = 0

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
            gone += 1
    signals.mark_presence(tx.conn, list(rows.values()))
    if gone >= MANY and not journal.noted(tx.conn, "many_gone", tx.now - tx.real(NOTICE_AGAIN)):
        journal.note(tx, "many_gone", terminals=gone, grace_s=int(WILL_GRACE.total_seconds()))
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
