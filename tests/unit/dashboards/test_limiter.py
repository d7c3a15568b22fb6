"""Claims about the limit on wrong passwords: it slows a guesser and nobody else."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dashboards.guesses import AT_ONCE, MOST_IN_LINE, Guesses, Paused
from dashboards.limiter import (
    FIRST_PAUSE,
    FORGET_AFTER,
    FREE_GUESSES,
    LONGEST_PAUSE,
    MOST_KEYS,
    LoginLimiter,
)

NOW = datetime(2026, 3, 14, 6, 10, tzinfo=UTC)
NONE = timedelta(0)


def guessed(times: int, account: str = "operator", address: str = "10.0.0.7") -> LoginLimiter:
    """A limiter after so many wrong guesses at NOW."""
    limiter = LoginLimiter()
    for _ in range(times):
        limiter.wrong(account, address, NOW)
    return limiter


def test_a_few_typing_errors_cost_nothing() -> None:
    """The free guesses come without a pause, the next has one."""
    assert guessed(FREE_GUESSES).wait("operator", "10.0.0.7", NOW) == NONE
    assert guessed(FREE_GUESSES + 1).wait("operator", "10.0.0.7", NOW) == FIRST_PAUSE


def test_the_pause_doubles_and_has_an_end() -> None:
    """15 s, 30 s, 60 s … and never more than a quarter of an hour, however many guesses."""
    pauses = [guessed(FREE_GUESSES + n).wait("operator", "10.0.0.7", NOW) for n in (1, 2, 3)]
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert guessed(5_000).wait("operator", "10.0.0.7", NOW) == LONGEST_PAUSE


def test_the_pause_ends_by_itself() -> None:
    """One moment before its end it holds, at its end it doesn't."""
    limiter = guessed(FREE_GUESSES + 1)
    almost = NOW + FIRST_PAUSE - timedelta(milliseconds=1)
    assert limiter.wait("operator", "10.0.0.7", almost) > NONE
    assert limiter.wait("operator", "10.0.0.7", NOW + FIRST_PAUSE) == NONE


def test_a_guesser_elsewhere_cannot_lock_the_desk() -> None:
    """The limit is for one account from one address; the desk's own address stays free."""
    limiter = guessed(50)
    assert limiter.wait("operator", "10.0.0.1", NOW) == NONE
    assert limiter.wait("night", "10.0.0.7", NOW) == NONE


def test_another_spelling_is_the_same_account() -> None:
    """Capitals and blanks give no fresh guesses."""
    assert guessed(FREE_GUESSES + 1).wait(" Operator", "10.0.0.7", NOW) == FIRST_PAUSE


def test_the_right_password_clears_the_slate() -> None:
    """After a login the free guesses are there again."""
    limiter = guessed(FREE_GUESSES)
    limiter.right("operator", "10.0.0.7")
    limiter.wrong("operator", "10.0.0.7", NOW)
    assert limiter.wait("operator", "10.0.0.7", NOW) == NONE


def test_old_guesses_and_a_clock_set_back_are_forgotten() -> None:
    """An hour later, or with the clock a day behind, nobody is locked out."""
    for later in (FORGET_AFTER, timedelta(days=-1)):
        assert guessed(50).wait("operator", "10.0.0.7", NOW + later) == NONE


def test_the_memory_is_bounded() -> None:
    """A flood of invented names forgets the oldest, and doesn't grow."""
    limiter = guessed(50)
    for number in range(MOST_KEYS):
        limiter.wrong(f"name-{number}", "10.0.0.7", NOW)
    assert limiter.wait("operator", "10.0.0.7", NOW) == NONE
    assert limiter.wait("name-5", "10.0.0.7", NOW) == NONE


async def test_the_line_of_strangers_has_an_end_and_known_browsers_another() -> None:
    """Guesses that hang: so many wait, the next is turned away at once; the desk's own browser has
    a line of its own, and room comes back when the line has moved."""
    guesses, go = Guesses(lambda: NOW), asyncio.Event()

    async def hang() -> str:
        await go.wait()
        return "in"

    async def at_once() -> str:
        return "in"

    waiting = [
        asyncio.create_task(guesses.check(f"a{n}", "10.0.0.7", hang, KeyError, strange=True))
        for n in range(MOST_IN_LINE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Paused):
        await guesses.check("b", "10.0.0.8", at_once, KeyError, strange=True)
    assert await guesses.check("b", "browser", at_once, KeyError, strange=False) == "in"
    go.set()
    assert await asyncio.gather(*waiting) == ["in"] * MOST_IN_LINE
    assert await guesses.check("b", "10.0.0.8", at_once, KeyError, strange=True) == "in"


async def test_whoever_waited_in_line_is_asked_again() -> None:
    """Twenty wrong guesses at once: those behind the pause are not looked at any more."""
    guesses, looked = Guesses(lambda: NOW), 0

    async def wrong() -> None:
        nonlocal looked
        looked += 1
        await asyncio.sleep(0)
        raise KeyError

    answers = await asyncio.gather(
        *(guesses.check("a", "10.0.0.7", wrong, KeyError, strange=True) for _ in range(20)),
        return_exceptions=True,
    )
    assert looked <= FREE_GUESSES + AT_ONCE
    assert sum(isinstance(a, Paused) for a in answers) == 20 - looked
