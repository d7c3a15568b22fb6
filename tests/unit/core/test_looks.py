"""Claims about what is one look: a page that stands open is, however often it asks."""

import pytest

from server.core import looks
from server.core.looks import MOST, PAUSE_S, Looks, look

LI = look("li", "alert_looked_at", {"alert_id": 7})


@pytest.mark.parametrize(
    ("asked_s", "openings"),
    [
        ([0.0], 1), ([0.0, 15.0, 30.0], 1), ([n * 15.0 for n in range(2000)], 1),
        ([0.0, PAUSE_S - 1, 2 * PAUSE_S - 2], 1), ([0.0, PAUSE_S], 2),
        ([0.0, 15.0, 15.0 + PAUSE_S, 30.0 + PAUSE_S], 2),
    ],
)  # fmt: skip
def test_a_page_that_asks_again_and_again_was_opened_once(
    asked_s: list[float], openings: int
) -> None:
    """The pause counts from the last time it asked, not from the first."""
    known = Looks()
    assert sum(known.opened(LI, at) for at in asked_s) == openings


@pytest.mark.parametrize(
    "other",
    [("wang", "alert_looked_at", {"alert_id": 7}), ("li", "building_looked_at", {"alert_id": 7}),
     ("li", "alert_looked_at", {"alert_id": 8}), ("li", "alert_looked_at", {})],
)  # fmt: skip
def test_another_look_is_another_opening(other: tuple[str, str, dict[str, int]]) -> None:
    """By who, what, and what about."""
    known = Looks()
    assert known.opened(LI, 0.0)
    assert known.opened(look(*other), 1.0)
    assert not known.opened(LI, 2.0)


def test_the_order_of_what_it_is_about_makes_no_other() -> None:
    """Two ways of naming the same."""
    assert look("li", "x", {"a": 1, "b": None}) == look("li", "x", {"b": None, "a": 1})


def test_what_was_not_written_down_is_tried_again() -> None:
    """And what was never known is forgotten without ado."""
    known = Looks()
    assert known.opened(LI, 0.0)
    known.forget(LI)
    known.forget(look("nobody", "x", {}))
    assert known.opened(LI, 1.0)


def test_no_more_is_remembered_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was not seen for longest makes room: at worst there is one entry too many."""
    assert MOST > 100
    monkeypatch.setattr(looks, "MOST", 2)
    known = Looks()
    names = [look(name, "x", {}) for name in "abc"]
    assert all(known.opened(one, 0.0) for one in names)
    assert not known.opened(names[2], 1.0)
    assert known.opened(names[0], 1.0)
