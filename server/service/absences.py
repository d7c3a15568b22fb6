"""Planned absences: of residents, who are then not awaited, and of those who are told.

Every absence has an end. A resident is paused until then, and watched again without anybody's
doing; a press for help always counts, away or not.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping

from server.core import alerts, delivery, rounds
from server.database import Tx
from server.service import effects, history, receipts
from server.service.acting import Refused, Unknown
from server.service.help import visits
from server.service.history import Via
from server.service.house import House
from server.store import communities, journal, outbox, people

LONGEST = timedelta(days=90)


class BadEnd(ValueError):
    """An absence without an end, or with one that can't be; the words say what to send."""


def end_of(until: datetime | None, now: datetime) -> datetime:
    """The end of an absence, checked. Raises BadEnd: nobody is forgotten for want of a date."""
    if until is None:
        raise BadEnd("say until when: `until` is an instant like 2026-03-20T18:00:00+08:00")
    if until <= now:
        raise BadEnd(f"{until.isoformat()} is past; send an end that is still to come")
    if until - now > LONGEST:
        raise BadEnd(f"an absence is at most {LONGEST.days} days; send an earlier end, "
                     "and prolong it when the time has come")  # fmt: skip
    return until.astimezone(UTC)


def begin(
    tx: Tx, resident_id: int, until: datetime | None, *, who: str, why: str, via: str = Via.API
) -> None:
    """Await a resident no more until then. Again: the end is moved.

    Raises Unknown, BadEnd, or Refused for somebody whom we no longer watch at all.
    """
    row = _resident(tx, resident_id)
    end = end_of(until, tx.now)
    if row["state"] not in ("active", "paused"):
        raise Refused(f"resident {resident_id} is {row['state']}; nobody is awaited there",
                      zh="这位住户已停止守护,不用再请假。")  # fmt: skip
    people.set_resident(
        tx.conn, resident_id, state="paused", absent_until=end, next_due_at=None
    )
    journal.note(
        tx, "resident_away", building_id=row["building_id"], flat_id=row["flat_id"],
        until=end.isoformat(), by=who, why=why,
    )  # fmt: skip
    was = row["absent_until"] if row["state"] == "paused" else None
    lives = effects.community(tx, row["building_id"])
    history.note(
        tx, f"resident:{resident_id}",
        {"absent": (history.until(tx, was, lives), history.until(tx, end, lives))},
        who=who, why=why, via=via,
    )  # fmt: skip


def end_early(
    tx: Tx, resident_id: int, *, who: str, why: str = "", via: str = Via.API
) -> None:
    """The resident is back before the time. Nothing happens when they were not away."""
    row = _resident(tx, resident_id)
    if row["state"] == "paused":
        lives = effects.community(tx, row["building_id"])
        history.note(
            tx, f"resident:{resident_id}",
            {"absent": (history.until(tx, row["absent_until"], lives), None)},
            who=who, why=why, via=via,
        )  # fmt: skip
        _watch_again(tx, row, tx.now, who)


def end_those_over(tx: Tx, limit: int) -> int:
    """Watch again up to `limit` residents whose absence is over; returns how many."""
    over = people.residents_back(tx.conn, tx.now, limit)
    for row in over:
        # An end that can't be read is over.
        _watch_again(tx, row, row["absent_until"] or tx.now, "system")
    return len(over)


def _watch_again(tx: Tx, row: RowMapping, since: datetime, who: str) -> None:
    """Awaited from their community's first deadline after `since` on (which may have passed while
    we stood still), unless they have checked in for it already."""
    community = effects.community(tx, row["building_id"])
    assert community is not None, "a resident has a community"
    plans = community.plans_of(row["risk_class"])
    due = rounds.due_anew(plans, community.zone, since, row["last_sign_at"])
    people.set_resident(
        tx.conn, row["id"], state="active", absent_until=since, next_due_at=due
    )
    visits.back(tx, row, since)
    journal.note(
        tx, "resident_back", building_id=row["building_id"], flat_id=row["flat_id"],
        since=since.isoformat(), next_due=due.isoformat(), by=who,
    )  # fmt: skip


def person_away(
    tx: Tx, house: House, person_id: int, until: datetime | None, *, who: str, why: str,
    via: str = Via.API,
) -> None:
    """Pass a steward, key holder … over until then; substitutes stand in. Raises Unknown, BadEnd.

    Alerts that are open ask others from their next step on; at once where the only word of them
    had not left yet.
    """
    end = end_of(until, tx.now)
    _set_person(tx, person_id, end, who=who, why=why, via=via)
    journal.note(tx, "person_away", person_id=person_id, until=end.isoformat(), by=who, why=why)
    for alert_id in sorted(outbox.fail_queued(tx.conn, person_id, delivery.AWAY, tx.now)):
        receipts.failed(tx, house, alert_id, alerts.DeliveryFailed(person_id))


def person_back(
    tx: Tx, person_id: int, *, who: str, why: str = "", via: str = Via.API
) -> None:
    """Ask this person again from now on. Raises Unknown."""
    _set_person(tx, person_id, None, who=who, why=why, via=via)
    journal.note(tx, "person_back", person_id=person_id, by=who)


def _set_person(tx: Tx, person_id: int, until: datetime | None, **said: str) -> None:
    ends = [r["absent_until"] for r in people.roles_of(tx.conn, person_id)]
    if people.set_absent(tx.conn, person_id, until) == 0:
        raise Unknown(f"person {person_id} stands on no step of a ladder; check the register")
    was, name = max((e for e in ends if e), default=None), people.person(tx.conn, person_id)["name"]
    stands = communities.of_person(tx.conn, person_id)
    ends_at = [history.until(tx, end, stands) for end in (was, until)]
    shown = [f"{name} {at}" if at else None for at in ends_at]
    history.of_person(tx, person_id, {"absent": (shown[0], shown[1])}, **said)


def _resident(tx: Tx, resident_id: int) -> RowMapping:
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    return row
