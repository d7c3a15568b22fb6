"""The simulator's books: every press against its receipt, identity by identity.

It only writes down what drivers tell it, so that a run can be reconciled with the server: an
identity is settled by a receipt, may wait in a terminal's flash, or is lost. It must never
count a resend as a press, or forget an identity that is not settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from firmware_sim.wire import ALARM_KINDS, Kind, Ref

Identity = tuple[str, Ref]
MAX_ENTRIES: Final = 50_000


@dataclass(slots=True)
class Entry:
    """One event's life. Times are virtual epoch milliseconds."""

    t: str
    ref: Ref
    kind: Kind
    test: bool
    pressed_ms: int
    attempts: int = 0
    first_sent_ms: int | None = None
    puback_ms: int | None = None
    receipt_ms: int | None = None
    expired: bool = False

    def as_json(self) -> dict[str, object]:
        """Plain values for the control endpoint."""
        return {
            "t": self.t,
            "boot": self.ref.boot,
            "seq": self.ref.seq,
            "type": str(self.kind),
            "test": self.test,
            "pressed_ms": self.pressed_ms,
            "attempts": self.attempts,
            "first_sent_ms": self.first_sent_ms,
            "puback_ms": self.puback_ms,
            "receipt": self.receipt_ms is not None,
            "receipt_ms": self.receipt_ms,
            "expired": self.expired,
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run came to. `lost` is identities neither receipted, nor waiting, nor expired."""

    presses: int
    checkins: int
    sent: int
    pubacks: int
    receipts: int
    resent: int
    expired: int
    waiting: int
    lost: int
    by_kind: dict[str, int]
    receipt_after_ms: dict[str, int]
    """Virtual milliseconds from press to receipt: p50, p95, p99 and max, of those still in the
    books; empty before the first."""


def percentiles(values: Iterable[int]) -> dict[str, int]:
    """By nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return {}
    ranks = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: ordered[ceil(part * len(ordered)) - 1] for name, part in ranks.items()}
    return found | {"max": ordered[-1]}


@dataclass(slots=True)
class Ledger:
    """Books of one run.

    At most `max_entries` identities are kept; the oldest settled ones that are not alarms are
    folded into the sums first, then settled alarms. Unsettled ones are never dropped.
    """

    max_entries: int = MAX_ENTRIES
    _entries: dict[Identity, Entry] = field(default_factory=dict)
    _stored: Counter[str] = field(default_factory=Counter)
    _sent: int = 0
    _pubacks: int = 0
    _receipts: int = 0
    _resent: int = 0
    _expired: int = 0

    def stored(self, t: str, ref: Ref, kind: Kind, test: bool, now_ms: int) -> None:
        """A press has become an identity."""
        key = (t, ref)
        assert key not in self._entries, f"identity {key} was given out twice"
        self._entries[key] = Entry(t, ref, kind, test, now_ms)
        self._stored[kind] += 1
        if len(self._entries) > self.max_entries:
            self._fold()

    def sent(self, t: str, ref: Ref, kind: Kind, now_ms: int) -> None:
        """One attempt has left. An identity from an earlier run (its flash) is taken in here."""
        entry = self._entries.get((t, ref))
        if entry is None:
            entry = self._entries[(t, ref)] = Entry(t, ref, kind, False, now_ms)
        entry.attempts += 1
        if entry.first_sent_ms is None:
            entry.first_sent_ms = now_ms
            self._sent += 1
        else:
            self._resent += 1

    def pubacked(self, t: str, ref: Ref, now_ms: int) -> None:
        """The broker has one attempt of it; the first counts."""
        entry = self._entries.get((t, ref))
        if entry is not None and entry.puback_ms is None:
            entry.puback_ms = now_ms
            self._pubacks += 1

    def receipted(self, t: str, ref: Ref, now_ms: int) -> None:
        """The terminal has taken the receipt; repeats don't count."""
        entry = self._entries.get((t, ref))
        if entry is not None and entry.receipt_ms is None:
            entry.receipt_ms = now_ms
            self._receipts += 1

    def expired(self, t: str, ref: Ref) -> None:
        """The terminal has given the event up, by the contract's 24 hours."""
        entry = self._entries.get((t, ref))
        if entry is not None and not entry.expired:
            entry.expired = True
            self._expired += 1

    def entry(self, t: str, ref: Ref) -> Entry | None:
        """One identity's life, if it is still in the books."""
        return self._entries.get((t, ref))

    def entries(self, kinds: Iterable[Kind] = ALARM_KINDS) -> list[Entry]:
        """The identities of these kinds, in the order of their presses."""
        wanted = frozenset(kinds)
        return [entry for entry in self._entries.values() if entry.kind in wanted]

    def figures(self, waiting: Iterable[Identity]) -> Figures:
        """The sums, given the identities that lie in the terminals' flash now."""
        held = set(waiting)
        lost = sum(
            entry.receipt_ms is None and not entry.expired and key not in held
            for key, entry in self._entries.items()
        )
        return Figures(
            presses=sum(self._stored.values()),
            checkins=self._stored[Kind.CHECKIN],
            sent=self._sent,
            pubacks=self._pubacks,
            receipts=self._receipts,
            resent=self._resent,
            expired=self._expired,
            waiting=len(held),
            lost=lost,
            by_kind=dict(sorted(self._stored.items())),
            receipt_after_ms=percentiles(
                entry.receipt_ms - entry.pressed_ms
                for entry in self._entries.values()
                if entry.receipt_ms is not None
            ),
        )

    def _fold(self) -> None:
        """Drop a tenth: settled reports first, then settled alarms."""
        excess = len(self._entries) - self.max_entries * 9 // 10
        settled = [k for k, e in self._entries.items() if e.receipt_ms is not None or e.expired]
        settled.sort(key=lambda key: self._entries[key].kind in ALARM_KINDS)
        for key in settled[:excess]:
            del self._entries[key]
