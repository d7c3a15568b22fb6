"""Help requests: asked for, taken, handed on, done or withdrawn."""

from typing import Any

from sqlalchemy import RowMapping

from server.core import help_requests as core
from server.core.help_requests import Ending, Helper, Reason, Source, Stage, Want
from server.database import Tx
from server.service import auditing
from server.service.help import hours
from server.service.refusals import Refused, Unknown
from server.store import communities, people
from server.store import help_requests as store
from server.tables import to_ms

MOST_WORDS, MOST_WHY, MOST_NAME = 500, 500, 40
MOST_MINUTES = 24 * 60
AGAIN, MOST_AGAIN = "asked_again", 20
WORDS: dict[Reason, tuple[str, str]] = {
    Reason.HAS_A_HELPER: ("{helper} sees to it already; hand it on with a reason",
                          "{helper}已在办。要换人请用“转交”,并写原因。"),
    Reason.NOBODY_HAS_IT: ("nobody has taken it yet: take it first, in somebody's name",
                           "还没有人接办。请先写明谁来办。"),
    Reason.NO_WHY: ("say why: `why` is empty", "请写明原因。"),
    Reason.CLOSED: ("it is closed already; write a new request if there is more to do",
                    "这件事已经了结。还有事要办,请另登记一件。"),
}  # fmt: skip


def ask(
    tx: Tx, *, want: Want, words: str, source: Source, by: str | None,
    resident_id: int | None = None, building_id: int | None = None, key: str | None = None,
) -> int:  # fmt: skip
    """Write a request down; returns its id, the first one's where `key` comes again.
    `by`: who writes; None is a terminal, which is nobody whom the audit could name.

    Raises Unknown for a resident who is not there, Refused without words or for one who is ended.
    """
    if by is not None and source is Source.TERMINAL:
        raise Refused("what a terminal asks for is written down by itself; choose another source",
                      zh="终端的请求由系统登记,请选别的来源。")  # fmt: skip
    words = " ".join(words.split())[:MOST_WORDS]
    if not words:
        raise Refused("say what is wanted: `words` is empty", zh="请写明要办什么事。")
    if resident_id is not None:
        row = people.resident(tx.conn, resident_id)
        if row is None:
            raise Unknown(f"there is no resident {resident_id}")
        if row["state"] == "ended":
            raise Refused(f"resident {resident_id} lives here no more",
                          zh="这位住户已停止守护,不能再登记。")  # fmt: skip
        building_id = row["building_id"]
    assert building_id is not None, "a request is of a door or at least of a house"
    community = communities.of_building(tx.conn, building_id)
    assert community is not None, "a building has a community"
    made = store.add(
        tx.conn, building_id=building_id, resident_id=resident_id, kind=want.value,
        source=source.value, words=words, asked_at=tx.now, asked_by=by or "",
        due_at=core.due_at(want, tx.now, community.zone), stage=Stage.OPEN.value, why="",
        minutes=0, steps=[], request_key=key, version=0,
    )  # fmt: skip
    if made is None:
        known = store.by_key(tx.conn, key or "")
        assert known is not None, "only a key that is there already refuses a row"
        return known
    if by is not None:
        auditing.saw(tx, by, "request_asked", request_id=made, resident_id=resident_id,
                     request_kind=want.value, source=source.value)  # fmt: skip
    return made


def asked_again(tx: Tx, row: RowMapping) -> None:
    """The same key once more while it waits: a step of this request, not a second one. Past
    MOST_AGAIN it is not counted on. Raises Stale."""
    if sum(step["what"] == AGAIN for step in row["steps"]) < MOST_AGAIN:
        store.set_facts(tx.conn, row, _step(tx, AGAIN, ""))


def helper_of(tx: Tx, person_id: int | None, name: str, me: str) -> Helper:
    """Who sees to it: a contact of the register, somebody else by name, or whoever writes."""
    if person_id is not None:
        if not people.has_person(tx.conn, person_id):
            raise Unknown(f"there is no person {person_id}; look in /api/v1/assignments")
        return Helper(people.person(tx.conn, person_id)["name"], person_id)
    return Helper(" ".join(name.split())[:MOST_NAME] or me)


def take(tx: Tx, request_id: int, helper: Helper, *, by: str) -> None:
    """Somebody sees to it. Raises Unknown, Refused."""
    _act(tx, request_id, core.Take(helper), by)


def hand_on(tx: Tx, request_id: int, helper: Helper, why: str, *, by: str) -> None:
    """Somebody else sees to it from now on. Raises Unknown, Refused."""
    _act(tx, request_id, core.HandOn(helper, _short(why)), by)


def withdraw(tx: Tx, request_id: int, why: str, *, by: str) -> None:
    """Nobody wants it any more. Raises Unknown, Refused."""
    _act(tx, request_id, core.Withdraw(_short(why)), by)


def finish(
    tx: Tx, request_id: int, ending: Ending, why: str, *, by: str, minutes: int = 0,
    payer_id: int | None = None,
) -> None:  # fmt: skip
    """It was dealt with. `minutes` it took are saved by the helper, if they are a contact of the
    register, and drawn from the savings of `payer_id`, if one is named; both only where it was
    solved. Raises Unknown, Refused; then nothing of it happened."""
    event = core.Finish(ending, _short(why))
    row, decision = _act(tx, request_id, event, by, minutes=minutes, payer_id=payer_id)
    if decision.reason is Reason.DONE and ending is Ending.SOLVED:
        hours.for_request(tx, row, decision.request.helper, minutes, payer_id, by=by)


def correct(
    tx: Tx, request_id: int, *, by: str, want: Want | None = None, resident_id: int | None = None
) -> None:
    """The desk knows better what is asked for, or for whom (a steward named no door). The due date
    follows the kind, from when it was asked for. Raises Unknown, Refused."""
    row = _row(tx, request_id)
    if row["closed_at"] is not None:
        _refuse(Reason.CLOSED, None)
    values: dict[str, Any] = {}
    if want is not None and want.value != row["kind"]:
        community = communities.of_building(tx.conn, row["building_id"])
        assert community is not None, "a request has a community"
        values |= {"kind": want.value,
                   "due_at": core.due_at(want, row["asked_at"], community.zone)}  # fmt: skip
    if resident_id is not None and resident_id != row["resident_id"]:
        door = people.resident(tx.conn, resident_id)
        if door is None:
            raise Unknown(f"there is no resident {resident_id}")
        if row["resident_id"] is not None:
            raise Refused("its resident is known; withdraw it and write a new one",
                          zh="住户已经登记。登记错了请撤销,再另登记。")  # fmt: skip
        values |= {"resident_id": resident_id, "building_id": door["building_id"]}
    if values:
        store.set_facts(tx.conn, row, _step(tx, "corrected", by), **values)
        auditing.saw(tx, by, "request_corrected", request_id=request_id, fields=sorted(values))


def _short(why: str) -> str:
    return " ".join(why.split())[:MOST_WHY]


def _row(tx: Tx, request_id: int) -> RowMapping:
    row = store.one(tx.conn, request_id)
    if row is None:
        raise Unknown(f"there is no request {request_id}")
    return row


def _step(
    tx: Tx, what: str, by: str, helper: Helper | None = None, why: str = ""
) -> dict[str, Any]:
    return {
        "at_ms": to_ms(tx.now), "what": what, "by": by, "helper": helper.name if helper else None,
        "why": why,
    }  # fmt: skip


def _refuse(reason: Reason, helper: Helper | None) -> None:
    en, zh = WORDS[reason]
    name = helper.name if helper else ""
    raise Refused(en.format(helper=name), zh=zh.format(helper=name))


def _act(
    tx: Tx, request_id: int, event: core.Event, by: str, **facts: Any
) -> tuple[RowMapping, core.Decision]:
    row = _row(tx, request_id)
    request = store.core_of(row)
    decision = core.decide(request, event, tx.now)
    if decision.reason in core.REFUSALS:
        _refuse(decision.reason, request.helper)
    if decision.reason is Reason.ALREADY:
        return row, decision
    after = decision.request
    why = event.why if not isinstance(event, core.Take) else ""
    step = _step(tx, decision.reason.value, by, after.helper, why)
    if after.closed:
        facts["closed_by"] = by
    store.save(tx.conn, row, after, step, **facts)
    auditing.saw(tx, by, f"request_{decision.reason.value}", request_id=request_id,
                 helper_id=after.helper.person_id if after.helper else None)  # fmt: skip
    return row, decision
