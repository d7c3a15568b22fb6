"""The points a terminal is judged by: what was heard and done, to a verdict on each. Pure.

A point that was never put to the test is `NOT_SEEN`, which is no pass. Times are epoch
milliseconds of the examiner's clock.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise, zip_longest
from typing import Any, Final

from gateway.contract import Event, Reject, Status, parse

RESENDS_S: Final = (2, 4, 8, 15, 30)
SLACK_S: Final = 1.5
"""A cheap terminal's timer, and the network."""
QUIET_AFTER_S: Final = 2.0
"""A resend that was on its way when the receipt left is no fault."""
CLOCK_MS: Final = 60_000
OBEYED_S: Final = 5.0
"""Within this a terminal shows that it has obeyed a command, or it has not."""


class Verdict(StrEnum):
    """Of one point."""

    PASS = "pass"  # noqa: S105 (a verdict, no password)
    FAIL = "fail"
    NOT_SEEN = "not_seen"


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the terminal. `stored`: it came out of the broker's memory when we subscribed,
    which is where a retained one must be found. `qos`: as it was published, for we subscribe with
    the highest that the contract has."""

    at_ms: int
    topic: str
    payload: bytes
    stored: bool = False
    qos: int = 1


@dataclass(frozen=True, slots=True)
class Did:
    """What the examiner did: `asked_press`, `receipt`, `command`, `time`, `fresh`, `idle` (nothing,
    to hear what comes by itself), `expired`, `config`, `left_open`, `cut`, `power`,
    `looked_again` (came anew, to hear what the broker has kept)."""

    at_ms: int
    what: str
    ref: tuple[int, int] | None = None
    cmd_id: str = ""
    value: int = 0


@dataclass(slots=True)
class Record:
    """All that happened in an examination, in order."""

    terminal: str
    heard: list[Heard] = field(default_factory=list)
    did: list[Did] = field(default_factory=list)

    def events(self, kind: str | None = None) -> list[tuple[Heard, Event]]:
        """Well-formed events as they came from the terminal, not out of the broker's memory."""
        found = []
        for each in (h for h in self.heard if not h.stored):
            read = parse(each.topic, each.payload, False)
            if isinstance(read, Event) and kind in (None, read.type):
                found.append((each, read))
        return found

    def statuses(self) -> list[tuple[Heard, Status]]:
        """Well-formed statuses as they came."""
        reads = ((h, parse(h.topic, h.payload, True)) for h in self.heard)
        return [(h, r) for h, r in reads if isinstance(r, Status)]

    def acks(self, cmd_id: str) -> list[str]:
        """What the terminal said became of a command."""
        bodies = (_body(h) for h in self.heard if h.topic.endswith("/cmd_ack"))
        return [str(b.get("result")) for b in bodies if b.get("cmd_id") == cmd_id]

    def when(self, what: str) -> list[Did]:
        """The examiner's deeds of one kind."""
        return [d for d in self.did if d.what == what]


def _body(heard: Heard) -> dict[str, Any]:
    try:
        value = json.loads(heard.payload)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


Judged = tuple[Verdict, str]


def _well_formed(r: Record) -> Judged:
    for each in r.heard:
        retain = each.topic.endswith("/status")
        read = parse(each.topic, each.payload, retain)
        if isinstance(read, Reject):
            return Verdict.FAIL, f"{each.topic}: {read.reason}: {each.payload[:80]!r}"
    return (Verdict.PASS, f"{len(r.heard)} messages") if r.heard else (Verdict.NOT_SEEN, "silence")


def _at_least_once(r: Record) -> Judged:
    events = [h for h in r.heard if "/evt/" in h.topic and not h.stored]
    if any(h.qos == 0 for h in events):
        return Verdict.FAIL, "events come with QoS 0, which any link may lose unnoticed; use QoS 1"
    return (Verdict.PASS, f"{len(events)} events") if events else (Verdict.NOT_SEEN, "no event")


def _attempts(r: Record) -> list[tuple[tuple[int, int], list[tuple[Heard, Event]]]]:
    """SOS by identity, in order of the first attempt."""
    found: dict[tuple[int, int], list[tuple[Heard, Event]]] = {}
    for heard, event in r.events("sos"):
        found.setdefault((event.boot, event.seq), []).append((heard, event))
    return list(found.items())


MIXED: Final = "its presses and their repeats can't be told apart"


def _identity(r: Record) -> Judged:
    presses = len(r.when("asked_press"))
    found = _attempts(r)
    if not presses or not found:
        return Verdict.NOT_SEEN, "no press was seen"
    if len(found) != presses:
        return Verdict.FAIL, f"{presses} presses, {len(found)} identities: {[i for i, _ in found]}"
    return Verdict.PASS, f"{presses} presses, each with its own (boot, seq)"


def _resend(r: Record) -> Judged:
    receipts = r.when("receipt")
    found = _attempts(r)
    if not receipts or not found:
        return Verdict.NOT_SEEN, "no press was left without a receipt"
    first, until_ms = found[0][1], receipts[0].at_ms
    start_ms, whole_s = first[0][0].at_ms, (until_ms - first[0][0].at_ms) / 1000
    seen_s = [(h.at_ms - start_ms) / 1000 for h, _ in first[1:] if h.at_ms <= until_ms]
    due = [s for s in RESENDS_S if s + SLACK_S <= whole_s]
    if not due:
        return Verdict.NOT_SEEN, "the receipt came before a resend was due"
    # In their order, each for one time: the windows overlap, and one resend must not serve two.
    for wanted, came in zip_longest((s for s in RESENDS_S if s <= whole_s + SLACK_S), seen_s):
        if wanted is None or (came is not None and abs(came - wanted) > SLACK_S):
            return Verdict.FAIL, f"sent again at {came:.1f} s, when none is due; seen: {seen_s}"
        if came is None and wanted in due:
            return Verdict.FAIL, f"no resend {wanted} s after the press; seen: {seen_s}"
    return Verdict.PASS, f"again after {', '.join(f'{s:.1f}' for s in seen_s)} s"


def _attempt_rises(r: Record) -> Judged:
    if _identity(r)[0] is Verdict.FAIL:
        return Verdict.NOT_SEEN, MIXED
    first = next(iter(_attempts(r)), (None, []))[1]
    power = r.when("power")  # with which it may begin anew
    until_ms = power[0].at_ms if power else math.inf
    numbers = [e.fields["attempt"] for h, e in first
               if "attempt" in e.fields and h.at_ms < until_ms]  # fmt: skip
    if len(numbers) < 2:
        return Verdict.NOT_SEEN, "no press was sent twice, or none with `attempt`"
    rises = all(a < b for a, b in pairwise(numbers))
    return (Verdict.PASS if rises else Verdict.FAIL), f"attempts {numbers}"


def _receipt_ends_it(r: Record) -> Judged:
    receipts = r.when("receipt")
    if not receipts:
        return Verdict.NOT_SEEN, "no receipt was given"
    if _identity(r)[0] is Verdict.FAIL:
        return Verdict.NOT_SEEN, MIXED
    for given in receipts:
        for heard, event in r.events("sos"):
            late_s = (heard.at_ms - given.at_ms) / 1000
            if (event.boot, event.seq) == given.ref and late_s > QUIET_AFTER_S:
                return Verdict.FAIL, f"sent again {late_s:.1f} s after its receipt"
    return Verdict.PASS, f"{len(receipts)} receipts, silence after each"


def _not_retained(r: Record) -> Judged:
    kept = [h for h in r.heard if h.stored and not h.topic.endswith("/status")]
    if kept:
        return Verdict.FAIL, f"the broker keeps {kept[0].topic}; publish it without retain"
    return (Verdict.PASS, "none kept") if r.events() else (Verdict.NOT_SEEN, "no event")


def _status_retained(r: Record) -> Judged:
    """What a newcomer hears at the end: an older run may have left its status there before."""
    again = r.when("looked_again")
    live = [s for h, s in r.statuses() if not h.stored]
    if not again or not live:
        return Verdict.NOT_SEEN, "no status"
    kept = [s for h, s in r.statuses() if h.stored and h.at_ms >= again[0].at_ms]
    if not kept:
        return Verdict.FAIL, "its status is not retained"
    said, last = kept[-1], live[-1]
    if (said.s, said.fields) != (last.s, last.fields):
        return Verdict.FAIL, f"the broker keeps {said.s} {said.fields}, it said {last.fields}"
    missing = [f for f in ("boot", "fw", "hb_s", "cfg_v") if f not in said.fields]
    if said.s == "online" and missing:
        return Verdict.FAIL, f"the status has no {', '.join(missing)}"
    return Verdict.PASS, f"{said.s}, boot {said.fields.get('boot')}"


def _will(r: Record) -> Judged:
    cuts = r.when("cut")
    if not cuts:
        return Verdict.NOT_SEEN, "its line was not cut"
    before = [s for h, s in r.statuses() if s.s == "online" and h.at_ms <= cuts[0].at_ms]
    lost = [s for h, s in r.statuses() if s.s == "lost" and h.at_ms >= cuts[0].at_ms]
    if not lost:
        return Verdict.FAIL, "the broker said nothing in its name when the line was cut"
    boot = before[-1].fields.get("boot") if before else None
    if lost[0].fields.get("boot") != boot:
        return Verdict.FAIL, f"the will is of boot {lost[0].fields.get('boot')}, it runs {boot}"
    return Verdict.PASS, f"lost, boot {boot}"


def _boot_rises(r: Record) -> Judged:
    power = r.when("power")
    if not power:
        return Verdict.NOT_SEEN, "its power was not cut"
    online = [(h, s) for h, s in r.statuses() if s.s == "online"]
    boots = [int(s.fields.get("boot", -1)) for h, s in online if h.at_ms <= power[0].at_ms]
    after = [int(s.fields.get("boot", -1)) for h, s in online if h.at_ms > power[0].at_ms]
    if not after or not boots:
        return Verdict.FAIL, "it did not come back"
    if after[0] <= boots[-1]:
        return Verdict.FAIL, f"boot {boots[-1]} before the power cut, {after[0]} after it"
    return Verdict.PASS, f"boot {boots[-1]} → {after[0]}"


def _kept_in_flash(r: Record) -> Judged:
    power = r.when("power")
    open_ = r.when("left_open")
    if not power or not open_:
        return Verdict.NOT_SEEN, "no press was open when its power was cut"
    again = [e for h, e in r.events("sos")
             if h.at_ms > power[0].at_ms and (e.boot, e.seq) == open_[0].ref]  # fmt: skip
    if not again:
        return Verdict.FAIL, f"the press {open_[0].ref} was forgotten with the power"
    if again[0].fields.get("buffered") is not True:
        return Verdict.FAIL, "it is sent again, but not called `buffered`"
    return Verdict.PASS, "sent again after the power cut, under its own identity"


def _command(r: Record) -> Judged:
    sent = r.when("command")
    if not sent:
        return Verdict.NOT_SEEN, "no command was given"
    said = r.acks(sent[0].cmd_id)
    if not said:
        return Verdict.FAIL, "a command was not acknowledged (cmd_ack)"
    return (Verdict.PASS, said[0]) if said[0] in ("shown", "received") else (Verdict.FAIL, said[0])


def _beats(r: Record, after: Did) -> bool:
    """Whether a heartbeat followed at once, as an obedient terminal answers `test`."""
    until_ms = after.at_ms + OBEYED_S * 1000
    return any(h.topic.endswith("/hb") and after.at_ms <= h.at_ms < until_ms for h in r.heard)


def _expiry(r: Record) -> Judged:
    """By what it says of a stale command, or else by what it does: to say nothing and obey is the
    worst of all."""
    sent, fresh = r.when("expired"), r.when("fresh")
    if not sent or not fresh:
        return Verdict.NOT_SEEN, "no stale command was given"
    said = [word for each in sent for word in r.acks(each.cmd_id)]
    # `failed` is an older release that does not know the word.
    wrong = [word for word in said if word not in ("expired", "failed")]
    if wrong:
        return Verdict.FAIL, f"a command past its `exp` was {wrong[0]}"
    shows = _beats(r, fresh[0]) and not any(_beats(r, each) for each in r.when("idle"))
    # One heartbeat may have been due; not one after each of them.
    if shows and all(_beats(r, each) for each in sent[:2]):
        return Verdict.FAIL, "a command past its `exp` was obeyed, without a word"
    if "expired" in said:
        return Verdict.PASS, "said to be expired"
    if shows or any(word in ("shown", "received") for word in r.acks(fresh[0].cmd_id)):
        return Verdict.PASS, "dropped"
    return Verdict.NOT_SEEN, "it shows no command in time either, so nobody can tell"


def _configuration(r: Record) -> Judged:
    wanted = r.when("config")
    if not wanted:
        return Verdict.NOT_SEEN, "no configuration was given"
    later = [s for h, s in r.statuses() if h.at_ms >= wanted[0].at_ms and s.s == "online"]
    if not any(s.fields.get("hb_s") == wanted[0].value for s in later):
        return Verdict.FAIL, f"hb_s {wanted[0].value} was not taken up"
    return Verdict.PASS, f"hb_s {wanted[0].value} in force"


def _heartbeat(r: Record) -> Judged:
    wanted = r.when("config")
    if not wanted:
        return Verdict.NOT_SEEN, "no interval was set"
    beats = [h for h in r.heard if h.topic.endswith("/hb") and h.at_ms >= wanted[0].at_ms]
    if not beats and _configuration(r)[0] is Verdict.FAIL:
        return Verdict.NOT_SEEN, "none was due: it beats at its own pace still"
    if not beats:
        return Verdict.FAIL, f"no heartbeat although hb_s is {wanted[0].value}"
    return Verdict.PASS, f"{len(beats)} heartbeats"


def _clock(r: Record) -> Judged:
    dated = [(h, e) for h, e in r.events() if "ts" in e.fields and not e.fields.get("buffered")]
    if not dated:
        return Verdict.NOT_SEEN, "no event carried `ts`"
    for heard, event in dated:
        wrong_ms = abs(heard.at_ms - event.fields["ts"])
        first = event.fields.get("attempt", 1) == 1
        if event.fields.get("ts_ok", True) and first and wrong_ms > CLOCK_MS:
            return Verdict.FAIL, f"its clock is {wrong_ms / 1000:.0f} s off, and `ts_ok` is true"
    return Verdict.PASS, "right, or said to be unset"


def _time_taken(r: Record) -> Judged:
    """Whether it knows the time once it was told; how well it keeps it is `clock`'s."""
    told = r.when("time")
    if not told:
        return Verdict.NOT_SEEN, "it was not told the time"
    later = [
        e for h, e in r.events()
        if h.at_ms > told[0].at_ms and e.fields.get("attempt", 1) == 1 and "ts" in e.fields
        and not e.fields.get("buffered")
    ]  # fmt: skip
    if not later:
        return Verdict.NOT_SEEN, "no event with `ts` came after it was told the time"
    if not all(e.fields.get("ts_ok", True) for e in later):
        return Verdict.FAIL, "it was told the time (`time`), and `ts_ok` is false still"
    return Verdict.PASS, f"{len(later)} events with the time"


POINTS: Final[dict[str, tuple[str, Callable[[Record], Judged]]]] = {
    "well_formed": ("each payload keeps the contract's types", _well_formed),
    "identity": ("each press has an identity of its own", _identity),
    "resend": ("without a receipt it sends again after 2, 4, 8, 15 s", _resend),
    "attempt": ("`attempt` rises", _attempt_rises),
    "receipt": ("a receipt ends the sending", _receipt_ends_it),
    "qos": ("events are published with QoS 1", _at_least_once),
    "not_retained": ("events are not retained", _not_retained),
    "status": ("its status is retained, with boot, fw, hb_s, cfg_v", _status_retained),
    "will": ("the last will says `lost` with the running boot", _will),
    "boot": ("the boot counter rises with each start", _boot_rises),
    "flash": ("an open press outlives a power cut", _kept_in_flash),
    "command": ("a command is acknowledged", _command),
    "expiry": ("a command past its time is dropped", _expiry),
    "config": ("a configuration is taken up", _configuration),
    "heartbeat": ("heartbeats come", _heartbeat),
    "clock": ("the clock is right, or said to be unset", _clock),
    "time": ("a terminal that is told the time knows it from then on", _time_taken),
}
"""Every point: what it asks, and how it is judged."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one point, and what it rests on."""

    point: str
    asks: str
    verdict: Verdict
    why: str


def judge(record: Record) -> Sequence[Finding]:
    """All points, in their order."""
    return [Finding(name, asks, *rule(record)) for name, (asks, rule) in POINTS.items()]
