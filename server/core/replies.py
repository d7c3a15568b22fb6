"""What a steward's SMS means. Pure: text in, meaning out.

Older people type full-width digits, spaces, 收到 or "ok."; each of these is a yes. A reply without
a code is taken only where it can mean one alert alone.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What the steward wants."""

    ACCEPT = "accept"
    ARRIVE = "arrive"
    SAFE = "safe"
    DECLINE = "decline"


@dataclass(frozen=True, slots=True)
class Reply:
    """An action, and the alert's code when the steward gave one."""

    action: Action
    code: str | None = None


DIGITS = {"1": Action.ACCEPT, "2": Action.ARRIVE, "3": Action.SAFE, "0": Action.DECLINE,
          "9": Action.DECLINE}
WORDS = {
    "收到": Action.ACCEPT, "我去": Action.ACCEPT, "好": Action.ACCEPT, "好的": Action.ACCEPT,
    "ok": Action.ACCEPT, "yes": Action.ACCEPT, "y": Action.ACCEPT,
    "到了": Action.ARRIVE, "我到了": Action.ARRIVE, "到门口": Action.ARRIVE,
    "平安": Action.SAFE, "没事": Action.SAFE, "safe": Action.SAFE,
    "去不了": Action.DECLINE, "no": Action.DECLINE,
}
ROUND_DONE = frozenset({
    "巡完", "巡完了", "巡楼完", "巡楼完了", "巡楼完毕", "巡过了", "已巡", "已巡楼",
    "round", "rounds", "round done",
})  # fmt: skip
OF_A_HOUSE = re.compile(
    r"(?P<first>[0-9]{1,3})?(?:栋|号楼)?\s*(?P<word>[^0-9]+?)\s*(?P<last>[0-9]{1,3})?(?:栋|号楼)?"
)
CODE = re.compile(r"[0-9]{4,6}")
EDGES = " \t\r\n.,;:!?。,;:!?、~-()[]【】“”\"'"


def understand(text: str) -> Reply | None:
    """The reply that `text` is, or None when a person must read it."""
    plain = unicodedata.normalize("NFKC", text).strip(EDGES).lower()
    parts = plain.replace(",", " ").split()
    if not parts:  # also where all that is left is white space that strip() did not know
        return None
    if len(parts) == 1:
        token = parts[0]
        if token in DIGITS:
            return Reply(DIGITS[token])
        if token in WORDS:
            return Reply(WORDS[token])
        if CODE.fullmatch(token):  # the code alone: "I have it, I am going"
            return Reply(Action.ACCEPT, token)
        for word, action in WORDS.items():
            rest = token.removeprefix(word)
            if rest != token and CODE.fullmatch(rest):
                return Reply(action, rest)
        return None
    if len(parts) == 2:
        for first, second in (parts, parts[::-1]):
            head = understand(first) if not CODE.fullmatch(first) else None
            if head and CODE.fullmatch(second):
                return Reply(head.action, second)
    if len(parts) <= 6 and all(part.isdigit() and len(part) == 1 for part in parts[1:]):
        # "1 4 0 3 1": a digit and a code typed with stray spaces
        code = "".join(parts[1:])
        if parts[0] in DIGITS and CODE.fullmatch(code):
            return Reply(DIGITS[parts[0]], code)
    return None


@dataclass(frozen=True, slots=True)
class RoundDone:
    """"I have walked my round." `building`: its number, when one was given."""

    building: int | None = None


def round_done(text: str) -> RoundDone | None:
    """Whether a steward reports a round: 巡完, "round"; with a number for another house."""
    match = OF_A_HOUSE.fullmatch(unicodedata.normalize("NFKC", text).strip(EDGES).lower())
    if match is None or match["word"].strip(EDGES) not in ROUND_DONE:
        return None
    if match["first"] and match["last"]:
        return None
    number = match["first"] or match["last"]
    return RoundDone(int(number) if number else None)


class Miss(StrEnum):
    """Why a reply matched no alert."""

    NOTHING_OPEN = "nothing_open"
    SEVERAL_OPEN = "several_open"
    OLD_CODE = "old_code"


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """As much of an open alert as choosing needs."""

    id: int
    code: str


def unglue(reply: Reply, open_alerts: Sequence[OpenAlert]) -> Reply:
    """`14031` is "1 4031" typed without its space, when 4031 is one of theirs."""
    code, codes = reply.code or "", {a.code for a in open_alerts}
    if code not in codes and code[:1] in DIGITS and code[1:] in codes:
        return Reply(DIGITS[code[0]], code[1:])
    return reply


def choose(reply: Reply, open_alerts: Sequence[OpenAlert]) -> int | Miss:
    """Which alert a reply from a person told of `open_alerts` is about: its id, or why none.

    A code always decides, so that an old code can never accept a new alert.
    """
    if reply.code is not None:
        return next((a.id for a in open_alerts if a.code == reply.code), Miss.OLD_CODE)
    if not open_alerts:
        return Miss.NOTHING_OPEN
    if len(open_alerts) > 1:
        return Miss.SEVERAL_OPEN
    return open_alerts[0].id
