"""The thread beside the event loop: when it texts, when it ends the process, when neither."""

import pytest

from server.watchdog import END_AFTER, TEXT_AFTER, Watchdog


class Kept:
    """A watchdog whose two deeds are written down."""

    def __init__(self, *, mute: bool = False) -> None:
        self.deeds: list[str] = []
        self._mute = mute
        self.dog = Watchdog(self._tell, lambda: self.deeds.append("end"))

    def _tell(self) -> None:
        self.deeds.append("text")
        if self._mute:
            raise OSError("no line to the provider")

    def looks(self, times: int, *, turns: bool = False) -> list[str]:
        """So many ticks; whether the loop turns between them."""
        for _ in range(times):
            if turns:
                self.dog.beat()
            self.dog.look()
        return self.deeds


def test_a_loop_that_turns_is_left_alone() -> None:
    """For hours, and also when it is slow: one turn in the last moment, and all is forgotten."""
    kept = Kept()
    assert kept.looks(3 * END_AFTER, turns=True) == []
    for _ in range(5):
        assert kept.looks(TEXT_AFTER - 1) == []
        assert kept.looks(1, turns=True) == []


@pytest.mark.parametrize("mute", [False, True])
def test_a_loop_that_stands_is_told_once_and_then_ended(*, mute: bool) -> None:
    """One SMS, and the end a minute later; that nobody can be texted changes nothing of it."""
    kept = Kept(mute=mute)
    assert kept.looks(TEXT_AFTER - 1) == []
    assert kept.looks(1) == ["text"]
    assert kept.looks(END_AFTER - TEXT_AFTER - 1) == ["text"]
    assert kept.looks(1) == ["text", "end"]


def test_a_loop_that_comes_back_is_spared() -> None:
    """Told, and then it turned after all: the count begins anew."""
    kept = Kept()
    kept.looks(END_AFTER - 1)
    kept.looks(1, turns=True)
    assert kept.looks(TEXT_AFTER - 1) == ["text"]
    assert kept.looks(1) == ["text", "text"]
