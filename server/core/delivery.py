"""What to do about a message that did not arrive, and whose trouble it is. Pure; only the table.

Codes are Twilio's (its error dictionary), the end of a call (`busy`, `no_answer` …), or our own
words. A number's trouble is a fault of that steward's, to be mended before the emergency; the
provider's is one fault of ours; a moment's (a busy line) is nobody's fault at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Remedy(StrEnum):
    """What is tried next."""

    RETRY = "retry"
    """The same again, a little later: it may pass by itself."""
    OTHER_CHANNEL = "other_channel"
    """This person by another channel, at once; when every channel was tried, another person."""
    OTHER_PERSON = "other_person"
    """No channel leads to this person now: the ladder moves when nobody else is reached."""


class Blame(StrEnum):
    """Who must be looked after."""

    NUMBER = "number"
    PROVIDER = "provider"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a code means for us."""

    remedy: Remedy
    blame: Blame
    meaning: str


def _retry(meaning: str) -> Trouble:
    return Trouble(Remedy.RETRY, Blame.PROVIDER, meaning)


def _ring(meaning: str, blame: Blame = Blame.NUMBER) -> Trouble:
    return Trouble(Remedy.OTHER_CHANNEL, blame, meaning)


def _move_on(meaning: str, blame: Blame = Blame.NUMBER) -> Trouble:
    return Trouble(Remedy.OTHER_PERSON, blame, meaning)


OPTED_OUT = "21610"
NOT_IN_TIME, PROVIDER_DOWN, NO_ACCOUNT = "not_in_time", "provider_down", "no_sms_account"
MACHINE, UNHEARD = "machine", "unheard"
AWAY = "away"
TROUBLES: Mapping[str, Trouble] = {
    # A text that was taken and did not arrive.
    "30001": _retry("the provider's queue overflowed"),
    "30002": _ring("the account is suspended", Blame.PROVIDER),
    "30003": _move_on("the handset is off or out of reach: a call would ring nowhere either"),
    "30004": _ring("texts to it are blocked: a call may still ring"),
    "30005": _move_on("there is no such number"),
    "30006": _ring("a landline: it can be rung"),
    "30007": _ring("a carrier's filter took the text: it has none for calls"),
    "30008": _ring("the carrier does not say why"),
    "30036": _retry("it waited too long in the provider's queue"),
    "30410": _retry("the carrier did not answer the provider"),
    # A text that was refused.
    "21211": _move_on("not a valid number"),
    "21408": _ring("the account may not text to this country", Blame.PROVIDER),
    OPTED_OUT: _move_on("the person has sent STOP"),
    "21611": _retry("our sender has too many texts waiting"),
    "21612": _ring("not reachable by text from this sender"),
    "21614": _ring("not a mobile number: it can be rung"),
    "21635": _ring("a landline: it can be rung"),
    # A call that was refused, or ended without a person.
    "13224": _move_on("the number can't be called"),
    "21210": _ring("our number may not place calls", Blame.PROVIDER),
    "21214": _move_on("the number can't be reached"),
    "21215": _ring("the account may not call this country", Blame.PROVIDER),
    "21216": _ring("the account may not call this number", Blame.PROVIDER),
    "21217": _move_on("not a valid number"),
    "busy": _ring("they are on the phone", Blame.MOMENT),
    "no_answer": _ring("nobody picked up", Blame.MOMENT),
    "canceled": _ring("the call was taken back before it rang", Blame.MOMENT),
    MACHINE: _ring("an answering machine or a fax picked up: not a person", Blame.MOMENT),
    UNHEARD: _ring("it ended without a sign that a person was there", Blame.MOMENT),
    "call_failed": _ring("the call could not be connected"),
    # The account or the provider itself.
    "20003": _ring("the account's credentials are refused", Blame.PROVIDER),
    "20005": _ring("the account is not active", Blame.PROVIDER),
    "21212": _ring("our own number is not valid", Blame.PROVIDER),
    "21606": _ring("our own number can't send texts", Blame.PROVIDER),
    **{c: _retry("too many requests") for c in ("429", "20429")},
    **{
        c: _retry("the provider is down")
        for c in ("500", "502", "503", "504", "20500", "20503", "20504")
    },
    # Our own words.
    "opted_out": _move_on("the person has sent STOP"),
    AWAY: _move_on("the person has gone away since", Blame.MOMENT),
    NOT_IN_TIME: _move_on("it could not leave within the sending deadline", Blame.PROVIDER),
    PROVIDER_DOWN: _ring("the provider is down and there is no second one", Blame.PROVIDER),
    NO_ACCOUNT: _move_on("no account is configured", Blame.PROVIDER),
}
_SILENT = _ring("the provider gives no reason")
_UNKNOWN = _ring("a code we do not know", Blame.PROVIDER)


def trouble(error: str | None) -> Trouble:
    """What a code means. A failure without a code is taken as the number's: somebody looks, and
    finds out; one with a code we do not know as the provider's."""
    return _SILENT if error is None else TROUBLES.get(error, _UNKNOWN)


def blame(error: str | None) -> Blame:
    """Whose trouble this code is."""
    return trouble(error).blame


def remedy(error: str | None, *, calls: bool = True) -> Remedy:
    """What is tried next. `calls`: whether this house can place calls at all."""
    found = trouble(error).remedy
    if found is Remedy.OTHER_CHANNEL and not calls:
        return Remedy.OTHER_PERSON
    return found


def of_the_account(error: str) -> bool:
    """Whether another account might well take what this one refuses."""
    found = trouble(error)
    return found.blame is Blame.PROVIDER and found.remedy is not Remedy.RETRY


SOS_WITHIN = timedelta(minutes=2)
"""How long an SOS message is tried. The ladder's first wait: after it others are called anyway,
and a text that comes later than they do only confuses."""
ROUND_WITHIN = timedelta(minutes=15)
"""How long a worklist's message is tried: less than the first wait of its ladder (20 min), so that
the next step already knows that nobody was told."""


def give_up(
    tried_for: timedelta, *, urgent: bool, down: bool, can_ring: bool
) -> str | None:
    """Why a message that could not leave is no longer tried; None: try again.

    `tried_for`: since its first try. Waiting for our own rate is none: a message behind a thousand
    others has not failed. `down`: the provider is down and no other takes its place; `can_ring`:
    the message calls for help, and its person can be rung instead.
    """
    if down and can_ring:
        return PROVIDER_DOWN
    return NOT_IN_TIME if tried_for >= (SOS_WITHIN if urgent else ROUND_WITHIN) else None
