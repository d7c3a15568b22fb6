"""Telephone calls as the provider places them: ring, find out who picked up, fetch the words, take
a key, tell how it ended.

Who picks up and what they press is for others to say (the page, a tester, the automatic
stewards). It must never end a call well that nobody answered.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from uuid import uuid4
from xml.etree import ElementTree

from firmware_sim.phones.webhooks import PostResult

API_VERSION = "2010-04-01"
RINGING, TALKING = "ringing", "in-progress"
OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
PERSON = "human"
KINDS_OF_ANSWER = frozenset({PERSON, "machine_start", "fax", "unknown"})
LISTENS_S = 30.0
"""How long (virtual) the words and the wait for a key take together."""
MOST_CALLS = 5_000
Ask = Callable[[str, dict[str, str]], Awaitable[PostResult]]


@dataclass(slots=True)
class Call:
    """One call. `phone` is the person's end; `said` is what they heard, in order."""

    phone: str
    from_number: str
    created_s: float
    url: str
    status_callback: str = ""
    events: tuple[str, ...] = ("completed",)
    detects: bool = False
    timeout_s: float = 60.0
    sid: str = field(default_factory=lambda: "CA" + uuid4().hex)
    status: str = "queued"
    answered_by: str | None = None
    said: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    action: str | None = None  # where a key goes; None: nobody listens
    started_s: float | None = None
    ended_s: float | None = None
    listens_until_s: float | None = None
    sequence: int = 0

    @property
    def over(self) -> bool:
        """Whether the call has ended, one way or another."""
        return self.status in OVER


class Calls:
    """The calls of one run, oldest first and bounded, and what happens in them."""

    def __init__(
        self, account_sid: str, ask: Ask, clock: Callable[[], float],
        changed: Callable[[str], None],
    ) -> None:
        self._account_sid = account_sid
        self._ask = ask
        self._clock = clock
        self._changed = changed
        self._calls: dict[str, Call] = {}

    def add(self, call: Call) -> None:
        """Keep a call; forget the oldest when there are too many."""
        while len(self._calls) >= MOST_CALLS:
            self._calls.pop(next(iter(self._calls)))
        self._calls[call.sid] = call

    def get(self, sid: str) -> Call | None:
        """The call with this sid, or None."""
        return self._calls.get(sid)

    def newest_first(self) -> Iterator[Call]:
        """All calls, the most recent first."""
        return reversed(self._calls.values())

    def of(self, phone: str) -> list[Call]:
        """The calls to one phone, oldest first."""
        return [c for c in self._calls.values() if c.phone == phone]

    def current(self, phone: str) -> Call | None:
        """The call that rings on this phone, or is being talked on."""
        live = [c for c in self.of(phone) if c.status in (RINGING, TALKING)]
        return live[0] if live else None

    async def ring(self, call: Call) -> None:
        """The telephone rings."""
        await self._become(call, RINGING, "ringing")

    async def fail(self, call: Call, status: str) -> None:
        """It is over before anybody spoke: `busy`, `no-answer` or `failed`."""
        if not call.over:
            await self._become(call, status, "completed")

    async def answer(self, call: Call, who: str = PERSON) -> None:
        """Somebody or something picks up; the words are fetched, as the provider does."""
        if call.status != RINGING:
            return
        call.started_s = self._clock()
        call.answered_by = who if call.detects else None
        await self._become(call, TALKING, "answered")
        await self._fetch(call, call.url, {})

    async def press(self, call: Call, digit: str) -> None:
        """A key, while the call listens; else it is lost, as on a real telephone."""
        if call.status != TALKING or call.action is None:
            return
        action, call.action = call.action, None
        call.keys.append(digit)
        await self._fetch(call, action, {"Digits": digit, "msg": "Gather End"})

    async def hang_up(self, call: Call) -> None:
        """The person puts the receiver down; while it rings, they refuse the call."""
        if call.status == RINGING:
            await self.fail(call, "busy")
        elif call.status == TALKING:
            await self._become(call, "completed", "completed")

    async def pass_time(self, now_s: float) -> None:
        """End what has lasted too long: ringing, or waiting for a key."""
        for call in list(self._calls.values()):
            if call.status == RINGING and now_s >= call.created_s + call.timeout_s:
                await self.fail(call, "no-answer")
            elif call.listens_until_s is not None and now_s >= call.listens_until_s:
                await self.hang_up(call)

    async def _fetch(self, call: Call, url: str, more: dict[str, str]) -> None:
        result = await self._ask(url, {**self._params(call), **more})
        said, action, ends = spoken(result.text if result.status == 200 else "")
        call.said += said
        call.action = action
        call.listens_until_s = self._clock() + LISTENS_S if action else None
        self._changed(call.phone)
        if ends:
            await self.hang_up(call)

    async def _become(self, call: Call, status: str, event: str) -> None:
        call.status = status
        if call.over:
            call.ended_s = self._clock()
            call.action = call.listens_until_s = None
        self._changed(call.phone)
        if call.status_callback and event in call.events:
            more = {"CallDuration": "20"} if status == "completed" else {}
            more |= {"SequenceNumber": str(call.sequence), "CallbackSource": "call-progress-events"}
            call.sequence += 1
            await self._ask(call.status_callback, {**self._params(call), **more})

    def _params(self, call: Call) -> dict[str, str]:
        known = {"AnsweredBy": call.answered_by} if call.answered_by else {}
        return {
            "CallSid": call.sid, "AccountSid": self._account_sid, "CallStatus": call.status,
            "To": call.phone, "From": call.from_number, "Called": call.phone,
            "Caller": call.from_number, "Direction": "outbound-api", "ApiVersion": API_VERSION,
            **known,
        }  # fmt: skip


def spoken(text: str) -> tuple[list[str], str | None, bool]:
    """A TwiML answer as one hears it: sentences, where a key goes, and whether the call then ends.

    Words after a <Gather> are for those who press nothing; they are not heard before.
    """
    if "<!" in text.replace("<!--", "") or not text.strip():
        return [], None, True
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314  no DTD gets here; size bounded
    except ElementTree.ParseError:
        return [], None, True
    said: list[str] = []
    for verb in root:
        if verb.tag == "Say":
            said.append("".join(verb.itertext()).strip())
        elif verb.tag == "Gather":
            said += ["".join(s.itertext()).strip() for s in verb.iter("Say")]
            return said, verb.get("action"), False
        elif verb.tag == "Hangup":
            break
    return said, None, True
