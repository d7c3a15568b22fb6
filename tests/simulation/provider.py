"""A provider of SMS that does what providers do: accepts, delays, loses, doubles, refuses, dies.

It keeps the truth that the invariants are judged by: what really left, how often, to whom.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.channels.base import Ambiguous, Busy, Refused, Sent
from tests.simulation.engine import World
from tests.simulation.plan import Plan

ERRORS = ("30003", "30008", "30005", "30006")
STOPPED = "21610"


@dataclass(slots=True)
class Sms:
    """One message that the provider has."""

    sid: str
    phone: str
    body: str
    reference: int
    created_s: float
    visible_s: float


class Provider:
    """The other end of server/channels/base.py's Channel."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world, self.plan = world, plan
        self.latency_s = 0.0
        self.sent: list[Sms] = []
        self.by_reference: defaultdict[int, list[Sms]] = defaultdict(list)
        self.sids: set[str] = set()
        self.down_until_s = 0.0
        self.down_how = "refused"
        self.stopped: set[str] = set()
        self.excuses = 0
        """How many second copies nobody could have avoided (see docs/simulation.md)."""
        self._hidden: list[tuple[str, str]] = []
        self.voice: Calls = Calls(self)
        self.on_send: Callable[[str, str, int], None] = lambda _p, _b, _r: None
        self.on_accept: Callable[[Sms], None] = lambda _s: None
        self.deliver: Callable[[str, str], None] = lambda _p, _b: None
        self.status: Callable[[int, str, str | None], None] = lambda _m, _s, _e: None
        self.rings: Callable[[str, int], None] = lambda _p, _r: None

    def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """As twilio's POST."""
        world, plan = self.world, self.plan
        self.on_send(phone, body, reference)
        self.latency_s = world.between(0.05, 0.6)
        if world.now_s < self.down_until_s:
            return self._down(phone, body, reference)
        if phone in self.stopped:
            return Refused(STOPPED)
        if world.chance(plan.busy):
            world.tell("provider", f"429 for message {reference}")
            raise Busy("429")
        if world.chance(plan.timeout):
            self.latency_s = 10.0
            fate = world.rng.choice(("lost", "accepted", "accepted", "late"))
            world.tell("provider", f"time-out for message {reference} ({fate})")
            if fate == "accepted":
                self._accept(phone, body, reference)
            elif fate == "late":
                self._hidden.append((phone, body))
                world.after(world.between(5, 25), self._accept_late, phone, body, reference)
            raise Ambiguous("time-out")
        return Sent(self._accept(phone, body, reference).sid)

    def _down(self, phone: str, body: str, reference: int) -> Sent:
        if self.down_how == "refused":
            self.latency_s = 0.02
            raise Busy("connection refused")
        if self.down_how == "503":
            raise Busy("503")
        self.latency_s = 10.0
        if self.world.chance(0.3):  # it took the message and could not say so
            self._accept(phone, body, reference)
        raise Ambiguous("time-out in an outage")

    def _accept_late(self, phone: str, body: str, reference: int) -> None:
        self._hidden.remove((phone, body))
        self._accept(phone, body, reference)

    def find(self, phone: str, body: str, since: datetime) -> list[Sent]:
        """As twilio's list of messages, newest first; it may lag."""
        self.latency_s = self.world.between(0.05, 0.6)
        if self.world.now_s < self.down_until_s:
            raise Busy("can't be asked")
        found = []
        for sms in reversed(self.sent):
            if (sms.phone, sms.body) != (phone, body):
                continue
            if sms.visible_s > self.world.now_s:
                self.excuses += 1  # it is there and can't be seen yet
            elif sms.created_s < since.timestamp():
                # Our clock ran away from the provider's since: its date lies before ours.
                self.excuses += self.world.skew_s > 0
            else:
                found.append(Sent(sms.sid))
        # What it has taken and does not show yet may be the very copy that is looked for, also
        # when it shows another message of the same words.
        self.excuses += self._hidden.count((phone, body))
        return found

    def alive(self) -> bool:
        """As twilio's account, asked."""
        self.latency_s = self.world.between(0.05, 0.6)
        return self.world.now_s >= self.down_until_s

    def _accept(self, phone: str, body: str, reference: int) -> Sms:
        world, plan = self.world, self.plan
        lag = world.between(0, plan.lookup_lag)
        sms = Sms(
            f"SM{len(self.sent):06}", phone, body, reference, world.now_s, world.now_s + lag
        )
        self.sent.append(sms)
        self.sids.add(sms.sid)
        self.by_reference[reference].append(sms)
        world.tell("provider", f"accepts message {reference} to {phone[-7:]}: {body[:44]}")
        self.on_accept(sms)
        self._later(reference, "sent", None, world.between(0.2, 3))
        at = world.between(0.5, 12)
        if world.chance(plan.undelivered):
            how = world.rng.choice(("undelivered", "failed"))
            self._later(reference, how, world.rng.choice(ERRORS), at)
        else:
            world.after(at, self.deliver, phone, body)
            # The receipt is a message of its own, and may overtake "sent".
            self._later(reference, "delivered", None, at + world.between(-0.4, 2))
        return sms

    def _later(self, reference: int, state: str, error: str | None, delay_s: float) -> None:
        if self.world.chance(self.plan.callback_lost):
            return
        self.world.after(max(delay_s, 0.01), self.status, reference, state, error)
        if self.world.chance(self.plan.callback_twice):
            self.world.after(
                max(delay_s, 0.01) + self.world.between(0, 60), self.status, reference, state, error
            )

    def outage(self) -> None:
        """Down for minutes, in one of three ways."""
        minutes = self.world.rng.choice((1, 3, 10, 20))
        self.down_how = self.world.rng.choice(("refused", "503", "hangs"))
        self.down_until_s = self.world.now_s + minutes * 60
        self.world.tell("provider", f"is down for {minutes} min ({self.down_how})")

    def extra_copies(self, claimed: Mapping[str, int]) -> int:
        """Copies beyond one a message. `claimed`: the provider's id → the message that counts on
        it; two messages of the same words to one phone may each count on the other's copy."""
        kept: dict[tuple[str, str], set[int]] = {}
        for sms in self.sent:
            owner = claimed.get(sms.sid, sms.reference)
            kept.setdefault((sms.phone, sms.body), set()).update((owner, sms.reference))
        return len(self.sent) - sum(
            min(len(owners), self._copies(key)) for key, owners in kept.items()
        )

    def _copies(self, key: tuple[str, str]) -> int:
        return sum((s.phone, s.body) == key for s in self.sent)

    def doubled(self) -> list[list[Sms]]:
        """Messages that left more than once."""
        return [copies for copies in self.by_reference.values() if len(copies) > 1]

    def has(self, row: Any) -> bool:
        """Whether the provider really has a message that the database calls sent."""
        if row["channel"] == "voice":
            return self.voice.has(row)
        return bool(self.by_reference.get(row["id"])) or row["provider_id"] in self.sids


class Calls:
    """The same provider's calls: placed, delayed, lost, doubled, and answered by people, machines
    or nobody. The truth about what rang is kept here."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.placed: list[Sms] = []
        self.latency_s = 0.0

    def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """As twilio's POST to Calls."""
        provider, world = self._provider, self._provider.world
        self.latency_s = world.between(0.05, 0.6)
        if world.now_s < provider.down_until_s:
            raise Busy("down")
        if world.chance(provider.plan.busy):
            raise Busy("429")
        if world.chance(provider.plan.timeout):
            self.latency_s = 10.0
            if world.rng.random() < 0.5:
                self._place(phone, body, reference)
            raise Ambiguous("time-out")
        return Sent(self._place(phone, body, reference).sid)

    def find(self, phone: str, body: str, since: datetime) -> list[Sent]:  # noqa: ARG002 (as twilio)
        """As twilio's list of calls, newest first: it knows no words."""
        self.latency_s = self._provider.world.between(0.05, 0.6)
        if self._provider.world.now_s < self._provider.down_until_s:
            raise Busy("can't be asked")
        return [Sent(c.sid) for c in reversed(self.placed)
                if c.phone == phone and c.created_s >= since.timestamp()]  # fmt: skip

    def alive(self) -> bool:
        """As twilio's account, asked."""
        return self._provider.alive()

    def has(self, row: Any) -> bool:
        """Whether a call that the database calls placed was placed."""
        sids = {c.sid for c in self.placed}
        return row["provider_id"] in sids or any(c.reference == row["id"] for c in self.placed)

    def _place(self, phone: str, body: str, reference: int) -> Sms:
        world = self._provider.world
        call = Sms(f"CA{len(self.placed):06}", phone, body, reference, world.now_s, world.now_s)
        self.placed.append(call)
        world.tell("provider", f"rings {phone[-7:]} for message {reference}: {body[:30]}")
        world.after(world.between(1, 4), self._provider.rings, phone, reference)
        return call
