"""A provider of SMS and calls that does what providers do: accepts, delays, loses, doubles,
refuses, dies.

It keeps the truth that the invariants are judged by: what really left, how often, to whom.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from twilio.base.exceptions import TwilioRestException

from server.channels.base import Busy, Refused, Sent
from server.channels.transport import NoAnswer, NotSent
from server.channels.twilio_account import hand_over
from tests.simulation.engine import World
from tests.simulation.plan import Plan

STOPPED, SUSPENDED = "21610", "20005"
RETRY, RING, MOVE_ON = "retry", "other channel", "other person"
REMEDY = {
    "30001": RETRY, "30036": RETRY, "30410": RETRY, "21611": RETRY,
    "30004": RING, "30006": RING, "30007": RING, "30008": RING, "21408": RING, "21612": RING,
    "21614": RING, "21215": RING, SUSPENDED: RING,
    "30003": MOVE_ON, "30005": MOVE_ON, "21211": MOVE_ON, "13224": MOVE_ON, "21217": MOVE_ON,
    STOPPED: MOVE_ON,
}  # fmt: skip
"""What each code asks for, written down a second time: core/delivery.py must not be its own
judge."""
ERRORS = tuple(code for code in REMEDY if code.startswith("3"))
"""By these a text that was taken does not arrive."""


def _answer(status: int, code: int) -> TwilioRestException:
    return TwilioRestException(status, "/Messages.json", "simulated", code)


def _no_answer() -> NoAnswer:
    return NoAnswer("Operation timed out")


@dataclass(slots=True)
class Copy:
    """One text or call that the provider has."""

    sid: str
    phone: str
    body: str
    reference: int
    created_s: float
    visible_s: float


class Carrier:
    """What texts and calls of one provider have in common; the other end of a Channel."""

    prefix, verb, channel = "SM", "accepts", "sms"
    refusals = ("21211", "21408", "21611", "21612", "21614")

    def __init__(self, provider: "Provider") -> None:
        self.provider = provider
        self.world, self.plan = provider.world, provider.plan
        self.latency_s = 0.0
        self.sent: list[Copy] = []
        self.by_reference: defaultdict[int, list[Copy]] = defaultdict(list)
        self.sids: set[str] = set()
        self.excuses = 0
        """How many second copies nobody could have avoided (see docs/simulation.md)."""
        self.in_doubt: set[int] = set()
        """Messages whose POST had no clear answer, and that nobody has looked up since."""
        self.put_off: dict[int, tuple[int, float]] = {}
        """Message → how often in a row it was surely not taken, and when last."""
        self.refused: dict[int, str] = {}
        self._hidden: list[tuple[str, str]] = []
        self.on_send: Callable[[str, str, int], None] = lambda _p, _b, _r: None
        self.about: dict[int, tuple[str, str]] = {}
        """Telephone and words of a message, by which the provider can be asked for it."""
        self.on_accept: Callable[[Copy], None] = lambda _c: None

    def words(self, body: str) -> str:
        """What the provider can be asked by, beside the telephone."""
        return body

    def arrived(self, copy: Copy) -> None:
        """What becomes of it once the provider has it."""
        raise NotImplementedError

    def refusal(self, phone: str) -> str | None:  # noqa: ARG002 (a text's)
        """The code by which it is refused outright, if it is."""
        if not self.world.chance(self.plan.refusals):
            return None
        code = self.world.rng.choice(self.refusals)
        self.world.fault(f"refused, {REMEDY[code]}")
        return code

    async def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """As twilio's POST; what its answer means is said by the server's own `hand_over`."""
        self.on_send(phone, body, reference)
        self.about[reference] = phone, self.words(body)
        return await hand_over(self._post(phone, body, reference))

    async def _post(self, phone: str, body: str, reference: int) -> str:
        world, plan, provider = self.world, self.plan, self.provider
        self.latency_s = world.between(0.05, 0.6)
        if world.now_s < provider.down_until_s:
            return self._down(phone, body, reference)
        if (code := self.refusal(phone)) is not None:
            self.refused[reference] = code
            world.tell("provider", f"refuses message {reference}: {code}")
            raise _answer(400, int(code))
        if world.chance(plan.busy):
            world.tell("provider", f"429 for message {reference}")
            world.fault("429")
            self._put_off(reference)
            raise _answer(429, 20429)
        if world.chance(plan.timeout):
            status = world.rng.choice((0, 0, 500, 502, 504))
            self.latency_s = 10.0 if status == 0 else 1.0
            fate = world.rng.choice(("lost", "accepted", "accepted", "late"))
            world.tell("provider", f"{status or 'time-out'} for message {reference} ({fate})")
            world.fault(f"5xx, {fate}" if status else f"time-out, {fate}")
            self.in_doubt.add(reference)
            if fate == "accepted":
                self._accept(phone, body, reference)
            elif fate == "late":
                self._hidden.append((phone, self.words(body)))
                world.after(world.between(5, 25), self._accept_late, phone, body, reference)
            raise _answer(status, 20000 + status) if status else _no_answer()
        self.put_off.pop(reference, None)
        return self._accept(phone, body, reference).sid

    def _down(self, phone: str, body: str, reference: int) -> str:
        how = self.provider.down_how
        self.world.fault(f"provider down, {how}")
        if how == "account":  # nothing is wrong with anybody's number: our account is suspended
            self.refused[reference] = SUSPENDED
            raise _answer(403, int(SUSPENDED))
        if how in ("refused", "503"):
            self._put_off(reference)
        if how == "refused":
            self.latency_s = 0.02
            raise NotSent("connection refused")
        if how == "503":
            raise _answer(503, 20503)
        self.latency_s = 10.0
        self.in_doubt.add(reference)
        if self.world.chance(0.3):  # it took the message and could not say so
            self._accept(phone, body, reference)
        raise _no_answer()

    def _put_off(self, reference: int) -> None:
        """It surely did not take it, and may not be asked again at once."""
        times, _ = self.put_off.get(reference, (0, 0.0))
        self.put_off[reference] = times + 1, self.world.now_s

    def _accept_late(self, phone: str, body: str, reference: int) -> None:
        self._hidden.remove((phone, self.words(body)))
        self._accept(phone, body, reference)

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:
        """As twilio's list, newest first; it may lag."""
        self.latency_s = self.world.between(0.05, 0.6)
        if self.world.now_s < self.provider.down_until_s:
            raise Busy("can't be asked")
        found = []
        words = self.words(body)
        self.in_doubt -= {c for c in self.in_doubt if self.about[c] == (phone, words)}
        for copy in reversed(self.sent):
            if (copy.phone, self.words(copy.body)) != (phone, words):
                continue
            if copy.visible_s > self.world.now_s:
                self.excuses += 1  # it is there and can't be seen yet
            elif copy.created_s < since.timestamp():
                # Our clock ran away from the provider's since: its date lies before ours.
                self.excuses += self.world.skew_s > 0
            else:
                found.append(Sent(copy.sid))
        # What it has taken and does not show yet may be the very copy that is looked for, also
        # when it shows another message of the same words.
        self.excuses += self._hidden.count((phone, words))
        return found

    async def alive(self) -> bool:
        """As twilio's account, asked."""
        hangs = self.world.now_s < self.provider.down_until_s and self.provider.down_how == "hangs"
        self.latency_s = 10.0 if hangs else self.world.between(0.05, 0.6)
        return self.world.now_s >= self.provider.down_until_s

    def _accept(self, phone: str, body: str, reference: int) -> Copy:
        world = self.world
        lag = world.between(0, self.plan.lookup_lag)
        sid = f"{self.prefix}{len(self.sent):06}"
        copy = Copy(sid, phone, body, reference, world.now_s, world.now_s + lag)
        self.sent.append(copy)
        self.sids.add(sid)
        self.by_reference[reference].append(copy)
        world.tell("provider", f"{self.verb} message {reference} to {phone[-7:]}: {body[:44]}")
        self.on_accept(copy)
        self.arrived(copy)
        return copy

    def extra_copies(self, claimed: Mapping[str, int]) -> int:
        """Copies beyond one a message. `claimed`: the provider's id → the message that counts on
        it; two messages of the same words to one phone may each count on the other's copy."""
        kept: dict[tuple[str, str], set[int]] = {}
        copies: defaultdict[tuple[str, str], int] = defaultdict(int)
        for copy in self.sent:
            owner = claimed.get(copy.sid, copy.reference)
            key = (copy.phone, self.words(copy.body))
            copies[key] += 1
            kept.setdefault(key, set()).update((owner, copy.reference))
        return len(self.sent) - sum(min(len(o), copies[key]) for key, o in kept.items())

    def doubled(self) -> list[list[Copy]]:
        """Messages that left more than once."""
        return [copies for copies in self.by_reference.values() if len(copies) > 1]

    def has(self, row: Any) -> bool:
        """Whether it really has a message that the database calls sent."""
        return bool(self.by_reference.get(row["id"])) or row["provider_id"] in self.sids


class Provider(Carrier):
    """The account, and its texts."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world, self.plan = world, plan
        super().__init__(self)
        self.down_until_s = 0.0
        self.down_how = "refused"
        self.stopped: set[str] = set()
        self.voice = Calls(self)
        self.deliver: Callable[[str, str], None] = lambda _p, _b: None
        self.status: Callable[[int, str, str | None], None] = lambda _m, _s, _e: None
        self.rings: Callable[[str, int], None] = lambda _p, _r: None

    @property
    def carriers(self) -> tuple[Carrier, Carrier]:
        """Its texts and its calls."""
        return self, self.voice

    def refusal(self, phone: str) -> str | None:
        """Who has sent STOP gets no text."""
        return STOPPED if phone in self.stopped else super().refusal(phone)

    def arrived(self, copy: Copy) -> None:
        """The carrier delivers it, or not; receipts follow."""
        world, plan = self.world, self.plan
        sent, at = world.between(0.2, 3), world.between(0.5, 12)
        self._later(copy.reference, "sent", None, sent)
        if world.chance(plan.undelivered):
            how = world.rng.choice(("undelivered", "failed"))
            code = world.rng.choice(ERRORS)
            world.fault("text lost")
            world.fault(f"lost, {REMEDY[code]}")
            self._later(copy.reference, how, code, at)
        else:
            world.after(at, self.deliver, copy.phone, copy.body)
            # The receipt is a message of its own, and may overtake "sent".
            told = at + world.between(-0.4, 2)
            if told < sent:
                world.fault("receipts in the wrong order")
            self._later(copy.reference, "delivered", None, told)

    def _later(self, reference: int, state: str, error: str | None, delay_s: float) -> None:
        if self.world.chance(self.plan.callback_lost):
            self.world.fault("receipt lost")
            return
        self.world.after(max(delay_s, 0.01), self.status, reference, state, error)
        if self.world.chance(self.plan.callback_twice):
            self.world.fault("receipt twice")
            self.world.after(
                max(delay_s, 0.01) + self.world.between(0, 60), self.status, reference, state, error
            )

    def outage(self) -> None:
        """Down for minutes, in one of four ways."""
        if self.world.calm:
            return
        minutes = self.world.rng.choice((1, 3, 10, 20))
        self.down_how = self.world.rng.choice(("refused", "503", "hangs", "account"))
        self.down_until_s = self.world.now_s + minutes * 60
        self.world.tell("provider", f"is down for {minutes} min ({self.down_how})")


class Calls(Carrier):
    """The same provider's calls: placed, delayed, lost, doubled, and answered by people, machines
    or nobody."""

    prefix, verb, channel = "CA", "rings with", "voice"
    refusals = ("13224", "21215", "21217")

    def words(self, body: str) -> str:  # noqa: ARG002 (that is the point)
        """None: the provider knows no words of a call."""
        return ""

    def arrived(self, copy: Copy) -> None:
        """It rings."""
        after_s = self.world.between(1, 4)
        self.world.after(after_s, self.provider.rings, copy.phone, copy.reference)
