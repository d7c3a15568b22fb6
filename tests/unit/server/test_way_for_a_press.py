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


class Taker:
    """A sender whose hand-over writes, as one that finds its lease over may."""

    lanes = (0,)

    def __init__(self, database: Database) -> None:
        self._database = database
        self.ends: list[bool] = []

    @property
    def more(self) -> bool:
        return False

    def lease_here(self, tx: Tx) -> "Taker":
        say(tx, "leased")
        return self

    def ended(self, *, committed: bool) -> None:
        self.ends.append(committed)
        self._database.transact(lambda tx: say(tx, f"handed over: {committed}"), urgent=True)


class Broken:
    """A sender that undoes the transaction."""

    lanes = (1,)

    def lease_here(self, _tx: Tx) -> Taker:
        raise ValueError("after a lease")


def test_what_is_handed_over_holds_no_writer_up(database: Database) -> None:
    """Hundreds of messages go to their senders after a round's chunk: whoever waits for the write
    lock, a press above all, need not wait for that as well. What came to nothing is handed back in
    the same way."""
    taker = Taker(database)
    database.senders += [taker, Broken()]

    def write() -> None:
        database.transact(lambda tx: tx.takers.append(taker))
        database.transact(lambda tx: tx.queued(0))
        database.transact(lambda tx: say(tx, "nothing queued"))
        with pytest.raises(ValueError, match="after a lease"):
            database.transact(lambda tx: tx.queued(0, 1))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    writer.join(WITHIN_S)
    assert not writer.is_alive(), "it waits for itself"
    assert taker.ends == [True, True, False]
    assert said(database) == [
        "leased", "handed over: True", "leased", "handed over: True", "nothing queued",
        "handed over: False",
    ]
