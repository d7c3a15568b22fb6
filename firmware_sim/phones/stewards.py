"""How people answer texts when nobody plays them: seeded, timed, and not always as hoped.

A pure state machine: told what arrived on which phone and asked what is due, both with the time
passed in. It must never read a clock, send anything, or answer in place of a person who has
taken an alert into their own hands on the page of phones.

The pattern (all virtual time): 60 to 180 s after the alert a person answers `1 CODE`, 2 to 6 min
later `2 CODE` from the door, 2 to 8 min after that `3 CODE`. One in ten answers `0`, some never
answer. Once one of them is on the way, those who have not answered yet stay at home.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

MINUTE_S: Final = 60.0
REFUSES_SHARE: Final = 0.10
SILENT_SHARE: Final = 0.08
MACHINE_SHARE: Final = 0.12
FORGET_AFTER_S: Final = 12 * 60 * MINUTE_S  # four digits come round again; half a day is enough
MAX_CODES: Final = 5_000
ANSWERING_ROLES: Final = frozenset({"steward", "substitute", "key_holder"})

_CODE = re.compile(r"(?:代码|代碼|\bcode)\s*[:：]?\s*(\d{4})(?!\d)", re.IGNORECASE)
_BARE_CODE = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_ASKS_FOR_ANSWER = re.compile(r"回\s*复?\s*[“\"「']?[1１]|\breply\s+[“\"']?1\b", re.IGNORECASE)
_CANNOT_GO = re.compile(r"\s*[0０]")


@dataclass(frozen=True, slots=True)
class Answer:
    """A text that a person would send now."""

    number: str
    body: str
    code: str


@dataclass(frozen=True, slots=True)
class OnThePhone:
    """What somebody does with a call now: pick it up as `who`, or press `digit`."""

    sid: str
    who: str = "human"
    digit: str = ""


@dataclass(slots=True)
class _Plan:
    """What one person is going to do about one alert: texts still to send, soonest first."""

    number: str
    code: str
    texts: list[tuple[float, str]]
    under_way: bool = False


@dataclass(slots=True)
class _Alert:
    """What is known about one code."""

    last_heard_s: float
    heard_by: set[str] = field(default_factory=set)
    taken_over: bool = False


def code_in(body: str) -> str | None:
    """The alert's four-digit code in a text from the server, or None."""
    match = _CODE.search(body)
    return match.group(1) if match else None


def asks_for_answer(body: str) -> bool:
    """Whether a text asks its reader to answer 1, as alerts do and confirmations do not."""
    return _ASKS_FOR_ANSWER.search(body) is not None


class Stewards:
    """The people behind the phones. One instance holds the state of one run."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._alerts: dict[str, _Alert] = {}
        self._plans: list[_Plan] = []
        self._calls: list[tuple[float, str, OnThePhone]] = []
        self._said_yes: set[str] = set()

    def told(self, number: str, role: str, body: str, now_s: float, *, engage: bool) -> None:
        """A text from the server has reached a phone.

        Only the first text with a code on a phone counts, and only if it asks for an answer.
        With `engage` False the person knows of the alert and leaves it to whoever is typing.
        """
        code = code_in(body)
        if code is None:
            return
        self._forget(now_s)
        alert = self._alerts.setdefault(code, _Alert(now_s))
        alert.last_heard_s = now_s
        if number in self._said_yes:  # the confirmation of a key: they will text from the door
            self._said_yes.discard(number)
            self._plans.append(_Plan(number, code, self._rest(number, code, now_s), True))
        first = number not in alert.heard_by
        alert.heard_by.add(number)
        if not (first and engage and asks_for_answer(body)):
            return
        if alert.taken_over or role not in ANSWERING_ROLES:
            return
        texts = self._decide(number, code, now_s)
        if texts:
            self._plans.append(_Plan(number, code, texts))

    def rung(self, number: str, role: str, sid: str, now_s: float) -> None:
        """A telephone rings. Some let it ring, some have a machine, most pick up and press 1."""
        if role not in ANSWERING_ROLES:
            return
        dice = Random(f"{self._seed}:{number}:{sid}")
        mood = dice.random()
        picks_up_s = now_s + dice.uniform(4.0, 15.0)
        if mood < SILENT_SHARE:
            return
        if mood < SILENT_SHARE + MACHINE_SHARE:
            self._calls.append((picks_up_s, number, OnThePhone(sid, "machine_start")))
            return
        digit = "0" if mood > 1 - REFUSES_SHARE else "1"
        self._calls.append((picks_up_s, number, OnThePhone(sid)))
        pressed_s = picks_up_s + dice.uniform(4.0, 12.0)
        self._calls.append((pressed_s, number, OnThePhone(sid, digit=digit)))

    def on_the_phone(self, now_s: float) -> list[OnThePhone]:
        """What is done with calls by now, in order of time. Each is returned once."""
        ready = sorted((c for c in self._calls if c[0] <= now_s), key=lambda c: (c[0], c[1]))
        self._calls = [c for c in self._calls if c[0] > now_s]
        for _, number, act in ready:
            if act.digit == "1" and not any(p.number == number for p in self._plans):
                self._said_yes.add(number)
        return [act for _, _, act in ready]

    def took_the_phone(self, number: str) -> None:
        """A real person has this call in hand."""
        self._calls = [c for c in self._calls if c[1] != number]

    def typed(self, number: str, body: str) -> None:
        """A real person sent a text from a phone: the alert it is about is theirs.

        A refusal (`0`) frees only that phone, so that the other steward can still be seen to go.
        """
        code = self._meant(number, body)
        if code is None:
            return
        if _CANNOT_GO.match(body):
            self._drop(lambda plan: plan.code == code and plan.number == number)
            return
        if code in self._alerts:
            self._alerts[code].taken_over = True
        self._drop(lambda plan: plan.code == code)

    def due(self, now_s: float) -> list[Answer]:
        """The texts to be sent by now, in order of their time. Each is returned once."""
        answers: list[Answer] = []
        while True:
            ready = [p for p in self._plans if p.texts and p.texts[0][0] <= now_s]
            if not ready:
                break
            plan = min(ready, key=lambda p: (p.texts[0][0], p.number))
            _, digit = plan.texts.pop(0)
            answers.append(Answer(plan.number, f"{digit} {plan.code}", plan.code))
            if digit == "1":
                plan.under_way = True
                self._stand_down(plan.code)
        self._plans = [p for p in self._plans if p.texts]
        return answers

    def stop(self) -> None:
        """Everyone puts the phone down: nothing planned is sent any more."""
        self._plans.clear()
        self._calls.clear()

    def _decide(self, number: str, code: str, now_s: float) -> list[tuple[float, str]]:
        # Seeded by who and what, not by order of arrival: a repeat of the run with a message
        # more or less elsewhere still shows this person doing the same.
        dice = Random(f"{self._seed}:{number}:{code}")
        mood = dice.random()
        first_s = now_s + dice.uniform(60.0, 180.0)
        if mood < SILENT_SHARE:
            return []
        if mood < SILENT_SHARE + REFUSES_SHARE:
            return [(first_s, "0")]
        return [(first_s, "1"), *self._rest(number, code, first_s)]

    def _rest(self, number: str, code: str, said_yes_s: float) -> list[tuple[float, str]]:
        dice = Random(f"{self._seed}:{number}:{code}:door")
        door_s = said_yes_s + dice.uniform(2 * MINUTE_S, 6 * MINUTE_S)
        safe_s = door_s + dice.uniform(2 * MINUTE_S, 8 * MINUTE_S)
        return [(door_s, "2"), (safe_s, "3")]

    def _stand_down(self, code: str) -> None:
        for plan in self._plans:
            if plan.code == code and not plan.under_way:
                plan.texts.clear()

    def _meant(self, number: str, body: str) -> str | None:
        """The code a person's text is about: the one they wrote, else the last they heard."""
        for found in _BARE_CODE.findall(body):
            if found in self._alerts:
                return str(found)
        heard = [(a.last_heard_s, c) for c, a in self._alerts.items() if number in a.heard_by]
        return max(heard)[1] if heard else None

    def _drop(self, unwanted: Callable[[_Plan], bool]) -> None:
        self._plans = [plan for plan in self._plans if not unwanted(plan)]

    def _forget(self, now_s: float) -> None:
        for code in [c for c, a in self._alerts.items() if a.last_heard_s < now_s - FORGET_AFTER_S]:
            del self._alerts[code]
        while len(self._alerts) >= MAX_CODES:
            del self._alerts[next(iter(self._alerts))]
