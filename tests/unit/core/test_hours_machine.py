"""The ledger of hours under any order of gifts, draws and counter-entries whatever."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from server.core.hours import (
    Account,
    AccountKind,
    Entry,
    EntryKind,
    Reason,
    balance_change,
    counter,
    draw,
    gift,
    judge,
)

PEOPLE, HOMES = st.integers(1, 3), st.integers(1, 2)
MINUTES = st.integers(1, 240)
POOL = Account(AccountKind.GIVEN, 1)


class AnyBook(RuleBasedStateMachine):
    """A book that does what `judge` says, and nothing else."""

    posted: Bundle[Entry] = Bundle("posted")

    def __init__(self) -> None:
        super().__init__()
        self.book: dict[str, Entry] = {}
        self.balances: Counter[Account] = Counter()

    def _post(self, entry: Entry) -> Entry:
        before = dict(self.balances)
        reason = judge(entry, entry.key in self.book, self.balances)
        if reason is Reason.POSTED:
            self.book[entry.key] = entry
            for account, minutes in entry.lines.items():
                self.balances[account] += balance_change(account, minutes)
        else:
            assert dict(self.balances) == before
        return entry

    @rule(target=posted, fact=st.integers(1, 9), person=PEOPLE, minutes=MINUTES)
    def give(self, fact: int, person: int, minutes: int) -> Entry:
        """A round or a response; the same one may be told twice."""
        return self._post(gift(f"round:{fact}", EntryKind.ROUND, 1, person, minutes))

    @rule(target=posted, fact=st.integers(1, 9), person=PEOPLE, home=HOMES, minutes=MINUTES)
    def take(self, fact: int, person: int, home: int, minutes: int) -> Entry:
        """Savings drawn for a household."""
        return self._post(draw(f"draw:{fact}", person, home, minutes))

    @rule(target=posted, entry=posted)
    def put_right(self, entry: Entry) -> Entry:
        """A counter-entry to what is in the book, a counter-entry too."""
        return self._post(counter(self.book.get(entry.key, entry))) if (
            entry.key in self.book
        ) else entry

    @invariant()
    def all_lines_sum_to_zero(self) -> None:
        """Hours are neither made nor lost."""
        assert sum(m for e in self.book.values() for m in e.lines.values()) == 0

    @invariant()
    def nothing_is_negative(self) -> None:
        """Nobody owes hours."""
        assert all(minutes >= 0 for minutes in self.balances.values())

    @invariant()
    def given_is_saved_and_drawn(self) -> None:
        """The community's equation."""
        rest = sum(m for a, m in self.balances.items() if a != POOL)
        assert self.balances[POOL] == rest

    @invariant()
    def balances_follow_the_lines(self) -> None:
        """The sums beside the book are the book's."""
        summed: Counter[Account] = Counter()
        for entry in self.book.values():
            for account, minutes in entry.lines.items():
                summed[account] += balance_change(account, minutes)
        assert +summed == +self.balances


AnyBook.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyBook = AnyBook.TestCase


def test_a_counter_entry_names_what_it_undoes() -> None:
    """The same minutes the other way, under a key that can be in the book once."""
    entry = gift("round:7", EntryKind.ROUND, 1, 5, 30)
    undone = counter(entry)
    assert (undone.key, undone.counters) == ("counter:round:7", "round:7")
    assert undone.lines == {POOL: 30, Account(AccountKind.SAVED, 5): -30}
    assert Account(AccountKind.SAVED, 5).name == "saved:5"


def test_what_was_drawn_already_cannot_be_taken_back() -> None:
    """First the draw is put right, then the gift: nobody's savings fall below nothing."""
    saved = {POOL: 30, Account(AccountKind.SAVED, 5): 10, Account(AccountKind.DRAWN, 9): 20}
    undone = counter(gift("round:7", EntryKind.ROUND, 1, 5, 30))
    assert judge(undone, False, saved) is Reason.SHORT
    assert judge(undone, True, saved) is Reason.ALREADY


@pytest.mark.parametrize("lines", [{POOL: 1}, {POOL: 0}])
def test_no_entry_makes_hours(lines: dict[Account, int]) -> None:
    """An entry that does not balance, or says nothing, can't be written down at all."""
    with pytest.raises(AssertionError):
        Entry("x", EntryKind.ROUND, lines)
