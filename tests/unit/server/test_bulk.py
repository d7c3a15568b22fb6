"""Many rows in one statement, and the look-ups that must stay look-ups in a city."""

import contextlib
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from server.clock import Clock
from server.core import alerts as core
from server.core.words import Kind, SignalType
from server.database import Database, Tx
from server.service import ingest, parents, receipts, sweep, worklists
from server.service.house import House
from server.store import alerts, journal, opening, outbox
from server.store import signals as store
from tests.town import GRANNY, MARCH_14, Hand, lay_out

WITHIN_S = 20.0
HOUSE = House("http://127.0.0.1:8000", b"k" * 32)


def a_database(folder: Path) -> Database:
    """The sample community's."""
    hand = Hand(MARCH_14)
    url, _ = lay_out(folder, hand)
    return Database(url, Clock(source=hand))


@pytest.fixture
def database(tmp_path: Path) -> Any:
    """The sample community's database."""
    with contextlib.closing(a_database(tmp_path)) as database:
        yield database


def statements(database: Database) -> list[str]:
    """From now on, every statement of the database, as it comes."""
    said: list[str] = []
    for engine in (database.writer, database.reader):
        event.listen(
            engine, "before_cursor_execute",
            lambda _c, _cur, statement, _p, _ctx, _many: said.append(statement),
        )  # fmt: skip
    return said


def until_it_waits(database: Database) -> None:
    """Return when something urgent waits for the transaction that runs."""
    gate, moment = database._gate, threading.Event()
    assert gate is not None
    for _ in range(int(WITHIN_S * 1000)):
        if gate.urgent_waits():
            return
        moment.wait(0.001)
    raise AssertionError("nothing waits")


def check_in(seq: int, terminal: str = GRANNY) -> ingest.SignalIn:
    """A press on the green key."""
    return ingest.SignalIn(terminal, SignalType.CHECKIN, 1, seq)


def test_five_hundred_check_ins_are_as_many_statements_as_one(database: Database) -> None:
    """The cost of a batch must not be statements: they are what filled the processor."""
    said = statements(database)

    def post(first: int, count: int) -> int:
        said.clear()
        batch = ingest.Batch("gw-1", signals=[check_in(first + n) for n in range(count)])
        database.transact(lambda tx: ingest.ingest(tx, HOUSE, batch))
        return len(said)

    post(1, 1)  # the first ever also hears of the gateway
    one, many = post(10, 1), post(100, 500)
    assert many == one, said
    assert many <= 12, said


def test_an_sos_is_stored_with_its_messages_in_few_statements(database: Database) -> None:
    """Two stewards are told after some fifteen statements; each costs a tenth of a millisecond."""
    said = statements(database)
    batch = ingest.Batch("gw-1", signals=[ingest.SignalIn(GRANNY, SignalType.SOS, 1, 1)])
    database.transact(lambda tx: ingest.ingest(tx, HOUSE, batch))
    assert len([s for s in said if "INSERT INTO message" in s]) == 1
    assert len(said) <= 22, said


def comes_at(
    database: Database, moment: str, press: ingest.Batch, after: str = ""
) -> list[threading.Thread]:
    """A press that comes, and waits for the write lock, once a statement with this in it has run,
    and one with `after` before it; returns where it will be found."""
    waiting: list[threading.Thread] = []
    seen = not after

    def comes(_c: Any, _cur: Any, said: str, *_: Any) -> None:
        nonlocal seen
        seen = seen or after in said
        if seen and moment in said and not waiting:
            urgent = threading.Thread(
                target=database.transact, kwargs={"urgent": True},
                args=[lambda tx: ingest.ingest(tx, HOUSE, press)],
            )  # fmt: skip
            waiting.append(urgent)
            urgent.start()
            until_it_waits(database)

    event.listen(database.writer, "after_cursor_execute", comes)
    return waiting


def test_a_batch_in_a_press_s_way_is_stored_after_it_and_once(database: Database) -> None:
    """A press comes while 500 check-ins are being stored, at each of the moments at which they give
    way: it is stored first, and of them all each once, with its receipt."""
    for boot, moment in enumerate(("FROM terminal", "INSERT INTO signal", "UPDATE terminal"), 2):
        press = ingest.Batch("gw-1", signals=[ingest.SignalIn(GRANNY, SignalType.SOS, boot, 1)])
        flood = ingest.Batch(
            "gw-1", signals=[replace(check_in(n), boot=boot) for n in range(2, 502)]
        )
        waiting = comes_at(database, moment, press)
        got, _ = database.transact(lambda tx, flood=flood: ingest.ingest(tx, HOUSE, flood))  # type: ignore[misc]
        waiting[0].join(WITHIN_S)
        assert [r.result for r in got] == ["stored"] * 500
        with database.reader.connect() as conn:
            order = conn.execute(
                text("SELECT seq FROM signal WHERE boot = :boot ORDER BY rowid"), {"boot": boot}
            ).scalars().all()  # fmt: skip
            noted = conn.execute(
                text("SELECT count(*) FROM journal WHERE kind = 'signal'")
            ).scalar_one()
        assert order == list(range(1, 502)), moment
        assert noted == (boot - 1) * 501


def alerts_in_order(database: Database) -> list[tuple[str, int]]:
    """Kind and messages of every alert, in the order in which they were made."""
    with database.reader.connect() as conn:
        return [tuple(row) for row in conn.execute(text(
            "SELECT kind, (SELECT count(*) FROM message WHERE alert_id = alert.id)"
            " FROM alert ORDER BY id"
        ))]  # fmt: skip


def told_of_missed(database: Database) -> list[tuple[Any, ...]]:
    """Of which doors who was told, by what, in which words but for the code."""
    with database.reader.connect() as conn:
        return sorted(tuple(row) for row in conn.execute(text(
            "SELECT alert.subject, message.phone, message.template, message.channel,"
            " replace(message.body, alert.code, '')"
            " FROM message JOIN alert ON alert.id = message.alert_id WHERE alert.kind = 'missed'"
        )))  # fmt: skip


def missed_by(database: Database, residents: int) -> None:
    """The first so many have missed a round long ago."""
    overdue = text("UPDATE resident SET next_due_at = 1000 WHERE id <= :n AND state = 'active'")
    database.transact(lambda tx: tx.conn.execute(overdue, {"n": residents}))


def test_a_round_in_a_press_s_way_is_judged_after_it_and_once(database: Database) -> None:
    """A press comes before anything of a chunk of a missed round is written: its alert is stored
    first, and then each worklist once, with its messages."""
    press = ingest.Batch("gw-1", signals=[ingest.SignalIn(GRANNY, SignalType.SOS, 1, 1)])
    missed_by(database, 30)
    waiting = comes_at(database, "FROM assignment", press)
    done, _ = database.transact(lambda tx: sweep.missed_rounds(tx, HOUSE))
    waiting[0].join(WITHIN_S)
    made = alerts_in_order(database)
    assert done == 30
    assert made[0][0] == "sos"
    assert {kind for kind, _ in made[1:]} == {"missed"}
    assert all(messages == 2 for _, messages in made), made
    left, _ = database.transact(lambda tx: sweep.missed_rounds(tx, HOUSE))
    assert left == 0
    assert alerts_in_order(database) == made


@pytest.mark.parametrize(
    ("moment", "after"),
    [("INSERT INTO alert ", ""), ("INSERT INTO message", ""), ("FROM assignment", "INTO journal")],
)
def test_a_round_ends_early_for_a_press(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, after: str
) -> None:
    """Once a part of it is written, what is written stands, the press comes next, and the rest is
    still due: whole buildings, or how many missed at once in one would be forgotten. In the end
    everybody is told what they would have been told without the press."""
    monkeypatch.setattr(worklists, "PART", 1)
    thought_of, plain = [], worklists._decided

    def decided(*about: Any) -> Any:
        thought_of.append(about)
        return plain(*about)

    monkeypatch.setattr(worklists, "_decided", decided)
    press = ingest.Batch("gw-1", signals=[ingest.SignalIn(GRANNY, SignalType.SOS, 1, 1)])
    missed_by(database, 60)
    waiting = comes_at(database, moment, press, after)
    done, _ = database.transact(lambda tx: sweep.missed_rounds(tx, HOUSE))
    waiting[0].join(WITHIN_S)
    parts = 2 if after else 1
    assert len(thought_of) == parts, "no further part is thought of while a press waits"
    made = [kind for kind, _ in alerts_in_order(database)]
    first = made.index("sos")
    assert first
    assert set(made[:first]) == {"missed"}
    assert made[first:] == ["sos"]
    with database.reader.connect() as conn:
        judged = set(conn.execute(text(
            "SELECT building_id FROM alert WHERE kind = 'missed'"
        )).scalars())  # fmt: skip
        left = list(conn.execute(text(
            "SELECT building_id FROM resident WHERE state = 'active' AND next_due_at = 1000"
        )).scalars())  # fmt: skip
        watched = conn.execute(text(
            "SELECT count(*) FROM resident WHERE state = 'active' AND id <= 60"
        )).scalar_one()  # fmt: skip
    assert left
    assert judged.isdisjoint(left)
    assert done + len(left) == watched
    rest, _ = database.transact(lambda tx: sweep.missed_rounds(tx, HOUSE))
    assert rest == len(left)
    assert database.transact(lambda tx: sweep.missed_rounds(tx, HOUSE))[0] == 0
    (tmp_path / "calm").mkdir()
    with contextlib.closing(a_database(tmp_path / "calm")) as calm:
        missed_by(calm, 60)
        assert calm.transact(lambda tx: sweep.missed_rounds(tx, HOUSE))[0] == watched
        assert told_of_missed(calm) == told_of_missed(database)


def test_parts_are_whole_buildings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each of a building's residents has an alarm of their own."""
    monkeypatch.setattr(worklists, "PART", 2)
    of = [1, 1, 1, 2, 3, 4, 4, 5]
    lists = [worklists.of_building(b, b, MARCH_14, (), ()) for b in of]
    parts = [[w.building_id for w in part] for part in worklists._parts(lists)]
    assert parts == [[1, 1, 1], [2, 3], [4, 4], [5]]
    assert worklists._parts([]) == []


@pytest.mark.parametrize(("residents", "long"), [(30, False), (60, True)])
def test_a_round_of_so_many_is_long(
    database: Database, monkeypatch: pytest.MonkeyPatch, residents: int, long: bool
) -> None:
    """Known from its first chunk on: the texts of a city's round wait until all of it is stored.
    From then on it is judged in larger chunks."""
    monkeypatch.setattr(sweep, "MISSED_CHUNK", 10)
    monkeypatch.setattr(sweep, "LONG_CHUNK", 25)
    monkeypatch.setattr(sweep, "LONG_ROUND", 40)
    house = House("http://127.0.0.1:8000", b"k" * 32)
    missed_by(database, residents)
    first, _ = database.transact(lambda tx: sweep.missed_rounds(tx, house))
    assert house.ring.long is long
    second, _ = database.transact(lambda tx: sweep.missed_rounds(tx, house))
    assert first <= 10
    assert (second > 10) is long


def test_silent_devices_in_a_press_s_way_are_judged_after_it_and_once(database: Database) -> None:
    """Terminals of houses apart, so that each is a fault of its own."""
    silent = text(
        "UPDATE terminal SET heartbeat_due_at = 1000, status = 'online' WHERE resident_id IN"
        " (SELECT min(id) FROM resident GROUP BY building_id LIMIT 3)"
    )
    database.transact(lambda tx: tx.conn.execute(silent))
    press = ingest.Batch("gw-1", signals=[ingest.SignalIn(GRANNY, SignalType.SOS, 1, 1)])
    waiting = comes_at(database, "INSERT INTO alert ", press)
    done, _ = database.transact(lambda tx: sweep.silent_devices(tx, HOUSE))
    waiting[0].join(WITHIN_S)
    assert done == 3
    assert [kind for kind, _ in alerts_in_order(database)] == ["sos", "fault", "fault", "fault"]


def test_steps_of_many_alerts_end_early_for_a_press(database: Database) -> None:
    """What was taken of them before the press stands, the press comes next, and the rest is still
    due."""
    with database.reader.connect() as conn:
        some = text("SELECT id FROM terminal WHERE id <> :granny LIMIT 9")
        terminals = conn.execute(some, {"granny": GRANNY}).scalars().all()
    batch = ingest.Batch("gw-1", signals=[ingest.SignalIn(t, SignalType.SOS, 1, 1)
                                          for t in terminals])  # fmt: skip
    database.transact(lambda tx: ingest.ingest(tx, HOUSE, batch))
    due = text("UPDATE alert SET next_step_at = 1000, emergency_look_at = 1000")
    for work in (sweep.ladder_steps, sweep.emergencies):
        database.transact(lambda tx: tx.conn.execute(due))
        before = len(alerts_in_order(database))
        press = ingest.Batch(
            "gw-1", signals=[ingest.SignalIn("unknown-1", SignalType.SOS, before, 1)]
        )
        waiting = comes_at(database, "UPDATE alert", press)
        done, _ = database.transact(lambda tx, work=work: work(tx, HOUSE))  # type: ignore[misc]
        waiting[0].join(WITHIN_S)
        assert done == 1, work
        rest, _ = database.transact(lambda tx, work=work: work(tx, HOUSE))  # type: ignore[misc]
        assert rest == before - 1, work


def test_fifty_texts_sent_are_recorded_in_as_many_statements_as_one(database: Database) -> None:
    """Each as sent, with the provider's id of it; what has been delivered meanwhile stays so."""

    def queued(tx: Tx) -> list[int]:
        signals = [ingest.SignalIn(t, SignalType.SOS, 1, 1) for t in terminals]
        ingest.ingest(tx, HOUSE, ingest.Batch("gw-1", signals=signals))
        return [int(m["id"]) for m in outbox.after(tx.conn, 0, 1000)]

    with database.reader.connect() as conn:
        terminals = list(conn.execute(text("SELECT id FROM terminal LIMIT 26")).scalars())
    ids, _ = database.transact(queued)
    said = statements(database)

    def record(some: list[int]) -> int:
        said.clear()
        taken = {message_id: f"SM{message_id}" for message_id in some}
        database.transact(lambda tx: receipts.take_sent(tx, HOUSE, taken))
        return len(said)

    first, delivered, *others = ids
    database.transact(lambda tx: outbox.set_message(tx.conn, delivered, state="delivered"))
    one, many = record([first]), record([delivered, *others])
    assert len(others) >= 50
    assert many == one, said
    assert many <= 6, said
    with database.reader.connect() as conn:
        became = {m["id"]: (m["state"], m["provider_id"]) for m in outbox.after(conn, 0, 1000)}
    assert became.pop(delivered) == ("delivered", f"SM{delivered}")
    assert became == {message_id: ("sent", f"SM{message_id}") for message_id in [first, *others]}


def test_what_fails_by_itself_leaves_nothing_behind(database: Database) -> None:
    """A corrupt alert's step is undone; the journal must not say that it was taken, and nothing is
    counted that did not happen."""
    counted: list[str] = []

    def half(tx: Tx) -> None:
        journal.note(tx, "before")
        tx.after.append(lambda: counted.append("before"))
        with contextlib.suppress(ValueError), tx.attempt():
            journal.note(tx, "half")
            tx.after.append(lambda: counted.append("half"))
            raise ValueError("a corrupt alert")
        journal.note(tx, "after")

    database.transact(half)
    assert counted == ["before"]
    with database.reader.connect() as conn:
        kinds = [row["kind"] for row in journal.after(conn, 0, 10_000, 10_000)]
    assert kinds[-2:] == ["before", "after"]
    assert "half" not in kinds


def test_what_was_noted_before_a_part_that_fails_is_not_lost_with_it(database: Database) -> None:
    """Also where the part has written its own entries already."""

    def part(tx: Tx) -> None:
        journal.note(tx, "before")
        with contextlib.suppress(ValueError), tx.attempt():
            noted = len(tx.entries)
            journal.note(tx, "of the part")
            journal.flush(tx, noted)
            raise ValueError("it fails all the same")
        with tx.attempt():
            noted = len(tx.entries)
            journal.note(tx, "of another")
            journal.flush(tx, noted)

    database.transact(part)
    with database.reader.connect() as conn:
        kinds = [row["kind"] for row in journal.after(conn, 0, 10_000, 10_000)]
    assert kinds[-2:] == ["of another", "before"]
    assert "of the part" not in kinds


def test_an_idle_ring_looks_up_and_never_scans_residents_or_devices(database: Database) -> None:
    """With 1.6 million residents a scan would be a second; SQLite's own plan tells."""
    seen: list[tuple[str, Any]] = []
    event.listen(
        database.reader, "before_cursor_execute",
        lambda _c, _cur, statement, values, _ctx, _many: seen.append((statement, values)),
    )  # fmt: skip
    with database.reader.connect() as conn:
        sweep.what_is_due(conn, MARCH_14, timedelta(seconds=1), HOUSE)
        parents.causes(conn, MARCH_14)  # at every chunk of a round
        asked = list(seen)
        plans = [
            (statement, row[3])
            for statement, values in asked
            for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    big = ("resident", "terminal", "alert", "message", "flat", "signal", "journal", "assignment",
           "person")  # fmt: skip
    scans = [  # in an index too: in a city's round nearly all alerts are open
        (step, statement)
        for statement, step in plans
        if step.startswith("SCAN") and step.split()[1] in big
    ]
    assert asked, "nothing was asked"
    assert not scans, scans


def test_the_overdue_are_found_by_their_deadline(database: Database) -> None:
    """The sweep's own question uses the partial index of deadlines, whatever SQLite is told."""
    with database.reader.connect() as conn:
        words = str(
            store._OVERDUE.compile(conn, compile_kwargs={"render_postcompile": True})
        )
        values = (int((MARCH_14 + timedelta(days=1)).timestamp() * 1000), 1, 0)
        plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values[: words.count("?")])
        steps = [row[3] for row in plan]
    assert any("ix_resident_due" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("table", ["alert", "message"])
def test_what_is_not_said_is_null(database: Database, table: str) -> None:
    """Columns that are NULL in all rows of a lot are left out (store/bulk.py): none of them may
    have a value of its own in their place."""
    with database.reader.connect() as conn:
        columns = conn.exec_driver_sql(f"PRAGMA table_info({table})").mappings().all()
    others = [c["name"] for c in columns if not c["notnull"] and c["dflt_value"] is not None]
    assert columns
    assert others == []


def test_of_alerts_that_are_opened_together_one_may_be_there_already(database: Database) -> None:
    """Two about one matter: the second is none, and the others are all in."""
    wanted = [
        (core.Alert(kind=Kind.FAULT, ladder=None, opened_at=MARCH_14), {"subject": f"fault:{n}"})
        for n in (1, 2, 1, 3)
    ]
    made = database.transact(lambda tx: opening.create_many(tx.conn, wanted, tx.now))[0]
    assert [one is not None for one in made] == [True, True, False, True]
    with database.reader.connect() as conn:
        there = alerts.open_by_subject(conn, [f"fault:{n}" for n in (1, 2, 3)])
    assert {about: stored.id for about, stored in there.items()} == {
        one.row["subject"]: one.id for one in made if one is not None
    }
