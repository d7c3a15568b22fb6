"""The ledger of hours: accounts, entries and their lines. Entries are only ever added."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    func,
    select,
    update,
)

from server import tables as t
from server.core.hours import Account, AccountKind, Entry, EntryKind, balance_change
from server.core.words import Kind, State
from server.database import Stale
from server.store.scopes import FIRST
from server.store.signals import insert

ACCOUNT, ENTRY, LINE = t.table(t.HoursAccount), t.table(t.HoursEntry), t.table(t.HoursLine)
REPORT, BUILDING, ALERT = t.table(t.RoundReport), t.table(t.Building), t.table(t.Alert)
CHORE, PERSON, ROUND = t.table(t.Chore), t.table(t.Person), t.table(t.Round)
OWNER = {
    AccountKind.GIVEN: "community_id", AccountKind.SAVED: "person_id",
    AccountKind.DRAWN: "resident_id",
}  # fmt: skip


def known(conn: Connection, key: str) -> bool:
    """Whether the book has an entry of this key."""
    return conn.execute(select(ENTRY.c.id).where(ENTRY.c.entry_key == key)).first() is not None


def balances(conn: Connection, accounts: Sequence[Account]) -> dict[Account, int]:
    """Minutes on these accounts; one that was never used is not among them."""
    names = {a.name: a for a in accounts}
    query = select(ACCOUNT.c.name, ACCOUNT.c.balance_min).where(ACCOUNT.c.name.in_(names))
    return {names[row[0]]: row[1] for row in conn.execute(query)}


def post(conn: Connection, entry: Entry, **facts: Any) -> int:
    """Write an entry that was judged good, and what it does to its accounts; returns its id.

    Raises Stale when somebody else was first: with this key, or with the minutes it would take.
    """
    statement = insert(conn, ENTRY).values(entry_key=entry.key, kind=entry.kind.value, **facts)
    made = conn.execute(statement.on_conflict_do_nothing().returning(ENTRY.c.id)).first()
    if made is None:
        raise Stale
    entry_id = int(made[0])
    ids = _accounts(conn, sorted(entry.lines))
    for account in sorted(entry.lines, key=lambda a: ids[a]):  # in one order: no two wait crosswise
        change = balance_change(account, entry.lines[account])
        after = ACCOUNT.c.balance_min + change
        done = conn.execute(
            update(ACCOUNT).where(ACCOUNT.c.id == ids[account], after >= 0)
            .values(balance_min=after)
        )  # fmt: skip
        if done.rowcount != 1:
            raise Stale
    rows = [{"entry_id": entry_id, "account_id": ids[a], "minutes": m}
            for a, m in entry.lines.items()]  # fmt: skip
    conn.execute(LINE.insert(), rows)
    return entry_id


def _accounts(conn: Connection, accounts: Sequence[Account]) -> dict[Account, int]:
    """Their ids; they are opened where they are not there yet."""
    rows = [{"name": a.name, "kind": a.kind.value, "balance_min": 0,
             **dict.fromkeys(OWNER.values()), OWNER[a.kind]: a.of} for a in accounts]  # fmt: skip
    conn.execute(insert(conn, ACCOUNT).values(rows).on_conflict_do_nothing())
    names = {a.name: a for a in accounts}
    query = select(ACCOUNT.c.name, ACCOUNT.c.id).where(ACCOUNT.c.name.in_(names))
    return {names[row[0]]: row[1] for row in conn.execute(query)}


def entry(conn: Connection, entry_id: int) -> tuple[RowMapping, Entry] | None:
    """One entry, as it stands in the book and as the rules see it."""
    row = conn.execute(select(ENTRY).where(ENTRY.c.id == entry_id)).mappings().first()
    if row is None:
        return None
    query = (
        select(ACCOUNT.c.name, LINE.c.minutes)
        .join(LINE, LINE.c.account_id == ACCOUNT.c.id)
        .where(LINE.c.entry_id == entry_id)
    )
    lines = {account_of(name): minutes for name, minutes in conn.execute(query)}
    return row, Entry(row["entry_key"], EntryKind(row["kind"]), lines)


def account_of(name: str) -> Account:
    """An account by its name in the database."""
    kind, _, of = name.partition(":")
    return Account(AccountKind(kind), int(of))


def statement(conn: Connection, account: Account, limit: int) -> Sequence[RowMapping]:
    """The last `limit` entries of an account, newest first: `minutes` (of its line), the entry's
    columns, and `undone_by`: the counter-entry, where there is one."""
    undone = ENTRY.alias("undone")
    query = (
        select(
            ENTRY, LINE.c.minutes, undone.c.id.label("undone_by"),
            BUILDING.c.number.label("building_number"),
        )
        .join(LINE, LINE.c.entry_id == ENTRY.c.id)
        .join(ACCOUNT, ACCOUNT.c.id == LINE.c.account_id)
        .outerjoin(undone, undone.c.counters == ENTRY.c.id)
        .outerjoin(BUILDING, BUILDING.c.id == ENTRY.c.building_id)
        .where(ACCOUNT.c.name == account.name)
        .order_by(ENTRY.c.id.desc())
        .limit(limit)
    )  # fmt: skip
    return conn.execute(query).mappings().all()


def of(conn: Connection, account: Account) -> list[RowMapping]:
    """Every entry of an account with its minutes, the first one first."""
    query = (
        select(ENTRY, LINE.c.minutes)
        .join(LINE, LINE.c.entry_id == ENTRY.c.id)
        .join(ACCOUNT, ACCOUNT.c.id == LINE.c.account_id)
        .where(ACCOUNT.c.name == account.name)
        .order_by(ENTRY.c.id)
    )
    return list(conn.execute(query).mappings())


_WHOSE = func.coalesce(BUILDING.c.community_id, FIRST)
"""The community to which an entry belongs: of the house where hours were given or drawn; of no
house the first. All lines of an entry are one community's, so each community's sum to zero."""


def _lines(*what: ColumnElement[Any], community_id: int) -> Select[Any]:
    return (
        select(*what)
        .select_from(LINE)
        .join(ENTRY, ENTRY.c.id == LINE.c.entry_id)
        .join(ACCOUNT, ACCOUNT.c.id == LINE.c.account_id)
        .outerjoin(BUILDING, BUILDING.c.id == ENTRY.c.building_id)
        .where(_WHOSE.in_([community_id]))
    )


def sums(conn: Connection, community_id: int) -> Mapping[str, tuple[int, int]]:
    """Kind of account → (accounts, minutes together), of what was given and drawn in a
    community."""
    together = func.coalesce(func.sum(LINE.c.minutes), 0)
    query = _lines(
        ACCOUNT.c.kind, func.count(ACCOUNT.c.id.distinct()), together, community_id=community_id
    ).group_by(ACCOUNT.c.kind)
    return {
        r[0]: (int(r[1]), -int(r[2]) if r[0] == AccountKind.GIVEN.value else int(r[2]))
        for r in conn.execute(query)
    }


def imbalance(conn: Connection) -> int:
    """The sum of all lines there are: zero, or the book is broken."""
    return int(conn.execute(select(func.coalesce(func.sum(LINE.c.minutes), 0))).scalar_one())


def by_kind(
    conn: Connection, start: datetime, end: datetime, community_id: int
) -> dict[str, tuple[int, int]]:
    """Kind of entry → (entries, minutes moved) of a time in a community; counter-entries by
    themselves."""
    query = (
        _lines(
            ENTRY.c.kind, func.count(func.distinct(ENTRY.c.id)), func.sum(LINE.c.minutes),
            community_id=community_id,
        )
        .where(ENTRY.c.happened_at >= start, ENTRY.c.happened_at < end, LINE.c.minutes > 0)
        .group_by(ENTRY.c.kind)
    )  # fmt: skip
    return {row[0]: (int(row[1]), int(row[2])) for row in conn.execute(query)}


def givers(conn: Connection, community_id: int) -> list[int]:
    """Whoever has given or drawn hours in a community, by their id and never by hours."""
    query = _lines(ACCOUNT.c.person_id, community_id=community_id).where(
        ACCOUNT.c.kind == AccountKind.SAVED.value
    )
    return sorted(set(conn.execute(query.distinct()).scalars()))


def savers(conn: Connection) -> dict[int, int]:
    """Person → minutes saved, of all who have an account."""
    query = select(ACCOUNT.c.person_id, ACCOUNT.c.balance_min).where(
        ACCOUNT.c.kind == AccountKind.SAVED.value
    )
    return {row[0]: row[1] for row in conn.execute(query)}


# What the system knows already and has not credited yet.


def reports_after(
    conn: Connection, after: int, until: datetime, limit: int
) -> Sequence[RowMapping]:
    """Rounds reported after this id and not later than `until`, in order, with their house."""
    query = (
        select(REPORT, BUILDING.c.rehearsal, ROUND.c.due_at)
        .join(BUILDING, BUILDING.c.id == REPORT.c.building_id)
        .join(ROUND, ROUND.c.id == REPORT.c.round_id)
        .where(REPORT.c.id > after)
        .order_by(REPORT.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).mappings().all()
    # The first one that is too young ends it: what it overtook may not be committed yet.
    young = next((n for n, r in enumerate(rows) if r["at"] > until), len(rows))
    return rows[:young]


def resolved_after(
    conn: Connection, after: tuple[datetime, int], opened: datetime, until: datetime, limit: int
) -> Sequence[RowMapping]:
    """SOS alerts opened since `opened` that were resolved after this place, in order."""
    since, last = after
    later = (ALERT.c.resolved_at > since) | ((ALERT.c.resolved_at == since) & (ALERT.c.id > last))
    query = (
        select(
            ALERT.c.id, ALERT.c.kind, ALERT.c.test, ALERT.c.responders, ALERT.c.resolved_at,
            ALERT.c.resolved_by, ALERT.c.building_id, BUILDING.c.rehearsal,
        )
        .outerjoin(BUILDING, BUILDING.c.id == ALERT.c.building_id)
        .where(
            ALERT.c.opened_at >= opened, ALERT.c.kind == Kind.SOS, ALERT.c.state == State.RESOLVED,
            later, ALERT.c.resolved_at <= until,
        )
        .order_by(ALERT.c.resolved_at, ALERT.c.id)
        .limit(limit)
    )  # fmt: skip
    return conn.execute(query).mappings().all()


def place(conn: Connection, chore: str) -> str | None:
    """How far a chore has come."""
    return conn.execute(select(CHORE.c.after).where(CHORE.c.name == chore)).scalar_one_or_none()


def set_place(conn: Connection, chore: str, day: int, after: str) -> None:
    """Remember how far a chore has come."""
    values = {"day": day, "after": after}
    statement = insert(conn, CHORE).values(name=chore, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=[CHORE.c.name], set_=values))
