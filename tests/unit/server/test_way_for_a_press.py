"""A transaction in whose way a press stands undoes itself, and runs again after the press."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.clock import Clock
from server.database import MOST_OVERTAKEN, Database, Tx

WITHIN_S = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A real one with one table, in which each transaction writes its name."""
    made = Database(f"sqlite:///{tmp_path / 'x.db'}", Clock.parse(""))
    made.transact(lambda tx: tx.conn.exec_driver_sql("CREATE TABLE said (name TEXT)"))
    yield made
    made.close()


def say(tx: Tx, name: str) -> None:
    tx.conn.exec_driver_sql("INSERT INTO said VALUES (?)", (name,))


def said(database: Database) -> list[str]:
    with database.reader.begin() as conn:
        return [name for (name,) in conn.exec_driver_sql("SELECT name FROM said ORDER BY rowid")]


class Press(threading.Thread):
    """An urgent transaction of a thread of its own."""

    def __init__(self, database: Database, name: str) -> None:
        super().__init__()
        self._database = database
        self._word = name

    def run(self) -> None:
        self._database.transact(lambda tx: say(tx, self._word), urgent=True)

    def start_and_wait(self, tx: Tx) -> None:
        """Returns when it waits for `tx` to end."""
        self.start()
        turn = threading.Event()
        for _ in range(int(WITHIN_S * 1000)):
            if tx.overtaken():
                return
            turn.wait(0.001)
        raise AssertionError("the press does not wait")


def test_a_press_goes_first_and_nothing_is_done_twice(database: Database) -> None:
    """What was written before the press came is undone, the press is committed, and then all of it
    is written once."""
    press, tries = Press(database, "press"), []

    def check_ins(tx: Tx) -> str:
        tries.append(tx)
        say(tx, "first half")
        if len(tries) == 1:
            press.start_and_wait(tx)
        tx.give_way()
        say(tx, "second half")
        return "done"

    assert database.transact(check_ins)[0] == "done"
    press.join(WITHIN_S)
    assert said(database) == ["press", "first half", "second half"]
    assert len(tries) == 2


def test_a_storm_of_presses_holds_nobody_up_for_ever(database: Database) -> None:
    """Who has given way MOST_OVERTAKEN times runs through, whoever waits."""
    presses: list[Press] = []

    def check_ins(tx: Tx) -> None:
        press = Press(database, f"press {len(presses)}")
        presses.append(press)
        if len(presses) <= MOST_OVERTAKEN:
            press.start_and_wait(tx)
        else:
            press.start()  # whether it waits by now makes no difference
        tx.give_way()
        say(tx, "check-ins")

    database.transact(check_ins)
    for press in presses:
        press.join(WITHIN_S)
    first = [f"press {n}" for n in range(MOST_OVERTAKEN)]
    assert said(database) == [*first, "check-ins", f"press {MOST_OVERTAKEN}"]


def test_a_press_gives_way_to_nobody(database: Database) -> None:
    """Two presses stand in line; the first is not undone for the second."""
    second, tries = Press(database, "second"), []

    def first(tx: Tx) -> None:
        tries.append(tx)
        second.start()
        tx.give_way()
        say(tx, "first")

    database.transact(first, urgent=True)
    second.join(WITHIN_S)
    assert said(database) == ["first", "second"]
    assert len(tries) == 1
