"""A new alert is told of as it was written, without being read back."""

from datetime import timedelta

from sqlalchemy import text

from server.core.alert import Alert, Item
from server.core.ladder import DEFAULT_LADDERS, Policy
from server.core.words import Fault, Kind, Outcome
from server.database import Tx
from server.store import alerts, opening
from tests.town import MARCH_14, Town

NOW = MARCH_14
SOS = Alert(
    Kind.SOS, DEFAULT_LADDERS[Policy.SOS], NOW, fall=True, pressed_at=NOW - timedelta(seconds=3),
    next_step_at=NOW + timedelta(seconds=120), declined=(7,),
)  # fmt: skip
MISSED = Alert(
    Kind.MISSED, DEFAULT_LADDERS[Policy.MISSED], NOW,
    items=(Item(2, 2, "302", Outcome.SAFE), Item(1, 1, "301", after_absence=NOW)),
)  # fmt: skip
FAULT = Alert(Kind.FAULT, None, NOW)


def made(tx: Tx) -> list[alerts.Stored]:
    """One of each kind, side by side."""
    found = opening.create_many(
        tx.conn,
        [
            (SOS, {"subject": "sos:1", "resident_id": 1, "building_id": 1, "terminal_id": "t",
                   "boot": 1, "seq": 2, "emergency_look_at": NOW, "late": True}),
            (MISSED, {"subject": "missed:1:1", "building_id": 1, "round_due_at": NOW}),
            (FAULT, {"subject": "fault:tamper:t", "fault": Fault.TAMPER.value, "detail": "x"}),
        ],
        NOW,
    )  # fmt: skip
    assert None not in found
    return [stored for stored in found if stored is not None]


async def test_what_is_made_is_what_is_loaded(town: Town) -> None:
    """Every column and every item of it, on both databases."""
    stored, _ = town.runtime.database.transact(made)
    for one in stored:
        loaded = town.runtime.database.transact(lambda tx, i=one.id: alerts.load(tx.conn, i))[0]  # type: ignore[misc]
        assert loaded is not None
        assert dict(one.row) == dict(loaded.row)
        assert one.alert == loaded.alert
    codes = [one.row["code"] for one in stored]
    assert [len(code) for code in codes] == [4, 4, 0]
    assert codes[0] != codes[1]


async def test_one_that_is_open_already_is_not_made_again(town: Town) -> None:
    """Nothing of the second is written, and the others of its lot are."""
    database = town.runtime.database

    def twice(tx: Tx) -> tuple[alerts.Stored | None, ...]:
        first = opening.create(tx.conn, MISSED, NOW, subject="missed:1:1", building_id=1)
        return first, *opening.create_many(
            tx.conn,
            [(MISSED, {"subject": "missed:1:1", "building_id": 1}),
             (FAULT, {"subject": "fault:x"})],
            NOW,
        )  # fmt: skip

    (first, again, other), _ = database.transact(twice)
    assert first is not None
    assert again is None
    assert other is not None
    count = text("SELECT count(*) FROM alert_item")
    assert database.transact(lambda tx: tx.conn.execute(count).scalar_one())[0] == 2


async def test_a_code_that_somebody_may_still_answer_is_passed_over(town: Town) -> None:
    """Where the code of four digits is taken, the alert gets one of five; one that has rested for
    30 days is free again."""
    database = town.runtime.database

    def next_code(tx: Tx) -> str:
        row = opening.create(tx.conn, SOS, NOW, subject=f"sos:{len(given)}")
        assert row is not None
        return str(row.row["code"])

    given: list[str] = []
    given.append(database.transact(next_code)[0])
    four = 1000 + (int(given[0]) - 1000 + 7919) % 9000
    take = text("UPDATE alert SET code = :code, opened_at = :at, state = :state")
    for at, state, digits in ((NOW, "open", 5), (NOW, "resolved", 5),
                              (NOW - timedelta(days=31), "resolved", 4)):  # fmt: skip
        ms = int(at.timestamp() * 1000)
        database.transact(
            lambda tx, c=str(four), ms=ms, s=state: tx.conn.execute(  # type: ignore[misc]
                take, {"code": c, "at": ms, "state": s}
            )
        )
        given.append(database.transact(next_code)[0])
        assert len(given[-1]) == digits, (at, state, given)
        four = 1000 + (four - 1000 + 7919) % 9000
