"""One thread in which the messages of a lane travel, many at once.

A thread for each would do the same. But the interpreter has one turn for all of them, and to take
turns cost several times what a message does (docs/adr/0033).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
Given = tuple[Future[Any], Callable[..., Coroutine[Any, Any, Any]], tuple[Any, ...]]


class SendersThread:
    """An event loop in a thread of its own, which is given coroutine functions as an executor is
    given functions. Used from any thread; it begins with the first, and must be shut down."""

    def __init__(self, at_once: int, name: str) -> None:
        """`at_once`: so many are under way at most; the others wait for them, in order."""
        self._free = at_once
        self._name = name
        self._lock = threading.Lock()
        self._given: list[Given] = []
        """Not yet seen in the thread."""
        self._waiting: deque[Given] = deque()
        self._hands: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False

    def submit(
        self, call: Callable[..., Coroutine[Any, Any, T]], *args: object
    ) -> "Future[T]":
        """Run `call(*args)` in the thread, soon. It must not block there. Raises RuntimeError once
        the thread was shut down, and where the system has no thread for us: then the next one
        tries again."""
        future: Future[T] = Future()
        with self._lock:
            if self._over:
                raise RuntimeError(f"{self._name} has been shut down")
            loop = self._loop or self._begun()
            self._given.append((future, call, args))
            if len(self._given) == 1:  # else it has been told already
                loop.call_soon_threadsafe(self._take, loop)
        return future

    def _begun(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._run, args=(loop,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            loop.close()
            raise
        self._loop = loop
        return loop

    def shutdown(self) -> None:
        """End the thread, soon; what is under way ends where it stands, and is never answered."""
        with self._lock:
            if not self._over and self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._over = True

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            for hand in self._hands:
                hand.cancel()
            loop.run_until_complete(asyncio.gather(*self._hands, return_exceptions=True))
        finally:
            loop.close()

    def _take(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            given, self._given = self._given, []
        self._waiting.extend(given)
        for _ in range(min(len(self._waiting), self._free)):
            self._free -= 1
            hand = loop.create_task(self._hand())
            self._hands.add(hand)
            hand.add_done_callback(self._hands.discard)

    async def _hand(self) -> None:
        """One after the other, until none waits."""
        try:
            while self._waiting:
                future, call, args = self._waiting.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result = await call(*args)
                except Exception as error:  # noqa: BLE001 (whoever gave it hears of it)
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            self._free += 1
