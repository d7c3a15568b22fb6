"""Residents who die, move away or move house, and terminals that change hands.

Nobody is silently dropped: each change has a person and a reason in the journal, open worklists
are settled by name, and an open SOS stands in the way of a move. Ended residents keep their row,
their door and those who stand by it, so that a press on a terminal that was not fetched yet still
brings somebody to the right flat.
"""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import RowMapping

from server.core import alerts as core
from server.core import houses, rounds
from server.core.words import Fault, Outcome, TerminalState
from server.database import Tx
from server.service import acting, effects, history, raising
from server.service.help import leaving, visits
from server.service.history import Via
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import alerts, communities, journal, people, places, rosters

How = Literal["died", "moved_away", "other"]


def end(
    tx: Tx, house: House, resident_id: int, how: How, *, who: str, why: str, via: str = Via.API
) -> None:
    """Watch a resident no more, for good. Twice is as good as once.

    Their doors on open worklists are settled as `other`; an open SOS stays open until a person
    resolves it. Raises Unknown, or Refused for somebody who ended otherwise.
    """
    row = _resident(tx, resident_id)
    if row["state"] == "ended":
        if row["ended_how"] == how:
            return
        raise Refused(f"resident {resident_id} is ended already ({row['ended_how']})",
                      zh="这位住户已经停止守护。")  # fmt: skip
    people.set_resident(
        tx.conn, resident_id, state="ended", ended_at=tx.now, ended_how=how, next_due_at=None,
        absent_until=None,
    )
    for alert_id, _ in alerts.open_items(tx.conn, [resident_id]):
        stored = acting.load(tx, house, alert_id)
        event = core.SettleItem(resident_id, Outcome.OTHER, acting.operator(who))
        decision = core.decide(effects.situation(tx, stored), event, tx.now)
        effects.commit(tx, house, stored, decision, by=who, resident_id=resident_id)
    leaving.left(tx, resident_id, by=who)
    journal.note(
        tx, "resident_ended", building_id=row["building_id"], flat_id=row["flat_id"],
        resident_id=resident_id, how=how, by=who, why=why,
        terminals=people.terminals_of(tx.conn, resident_id),
    )  # fmt: skip
    history.note(
        tx, f"resident:{resident_id}", {"state": (row["state"], how)}, who=who, why=why, via=via,
        what=history.ENDED,
    )  # fmt: skip


def move(
    tx: Tx, resident_id: int, building: int, flat: str, *, who: str, why: str,
    via: str = Via.API,
) -> dict[str, Any]:
    """A resident lives behind another door now, terminal and all. `building`: its number in the
    installation. In another community they are watched by its rounds and its clock from now on.

    What led into the old flat leads nowhere: the access notes are emptied and its key holders
    taken off, and the answer says how many, so that staff ask for the new ones. Raises Unknown, or
    Refused while an alert about them is open (its message names the old door).
    """
    row = _resident(tx, resident_id)
    if row["state"] == "ended":
        raise Refused(f"resident {resident_id} is ended; nobody moves",
                      zh="这位住户已停止守护,不能搬迁。")  # fmt: skip
    door = people.flat_at(tx.conn, building, flat)
    if door is None:
        raise Unknown(f"building {building} has no flat {flat!r}; look in /api/v1/snapshot")
    if door["id"] == row["flat_id"]:
        return {"key_holders_removed": 0, "access_notes_emptied": False}
    if open_ids := alerts.open_about(tx.conn, resident_id):
        listed = ", ".join(str(i) for i in open_ids)
        raise Refused(f"alert {listed} about this resident is open: resolve it before the move",
                      zh=f"警报{listed}尚未了结,请先了结再搬迁。")  # fmt: skip
    left, come = (effects.community(tx, b) for b in (row["building_id"], door["building_id"]))
    assert left is not None, "a resident has a community"
    assert come is not None, "a house has a community"
    watched = {} if come.id == left.id else {"next_due_at": _due_in(tx, row, come)}
    people.set_resident(
        tx.conn, resident_id, flat_id=door["id"], building_id=door["building_id"],
        access_notes="", **watched,
    )
    holders = [history.contact(h) for h in people.key_holders(tx.conn, resident_id)]
    removed = people.remove_key_holders(tx.conn, resident_id)
    fields: dict[str, history.Change] = {
        "flat": _doors(tx, (row["building_number"], row["label"]), (building, door["label"])),
        "key_holder": ("; ".join(holders) or None, None),
    }
    if row["access_notes"]:
        fields["access_notes"] = history.HIDDEN
    if not holders:
        del fields["key_holder"]
    history.note(tx, f"resident:{resident_id}", fields, who=who, why=why, via=via)
    visits.moved_house(tx, resident_id, by=who)
    for flat_id, building_id, kind in (
        (row["flat_id"], row["building_id"], "resident_moved_out"),
        (door["id"], door["building_id"], "resident_moved_in"),
    ):
        journal.note(
            tx, kind, building_id=building_id, flat_id=flat_id, resident_id=resident_id,
            key_holders_removed=removed, by=who, why=why,
        )  # fmt: skip
    return {"key_holders_removed": removed, "access_notes_emptied": bool(row["access_notes"])}


def _due_in(tx: Tx, row: RowMapping, community: communities.CommunityFacts) -> datetime | None:
    """The next deadline by another community's rounds. Whoever is overdue already stays so: a move
    must not let a missed round be forgotten."""
    due: datetime | None = row["next_due_at"]
    if row["state"] != "active" or due is None or due <= tx.now:
        return due
    plans = community.plans_of(row["risk_class"])
    return rounds.due_anew(plans, community.zone, tx.now, row["last_sign_at"])


def assign_terminal(
    tx: Tx, house: House, terminal_id: str, resident_id: int | None, *, who: str, why: str,
    via: str = Via.API,
) -> None:
    """Give a terminal to another resident, or (None) to nobody. Audited: whose it was, whose it
    is, who said so and why. Raises Unknown, or Refused where it would leave somebody unclear."""
    terminal = people.terminal(tx.conn, terminal_id)
    if terminal is None:
        raise Unknown(f"there is no terminal {terminal_id!r}; look in /api/v1/terminals")
    was = terminal["resident_id"]
    if was == resident_id:
        return
    if terminal["state"] != TerminalState.ACTIVE:
        raise Refused(f"terminal {terminal_id} is {terminal['state']}; set it active first",
                      zh=f"终端{terminal_id}已停用或丢失,请先恢复使用。")  # fmt: skip
    row = _resident(tx, resident_id) if resident_id is not None else None
    if row is not None and row["state"] == "ended":
        raise Refused(f"resident {resident_id} is ended; give the terminal to somebody watched",
                      zh="这位住户已停止守护,请把终端登记给别人。")  # fmt: skip
    if row is not None and terminal["simulated"] != bool(
        rosters.rehearsals(tx.conn, [row["building_id"]])
    ):
        raise Refused("simulated terminals belong into a rehearsal's building, and real ones don't",
                      zh="模拟终端只能用于演练楼栋,真终端不能。")  # fmt: skip
    if resident_id is not None and (others := people.terminals_of(tx.conn, resident_id)):
        raise Refused(f"resident {resident_id} has terminal {others[0]}; take that one off first",
                      zh=f"这位住户已有终端{others[0]},请先解除。")  # fmt: skip
    if open_sos := alerts.open_by_subject(tx.conn, [f"sos:{was}", f"sos:terminal:{terminal_id}"]):
        number = next(iter(open_sos.values())).id
        raise Refused(f"SOS {number} of this terminal is open: resolve it first",
                      zh=f"这台终端的求助{number}尚未了结,请先了结。")  # fmt: skip
    people.set_terminal(tx.conn, terminal_id, resident_id=resident_id)
    if row is not None and row["state"] == "active" and row["next_due_at"] is None:
        # Registered without a terminal, nobody was awaited here until now.
        facts = effects.community(tx, row["building_id"])
        assert facts is not None, "a resident has a community"
        due = rounds.next_to_open(facts.plans_of(row["risk_class"]), facts.zone, tx.now).deadline
        people.set_resident(tx.conn, row["id"], next_due_at=due)
    raising.fault_over(tx, house, Fault.TERMINAL_LEFT_BEHIND, [terminal_id])
    before = people.resident(tx.conn, was) if was is not None else None
    for door, change in ((before, (terminal_id, None)), (row, (None, terminal_id))):
        if door is not None:
            history.note(
                tx, f"resident:{door['id']}", {"terminal": change}, who=who, why=why, via=via
            )
            journal.note(
                tx, "terminal_assigned", building_id=door["building_id"], flat_id=door["flat_id"],
                terminal=terminal_id, was=was, now=resident_id, by=who, why=why,
            )  # fmt: skip
    if before is None and row is None:
        journal.note(
            tx, "terminal_assigned", terminal=terminal_id, was=was, now=None, by=who, why=why
        )


def _resident(tx: Tx, resident_id: int) -> RowMapping:
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    return row


def _doors(tx: Tx, was: tuple[int, str], now: tuple[int, str]) -> history.Change:
    """Both doors as people call them; with the name of each community where it is another one."""
    names = places.names(tx.conn) if houses.series(was[0]) != houses.series(now[0]) else {}

    def door(number: int, label: str) -> str:
        return houses.beside(houses.of(names, number), f"{houses.sign(number)}-{label}", "zh")

    return door(*was), door(*now)
