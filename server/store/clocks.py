"""Communities that live by one clock: the same zone and the same rounds. Of hundreds of communities
most do, so what is due by the clock is asked once for all of them.

A ring of the bell reads the clocks as they are written; only what was made of the same words
before is not made again.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from server import tables as t
from server.core import rounds
from server.store.communities import FACTS, WRITTEN, Clock, CommunityFacts

COMMUNITY, ROUND = t.table(t.Community), t.table(t.Round)
_WRITTEN = WRITTEN.element
Lacks = Literal["opening", "chime", "calls"]


class Shared(NamedTuple):
    """A clock and what it is written as; so many `communities` live by it."""

    tz: str
    written: str
    communities: int

    @property
    def clock(self) -> Clock:
        """Zone and rounds."""
        return read(self.tz, self.written)


def read(tz: str, written: str) -> Clock:
    """The clock that is written so. Never raises: what can't be read is in its `problems`."""
    try:
        return _whole(tz, written)
    except _NotWholeError as error:
        return error.clock


class _NotWholeError(Exception):
    """Something of it can't be read. It is not remembered: tomorrow it may be."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock


@lru_cache(maxsize=1024)  # asked at every ring, of communities that hardly ever change
def _whole(tz: str, written: str) -> Clock:
    clock = Clock(tz, written)
    if clock.problems:
        raise _NotWholeError(clock)
    return clock


_SHARED = (
    select(COMMUNITY.c.tz, _WRITTEN, func.count())
    .group_by(COMMUNITY.c.tz, _WRITTEN)
    .order_by(func.min(COMMUNITY.c.series))
)


def shared(conn: Connection) -> tuple[Shared, ...]:
    """The clocks that are in use, each once; the first community's first."""
    return tuple(Shared(row[0] or "", row[1] or "", row[2]) for row in conn.execute(_SHARED))


_LIVES_BY = and_(COMMUNITY.c.tz == bindparam("tz"), _WRITTEN.in_([bindparam("written")]))


def ids(conn: Connection, by: Shared) -> list[int]:
    """The communities that live by this clock."""
    query = select(COMMUNITY.c.id).where(_LIVES_BY).order_by(COMMUNITY.c.series)
    asked = {"tz": by.tz, "written": by.written}
    return list(conn.execute(query, asked).scalars())


_DONE: dict[Lacks, ColumnElement[Any]] = {
    "opening": ROUND.c.id, "chime": ROUND.c.prompted_at, "calls": ROUND.c.called_at
}


def _lacking(what: frozenset[Lacks]) -> Select[Any]:
    theirs = and_(ROUND.c.community_id == COMMUNITY.c.id, ROUND.c.due_at == bindparam("due"))
    return (
        FACTS
        .outerjoin(ROUND, theirs)
        .where(_LIVES_BY, or_(*(_DONE[one].is_(None) for one in sorted(what))))
        .order_by(COMMUNITY.c.series)
        .limit(bindparam("most"))
    )


_LACKING = {
    what: _lacking(what)
    for what in map(frozenset[Lacks], (("opening",), ("opening", "chime"), ("calls",)))
}


def lacking(
    conn: Connection, by: Shared, due_at: datetime, what: frozenset[Lacks], limit: int
) -> tuple[CommunityFacts, ...]:
    """Up to `limit` of the communities of this clock whose round of `due_at` lacks any of `what`:
    its row (the opening), its chime, its calls to residents. One index look-up for each."""
    asked = {"tz": by.tz, "written": by.written, "due": due_at, "most": limit}
    found = conn.execute(_LACKING[what], asked).mappings()
    return tuple(CommunityFacts(row) for row in found)


def wanting(current: rounds.Occurrence, now: datetime) -> frozenset[Lacks]:
    """What a running round should have by `now`, beside its calls."""
    chimes = current.prompt_at <= now < current.due_at
    return frozenset[Lacks](("opening", "chime") if chimes else ("opening",))


class Desk(NamedTuple):
    """A community whose desk is looked at."""

    id: int
    series: int
    name: str
    clock: Clock


_DESKS = FACTS.order_by(COMMUNITY.c.series).limit(bindparam("most")).offset(bindparam("after"))


def desks(conn: Connection, after: int, most: int) -> tuple[Desk, ...]:
    """Up to `most` communities, past the first `after` of them."""
    rows = conn.execute(_DESKS, {"after": after, "most": most})
    return tuple(Desk(r[0], r[1], r[2], read(r[3] or "", r[4] or "")) for r in rows)
