"""Which provider carries a message now: the first, or the second while the first is down.

A provider's SMS and its calls fare apart: either may be down alone. What is known of their health
lives in this process only and is learnt anew within a minute by another. The rules are in
core/failover.py.
"""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from server.channels.base import Ambiguous, Busy, Refused, Sent
from server.channels.base import Channel as Carrier
from server.core import failover
from server.core.failover import Change, Health
from server.core.words import Channel

MAIN, BACKUP = "main", "backup"


@dataclass(frozen=True, slots=True)
class Line:
    """One provider's way by one channel."""

    provider: str
    channel: Channel
    carrier: Carrier

    @property
    def about(self) -> str:
        """What a fault of this line is about."""
        return f"{self.channel.value}:{self.provider}"


class Lines:
    """All lines of the house, in order of preference. Used by all lanes, from several threads."""

    def __init__(self, lines: Sequence[Line], speed: float = 1.0) -> None:
        """`speed`: of a demo's clock, by which our machinery's times are stretched."""
        self._lines = tuple(lines)
        self._speed = speed
        self._health: dict[Line, Health] = {line: Health() for line in lines}
        self._lock = threading.Lock()

    @staticmethod
    def only(sms: Carrier, voice: Carrier | None = None, speed: float = 1.0) -> "Lines":
        """A house with one provider."""
        found = [Line(MAIN, Channel.SMS, sms)]
        found += [Line(MAIN, Channel.VOICE, voice)] if voice is not None else []
        return Lines(found, speed)

    def now(self, channel: Channel) -> Line | None:
        """The line to take: the first that is not down, or else the first; None where there is
        none at all."""
        ours = [line for line in self._lines if line.channel is channel]
        with self._lock:
            well = [line for line in ours if not self._health[line].down]
        return next(iter(well or ours), None)

    def of(self, channel: Channel, provider: str | None) -> Line | None:
        """The line that a message was given to; the one to take now when it is not known."""
        for line in self._lines:
            if (line.channel, line.provider) == (channel, provider):
                return line
        return self.now(channel)

    def other(self, line: Line) -> Line | None:
        """Another provider for the same channel that is not down."""
        with self._lock:
            return next(
                (o for o in self._lines if o.channel is line.channel and o != line
                 and not self._health[o].down),
                None,
            )  # fmt: skip

    def names(self) -> dict[str, str]:
        """Channel → the provider to take now, as the outbox records it."""
        found = {c.value: self.now(c) for c in Channel}
        return {c: line.provider for c, line in found.items() if line is not None}

    def is_down(self, line: Line) -> bool:
        """Whether this line has been found down."""
        with self._lock:
            return self._health[line].down

    def worked(self, line: Line) -> Change | None:
        """The provider answered."""
        with self._lock:
            self._health[line], change = failover.worked(self._health[line])
        return change

    def answered(self, line: Line) -> Change | None:
        """The provider answered a question, with no message at stake."""
        with self._lock:
            self._health[line], change = failover.answered(self._health[line])
        return change

    def failed(self, line: Line, now: datetime) -> Change | None:
        """The provider did not answer, or could not take it now."""
        with self._lock:
            self._health[line], change = failover.failed(self._health[line], now, self._speed)
        return change

    def to_probe(self, now: datetime) -> list[Line]:
        """Lines that are down and should be asked again now; each is given out once."""
        with self._lock:
            found = [
                line for line, health in self._health.items()
                if failover.probe_due(health, now, self._speed)
            ]  # fmt: skip
            for line in found:
                self._health[line] = replace(self._health[line], probed_at=now)
        return found

    def text(self, phone: str, body: str) -> bool:
        """Send an SMS past the outbox, by whichever provider takes it; whether one did. Blocks, in
        a loop of its own: the others may be what is stuck."""
        return asyncio.run(self._text(phone, body))

    async def _text(self, phone: str, body: str) -> bool:
        for line in self._lines:
            if line.channel is not Channel.SMS:
                continue
            try:
                result: Sent | Refused = await line.carrier.send(phone, body, 0)
            except (Busy, Ambiguous):
                continue
            if isinstance(result, Sent):
                return True
        return False
