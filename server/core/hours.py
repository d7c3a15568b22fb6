"""Hours that volunteers give, saved and drawn as help ("service savings", Wuhan). Pure.

Double entry. Every entry takes minutes from some accounts and gives them to others, and its lines
sum to zero, so all lines together always do. What the community has been given is either saved by
somebody or has been drawn for a household:

    given  =  saved  +  drawn

No balance is ever negative. Nothing is changed or deleted: what was wrong is put right by a
counter-entry that names the entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class AccountKind(StrEnum):
    """Whose account it is."""

    GIVEN = "given"
    """The community's pool: all hours it was given. Grows on the other side than the rest."""
    SAVED = "saved"
    """A volunteer's savings."""
    DRAWN = "drawn"
    """What was drawn as help for a resident's household."""


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """An account, of a community, a person or a resident (`of`: the id)."""

    kind: AccountKind
    of: int

    @property
    def name(self) -> str:
        """As the database calls it: "saved:17"."""
        return f"{self.kind.value}:{self.of}"


class EntryKind(StrEnum):
    """Why minutes moved."""

    ROUND = "round"
    RESPONSE = "response"
    REQUEST = "request"
    """A help request that a volunteer saw to."""
    DRAW = "draw"
    """Savings, drawn as help."""
    COUNTER = "counter"
    """Undoes one earlier entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement. `key`: what it is about, once ("round:12", "response:5:17", "draw:9"); `lines`:
    minutes by account, positive where they are given to. `counters`: the key of what it undoes."""

    key: str
    kind: EntryKind
    lines: Mapping[Account, int]
    counters: str | None = None

    def __post_init__(self) -> None:
        assert sum(self.lines.values()) == 0, "an entry that does not sum to zero makes hours"
        assert all(self.lines.values()), "a line without minutes says nothing"


def balance_change(account: Account, minutes: int) -> int:
    """How a line changes its account's balance: the pool stands on the other side."""
    return -minutes if account.kind is AccountKind.GIVEN else minutes


def gift(key: str, kind: EntryKind, community: int, person: int, minutes: int) -> Entry:
    """A volunteer gave time. `minutes` > 0."""
    assert minutes > 0, "time that was given is positive"
    return Entry(key, kind, {
        Account(AccountKind.GIVEN, community): -minutes,
        Account(AccountKind.SAVED, person): minutes,
    })  # fmt: skip


def draw(key: str, person: int, resident: int, minutes: int) -> Entry:
    """A volunteer's savings become help for a household. `minutes` > 0."""
    assert minutes > 0, "what is drawn is positive"
    return Entry(key, EntryKind.DRAW, {
        Account(AccountKind.SAVED, person): -minutes,
        Account(AccountKind.DRAWN, resident): minutes,
    })  # fmt: skip


def counter(entry: Entry) -> Entry:
    """What undoes an entry: the same minutes, the other way, once (its key says of what)."""
    lines = {account: -minutes for account, minutes in entry.lines.items()}
    return Entry(f"counter:{entry.key}", EntryKind.COUNTER, lines, entry.key)


class Reason(StrEnum):
    """Why an entry was taken or not."""

    POSTED = "posted"
    ALREADY = "already"
    """Its key is in the book: once is enough."""
    SHORT = "short"
    """An account would fall below zero."""


def judge(entry: Entry, known: bool, balances: Mapping[Account, int]) -> Reason:
    """Whether an entry may be posted. `known`: its key is in the book; `balances`: of its accounts
    (one that is missing is empty)."""
    if known:
        return Reason.ALREADY
    for account, minutes in entry.lines.items():
        if balances.get(account, 0) + balance_change(account, minutes) < 0:
            return Reason.SHORT
    return Reason.POSTED
