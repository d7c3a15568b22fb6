"""The ledger of hours: what is posted into it, and how it is put right."""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from server.core import hours as core
from server.core import hours_rule as rule
from server.core.access import EVERYWHERE, Scope
from server.core.help_requests import Helper
from server.core.hours import Account, AccountKind, Entry, EntryKind, Reason
from server.database import Tx
from server.service import auditing, effects
from server.service.refusals import Refused, Unknown
from server.store import hours as store
from server.store import people, scopes


def post(tx: Tx, entry: Entry, *, by: str, why: str = "", **facts: Any) -> Reason:
    """Post an entry, once. Raises Refused where an account would fall below zero; Stale (and the
    use-case runs again) where somebody else was first."""
    found = store.balances(tx.conn, list(entry.lines))
    reason = core.judge(entry, store.known(tx.conn, entry.key), found)
    if reason is Reason.SHORT:
        raise _short(entry, found)
    if reason is Reason.POSTED:
        when: datetime = facts.pop("happened_at", tx.now)
        store.post(tx.conn, entry, at=tx.now, happened_at=when, by=by, why=why, **facts)
    return reason


def _short(entry: Entry, found: dict[Account, int]) -> Refused:
    account = next(
        a for a, m in entry.lines.items() if found.get(a, 0) + core.balance_change(a, m) < 0
    )
    have, need = found.get(account, 0), -core.balance_change(account, entry.lines[account])
    if entry.kind is EntryKind.COUNTER:
        return Refused(
            f"{need} minutes would be taken back and {have} are left: counter what was drawn first",
            zh=f"要冲回{need}分钟,只剩{have}分钟:请先冲回已经兑换的那一笔。",
        )
    return Refused(f"{need} minutes are wanted and {have} are saved; draw less",
                   zh=f"要用{need}分钟,只存有{have}分钟,请少用一些。")  # fmt: skip


def for_request(
    tx: Tx, row: RowMapping, helper: Helper | None, minutes: int, payer_id: int | None, *, by: str
) -> None:
    """A request was solved: the helper saves the time, and the one named for it pays for the
    household. Raises Unknown, Refused."""
    helper_id = helper.person_id if helper else None
    facts = {"building_id": row["building_id"], "by": by}
    given = rule.worth(rule.SawTo(helper_id, minutes))
    if helper_id is not None and given.minutes:
        key = f"request:{row['id']}"
        pool = pool_of(tx, row["building_id"])
        post(tx, core.gift(key, EntryKind.REQUEST, pool, helper_id, given.minutes), **facts)
    if payer_id is None:
        return
    if payer_id == helper_id:
        raise Refused("who helps does not pay for it out of their own savings",
                      zh="帮忙的人不用自己的时间来抵。")  # fmt: skip
    if row["resident_id"] is None:
        raise Refused("say whose household it is first", zh="请先写明是哪一户。")
    if not people.has_person(tx.conn, payer_id):
        raise Unknown(f"there is no person {payer_id}; look in /api/v1/assignments")
    cost = rule.worth(rule.SawTo(payer_id, minutes)).minutes
    if not cost:
        raise Refused("say how many minutes it took", zh="请写明用了多少分钟。")
    entry = core.draw(f"draw:{row['id']}", payer_id, row["resident_id"], cost)
    post(tx, entry, **facts)


def counter(
    tx: Tx, entry_id: int, why: str, *, by: str, scope: Scope = EVERYWHERE
) -> None:
    """Put an entry right by its opposite, with a reason; twice is as good as once.

    Raises Unknown, also for an entry of a community for which `scope` does not answer, or Refused
    without a reason or where the minutes are gone already.
    """
    found, of = store.entry(tx.conn, entry_id), scopes.community_of_entry(tx.conn, entry_id)
    if found is None or of is None or not scope.answers_for(of):
        raise Unknown(f"there is no entry {entry_id}")
    why = " ".join(why.split())[:300]
    if not why:
        raise Refused("say why: `reason` is empty", zh="请写明原因。")
    row, entry = found
    reason = post(
        tx, core.counter(entry), by=by, why=why, counters=entry_id,
        building_id=row["building_id"],
    )  # fmt: skip
    if reason is Reason.POSTED:
        auditing.saw(tx, by, "hours_countered", entry_id=entry_id)


def pool_of(tx: Tx, building_id: int | None) -> int:
    """The community whose pool grows by what is given for a house; for no house, the first's."""
    community = effects.community(tx, building_id)
    assert community is not None, "a household has a community"
    return community.id


def saved(person_id: int) -> Account:
    """A volunteer's account."""
    return Account(AccountKind.SAVED, person_id)
