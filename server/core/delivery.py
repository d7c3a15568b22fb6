"""Whose trouble a failed message is: the recipient's number, or our way to the provider.

Codes are Twilio's (its error dictionary). A number's trouble is a fault of that steward's, to be
mended before the emergency; the provider's is one fault of ours, not one for every steward.
"""

from enum import StrEnum

OPTED_OUT = "21610"
OF_THE_NUMBER = frozenset({
    "21211",    # not a valid number
    "21408",    # no permission to send to this region
    OPTED_OUT,  # the recipient has sent STOP
    "21612",    # not reachable from this sender
    "21614",    # not a mobile number
    "30003",    # handset unreachable
    "30004",    # blocked
    "30005",    # unknown handset
    "30006",    # landline or unreachable carrier
    "30007",    # filtered by the carrier
    "30008",    # unknown error at the carrier
    "opted_out",
})  # fmt: skip


class Blame(StrEnum):
    """Who must be looked after."""

    NUMBER = "number"
    PROVIDER = "provider"


def blame(error: str | None) -> Blame:
    """Whose trouble this code is. A failure without a code is taken as the number's: somebody
    looks, and finds out."""
    return Blame.NUMBER if error is None or error in OF_THE_NUMBER else Blame.PROVIDER
