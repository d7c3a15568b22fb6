"""What is said for foreign devices beside their own words."""

from gateway.adapters.nouns import Alive, Habit, Presence, Press, Unknown
from gateway.adapters.roll import AGAIN_MS, Roll

NOW = 1_773_439_260_000
HABITS = {"button": Habit(36_000), "bridge": Habit(600, guarded=True)}


def test_a_press_goes_before_all_else() -> None:
    """No battery level and no promise may stand before a call for help."""
    press = Press("button", "sos", NOW)
    said = Roll(HABITS).after([Alive("button", 80), press], NOW)
    assert said == [press, Alive("button", 80), Presence("button", True)]
    stranger = Unknown("x", True, NOW)
    assert Roll(HABITS).after([Alive("button"), stranger], NOW)[0] is stranger


def test_a_promise_is_said_again_though_not_with_every_word() -> None:
    """A word a second later needs none; one of a minute later has it, also after our clock was
    set back."""
    roll = Roll(HABITS)
    found = [
        len(roll.after([Alive("button")], NOW + ms)) - 1
        for ms in (0, 1_000, AGAIN_MS, AGAIN_MS + 1, 0)
    ]
    assert found == [1, 0, 1, 0, 1]


def test_the_roll_is_called_for_whom_a_will_guards() -> None:
    """From its word that it is there until its will, at its interval; never for a button, whose
    word says nothing of the next hour."""
    roll = Roll(HABITS)
    roll.after([Presence("bridge", True), Presence("button", True)], NOW)
    assert roll.due(NOW + 599_999) == []
    assert roll.due(NOW + 600_000) == [Presence("bridge", True)]
    assert roll.due(NOW + 600_001) == []
    assert roll.due(NOW) == [Presence("bridge", True)], "our clock was set back"
    assert roll.after([Presence("bridge", False)], NOW) == [Presence("bridge", False)]
    assert roll.due(NOW + 9_999_999) == []


def test_a_word_of_one_that_is_gone_does_not_put_it_under_the_will_again() -> None:
    """Only its own word that it is there does."""
    roll = Roll(HABITS)
    roll.after([Presence("bridge", False), Alive("bridge")], NOW)
    assert roll.due(NOW + 600_000) == []
