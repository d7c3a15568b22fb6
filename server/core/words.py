"""The words of the trade, each enumerated once. See docs/glossary.md for what they mean."""

from enum import StrEnum


class SignalType(StrEnum):
    """What a terminal can say (docs/contract.md, events)."""

    SOS = "sos"
    SOS_CANCEL = "sos_cancel"
    CHECKIN = "checkin"
    FALL = "fall"
    TEST = "test"
    BATTERY_LOW = "battery_low"
    MAINS_LOST = "mains_lost"
    MAINS_RESTORED = "mains_restored"
    TAMPER = "tamper"
    HELP = "help"
    """An errand, a repair, a haircut, a wish: it can wait, and is no call for help."""


ALARMS = frozenset({SignalType.SOS, SignalType.FALL})
"""A person needs a person, now."""

SIGNS_OF_LIFE = frozenset({SignalType.SOS, SignalType.SOS_CANCEL, SignalType.CHECKIN,
                           SignalType.TEST, SignalType.HELP})
"""A hand on the terminal. A heartbeat is none (it says that the *device* lives), and neither is a
fall detector: it fires for a person who lies still."""


class Kind(StrEnum):
    """What an alert is about."""

    SOS = "sos"
    MISSED = "missed"
    FAULT = "fault"


class State(StrEnum):
    """Where an alert stands. None is implied by another."""

    OPEN = "open"
    ACCEPTED = "accepted"
    ON_SCENE = "on_scene"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """How an alert ended; a person says which."""

    SAFE = "safe"
    HELPED = "helped"
    AMBULANCE = "ambulance"
    FALSE_ALARM = "false_alarm"
    OTHER = "other"
    CHECKED_IN = "checked_in"
    """The residents' own late check-ins: the one end that needs no responder."""
    RESTORED = "restored"
    """A fault that mended itself (mains back, terminal online again)."""


OUTCOMES_OF_PEOPLE = (
    Outcome.SAFE, Outcome.HELPED, Outcome.AMBULANCE, Outcome.FALSE_ALARM, Outcome.OTHER,
)
GRAVITY = (
    Outcome.RESTORED, Outcome.CHECKED_IN, Outcome.SAFE, Outcome.FALSE_ALARM, Outcome.OTHER,
    Outcome.HELPED, Outcome.AMBULANCE,
)  # fmt: skip
"""From the lightest to the gravest: a worklist ends as the gravest of its flats did."""


class Role(StrEnum):
    """In what capacity a person is told or goes."""

    STEWARD = "steward"
    SUBSTITUTE = "substitute"
    KEY_HOLDER = "key_holder"
    BEFRIENDER = "befriender"
    FAMILY = "family"
    DUTY = "duty"
    STREET = "street"
    DISTRICT = "district"
    REHEARSAL = "rehearsal"
    """On the community's rehearsal list: told of simulated terminals, and of nothing else."""
    OPERATOR = "operator"


DESKS = frozenset({Role.DUTY, Role.STREET, Role.DISTRICT})
"""Offices, not neighbours: they are told that nobody has come, and send somebody."""


class TerminalState(StrEnum):
    """Whether a terminal may speak. Of one that is not active nothing counts, but its SOS is shown
    to staff; a revoked one has no account at the broker any more."""

    ACTIVE = "active"
    LOST = "lost"
    REVOKED = "revoked"


class Delivery(StrEnum):
    """The life of one message. `delivered` is the provider's word, never a person's."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNREACHED = frozenset({Delivery.UNDELIVERED, Delivery.FAILED})


class Channel(StrEnum):
    """How a person is told."""

    SMS = "sms"
    VOICE = "voice"


class Template(StrEnum):
    """Which words a message carries (server/core/texts.py)."""

    SOS = "sos"
    FALL = "fall"
    DUTY = "duty"
    CALL_120 = "call_120"
    """To the care centre instead of `duty`, as soon as 120 is to be called."""
    MISSED = "missed"
    CONFIRM = "confirm"
    CONFIRM_MISSED = "confirm_missed"
    OTHER_GOES = "other_goes"
    CANCELLED = "cancelled"
    AGAIN = "again"
    LAPSED = "lapsed"
    CLOSED = "closed"
    CHECKED_IN = "checked_in"
    FEWER = "fewer"
    """To those told of a worklist: residents on it have checked in late, and who is left."""
    WHICH = "which"
    OLD_CODE = "old_code"
    NOT_UNDERSTOOD = "not_understood"
    NOTHING_OPEN = "nothing_open"
    ROUND_REPORTED = "round_reported"
    REQUEST_NOTED = "request_noted"
    """To a steward who asked for help that can wait (server/core/request_sms.py)."""
    BLIND = "blind"
    PARTNER_UNREACHABLE = "partner_unreachable"
    """To a steward whose fellow steward's number has died, so that each knows who else can come."""
    ARE_YOU_WELL = "are_you_well"
    """The call to a resident who is still awaited: spoken only."""


SPOKEN_ONLY = frozenset({Template.ARE_YOU_WELL})


class Fault(StrEnum):
    """What ails a device or us, seen by staff; never a steward's errand."""

    BATTERY_LOW = "battery_low"
    MAINS_LOST = "mains_lost"
    OFFLINE = "offline"
    TAMPER = "tamper"
    STEWARD_UNREACHABLE = "steward_unreachable"
    UNKNOWN_TERMINAL_SOS = "unknown_terminal_sos"
    UNKNOWN_TERMINAL_LOST = "unknown_terminal_lost"
    """The broker says that it is gone, and nobody has entered it: nobody would be told."""
    UNREADABLE_SOS = "unreadable_sos"
    UNKNOWN_NUMBER = "unknown_number"
    SMS_PROVIDER = "sms_provider"
    STUCK = "stuck"
    CLOCK_JUMPED = "clock_jumped"
    MANY_WRONG_REPLIES = "many_wrong_replies"
    BLIND = "blind"
    CANARY_LOST = "canary_lost"
    """The chain through one gateway fails in the part named, while another still sees (or our
    answers do not get back to the terminals)."""
    BUILDING_POWER = "building_power"
    BUILDING_NETWORK = "building_network"
    AREA_POWER = "area_power"
    AREA_NETWORK = "area_network"
    """One cause behind many terminals (server/core/parents.py)."""
    BATTERY_SOON = "battery_soon"
    """Not flat yet: foreseen from its daily readings (server/core/battery.py)."""
    BROKEN_ALERT = "broken_alert"
    LADDER_BROKEN = "ladder_broken"
    """The ladder file can't be used (its last good edition is), or nobody stands on duty."""
    ROTA_GAP = "rota_gap"
    """Within 24 hours nobody stands on duty, or nobody does now."""
    ROUNDS_BROKEN = "rounds_broken"
    """One of the community's rounds can't be read; the others hold."""
    REGISTER_BROKEN = "register_broken"
    """A shift, an absence or a resident's class or deadline can't be read; the safest is done."""
    ROUND_UNREPORTED = "round_unreported"
    """Houses of a round that neither steward has reported; one quiet entry a round."""
    NOTES_LOCKED = "notes_locked"
    """Notes on ways in and health can't be read or written: their key is not here."""
    TERMINAL_LEFT_BEHIND = "terminal_left_behind"
    """The terminal of a resident who is no longer watched still speaks."""
