"""Supervising devices: heartbeats, wills, command answers. Our own sight is in sight.py, what is
made of silence in parents.py.

The device and the person are supervised apart: nothing here is a sign of life.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from server.core.numbers import number_in
from server.core.words import Fault
from server.database import Tx
from server.service import device_keys, raising
from server.service.house import House
from server.service.sight import HEARTBEATS_MISSED
from server.store import commands, events, journal, signals
from server.tables import to_ms

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
    key_v: int | None = None
    """Version of the broker password that it has connected with."""
    via: str | None = None
    """The bridge that it hangs on; empty: none."""


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
    def seq(self) -> int: ...
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
    known: Mapping[str, signals.Known],
    words: "Words",
) -> list[str]:
    """Fold all words of a batch into one presence row a terminal; returns those that were lost and
    are back."""
    rows: dict[str, signals.Presence] = {}
    back: list[str] = []
    online: set[str] = set()
    gone = 0
    now_ms = to_ms(tx.now)

    def alive(device: _Event | Heartbeat, boot: int | None) -> signals.Presence:
        row = _alive(device.t, boot, None)
        row.battery = row.battery if device.bat is None else device.bat
        row.mains = row.mains if device.mains is None else device.mains
        row.rssi = row.rssi if device.rssi is None else device.rssi
        return row

    def _alive(terminal_id: str, boot: int | None, hb_s: int | None) -> signals.Presence:
        terminal = known[terminal_id]
        row = rows.get(terminal_id)
        if row is None:
            row = rows[terminal_id] = signals.Presence(terminal_id)
        row.boot = row.boot if boot is None else boot
        row.status = "online"
        row.last_seen_ms = now_ms
        interval_s = hb_s or row.heartbeat_s or terminal.heartbeat_s
        row.heartbeat_due_ms = now_ms + int(interval_s * HEARTBEATS_MISSED * 1000)
        if terminal.status == "lost":
            back.append(terminal_id)
        return row

    for e in words.events:
        # Never back: a stored event of an earlier life must not make that life's will current.
        alive(e, max(e.boot, known[e.t].boot)).stored(events.place(e.boot, e.seq))
    for h in words.heartbeats:
        if h.t in known:
            alive(h, h.boot)
    for s in words.statuses:
        if s.t not in known:
            continue
        before = rows.get(s.t)
        newest = (before.boot if before else None) or known[s.t].boot
        if s.s == "online":
            row = _alive(s.t, s.boot, s.hb_s)
            online.add(s.t)
            row.firmware = row.firmware if s.fw is None else s.fw
            row.heartbeat_s = row.heartbeat_s if s.hb_s is None else s.hb_s
            row.via = row.via if s.via is None else s.via
            if s.key_v:
                device_keys.in_use(tx, s.t, s.key_v)
        elif s.boot is None or s.boot >= newest:  # a will of an older life is stale
            row = rows.setdefault(s.t, signals.Presence(s.t))
            row.heartbeat_due_ms = now_ms + int(tx.real(WILL_GRACE).total_seconds() * 1000)
            gone += 1
    signals.mark_presence(tx.conn, list(rows.values()))
    if online and commands.again(tx.conn, online, tx.now):
        tx.wake("commands")
    if gone >= MANY and not journal.noted(tx.conn, "many_gone", tx.now - tx.real(NOTICE_AGAIN)):
        journal.note(tx, "many_gone", terminals=gone, grace_s=int(WILL_GRACE.total_seconds()))
    if back:
        raising.fault_over(tx, house, Fault.OFFLINE, sorted(set(back)))
        journal.append(
            tx,
            [
                {"kind": "device_back", "building_id": known[t].building_id,
                 "flat_id": known[t].flat_id, "data": {"terminal": t}}
                for t in sorted(set(back))
            ],
        )  # fmt: skip
    return back


def command_acks(tx: Tx, acks: Sequence[CommandAck]) -> None:
    """Record what terminals did with their commands; receipts are no rows and are passed over."""
    for ack in acks:
        number = number_in(ack.cmd_id[2:]) if ack.cmd_id.startswith("c-") else None
        if number is not None:
            commands.answered(tx.conn, ack.t, number, ack.result)
            device_keys.answered(tx, ack.t, number, ack.result)
