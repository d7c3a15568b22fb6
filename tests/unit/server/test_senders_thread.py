"""The thread in which a lane's messages travel: many at once, in order, and each is answered."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from server.channels.thread import SendersThread

AT_ONCE = 3
WITHIN_S = 20.0


class Journey:
    """Something that begins, waits until it is let go, and ends."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.some = threading.Semaphore(0)
        self.go = threading.Event()

    async def travel(self, number: int) -> int:
        """Its number, once it is let go."""
        self.begun.append(number)
        self.some.release()
        await asyncio.to_thread(self.go.wait, WITHIN_S)
        return number

    def wait_for(self, count: int) -> None:
        """Until so many more have begun."""
        for _ in range(count):
            assert self.some.acquire(timeout=WITHIN_S)


@pytest.fixture
def journey() -> Iterator[Journey]:
    """It is let go at the latest when the test ends."""
    made = Journey()
    yield made
    made.go.set()


@pytest.fixture
def thread(request: pytest.FixtureRequest) -> Iterator[SendersThread]:
    """A thread for three at once, by the test's name."""
    made = SendersThread(AT_ONCE, request.node.name)
    yield made
    made.shutdown()


def named(name: str) -> list[threading.Thread]:
    """The threads of this name that there are."""
    return [t for t in threading.enumerate() if t.name == name]


def test_so_many_are_under_way_and_the_others_follow_in_order(
    thread: SendersThread, journey: Journey, request: pytest.FixtureRequest
) -> None:
    """One thread for all, and none before it is needed."""
    assert named(request.node.name) == []
    sent = [thread.submit(journey.travel, n) for n in range(10)]
    journey.wait_for(AT_ONCE)
    assert journey.begun == [0, 1, 2]
    assert len(named(request.node.name)) == 1
    journey.go.set()
    assert [s.result(WITHIN_S) for s in sent] == list(range(10))
    assert journey.begun == list(range(10))


def test_after_a_rest_as_many_are_under_way_as_before(
    thread: SendersThread, journey: Journey
) -> None:
    """Whoever ends in the moment in which others come leaves none of them behind."""

    async def nothing(number: int) -> int:
        return number

    for _ in range(200):
        sent = [thread.submit(nothing, n) for n in range(AT_ONCE)]
        assert [s.result(WITHIN_S) for s in sent] == [0, 1, 2]
    for n in range(AT_ONCE):
        thread.submit(journey.travel, n)
    journey.wait_for(AT_ONCE)


def test_one_that_fails_is_nobody_elses_trouble(thread: SendersThread) -> None:
    """Whoever gave it hears of it; the next one has its turn."""

    async def fails() -> int:
        raise ValueError("no")

    async def works() -> int:
        return 1

    failed = [thread.submit(fails) for _ in range(2 * AT_ONCE)]
    assert thread.submit(works).result(WITHIN_S) == 1
    for one in failed:
        with pytest.raises(ValueError, match="no"):
            one.result(WITHIN_S)


def test_one_that_was_withdrawn_is_not_begun(thread: SendersThread, journey: Journey) -> None:
    """As long as it waits; what is under way can't be called back."""
    sent = [thread.submit(journey.travel, n) for n in range(AT_ONCE + 2)]
    journey.wait_for(AT_ONCE)
    assert not sent[0].cancel()
    assert sent[AT_ONCE].cancel()
    journey.go.set()
    assert sent[-1].result(WITHIN_S) == AT_ONCE + 1
    assert AT_ONCE not in journey.begun


def test_an_end_waits_for_nothing(journey: Journey) -> None:
    """What is under way ends where it stands, and the thread with it; nothing more is taken."""
    thread, ended = SendersThread(AT_ONCE, "one that ends"), threading.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    under_way: Future[None] = thread.submit(hangs)
    thread.submit(journey.travel, 1)
    journey.wait_for(1)
    (running,) = named("one that ends")
    thread.shutdown()
    assert ended.wait(WITHIN_S)
    running.join(WITHIN_S)
    assert not running.is_alive()
    assert not under_way.done()
    with pytest.raises(RuntimeError, match="shut down"):
        thread.submit(hangs)
    thread.shutdown()


def test_where_there_is_no_thread_the_next_one_tries_again(
    thread: SendersThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that is out of threads for a moment costs that message its try, and the lane
    nothing: what was refused is not run later beside what took its place."""
    ran: list[int] = []

    async def works(number: int) -> int:
        ran.append(number)
        return number

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="new thread"):
            thread.submit(works, 1)
    assert thread.submit(works, 2).result(WITHIN_S) == 2
    assert ran == [2]


def test_one_that_was_never_used_has_nothing_to_end() -> None:
    """A server without anything to send ends as well."""
    thread = SendersThread(AT_ONCE, "never used")
    thread.shutdown()
    assert named("never used") == []
