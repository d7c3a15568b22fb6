"""One account with Twilio, or with a provider that speaks like it: who we are there, and what its
errors mean for a message that may or may not have left."""

import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from server.channels.base import Ambiguous, Busy, Refused, Sent
from server.channels.transport import NoAnswer, NotSent, Transport

log = logging.getLogger(__name__)
TIMEOUT_S = 10.0
"""A sender must not hang for ever."""
SURELY_NOT_TAKEN = frozenset({429, 503})
NO_USABLE_ANSWER = (TwilioException, NotSent, NoAnswer, ValueError)
"""What may come of asking the provider something that changes nothing."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account as the settings name it. `public_url`: where its webhooks find us."""

    sid: str
    token: str = field(repr=False)
    sender: str
    base_url: str
    public_url: str


class Account:
    """The official client for one account. Safe to use in several loops."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.client = Client(credentials.sid, credentials.token)
        if credentials.base_url:
            self.client.api.base_url = credentials.base_url
        self.client.http_client = Transport(self.client.api.base_url, TIMEOUT_S)

    def webhook(self, path: str) -> str:
        """The full address of one of our webhooks."""
        return f"{self.credentials.public_url}/webhooks/twilio/{path}"

    async def alive(self) -> bool:
        """Whether the account can be read now."""
        try:
            await self.client.api.accounts(self.credentials.sid).fetch_async()
        except NO_USABLE_ANSWER:
            return False
        return True


async def hand_over(create: Coroutine[Any, Any, str]) -> Sent | Refused:
    """Hand something to the provider: `create` returns the provider's id of it.

    Raises Busy (surely not taken) or Ambiguous (perhaps taken).
    """
    try:
        return Sent(await create)
    except TwilioRestException as error:
        if error.status in SURELY_NOT_TAKEN:
            raise Busy(f"the provider answered {error.status}") from error
        if error.status >= 500:  # a 504 can come from before or behind the queue
            raise Ambiguous(f"the provider answered {error.status}") from error
        log.warning("the provider refused: %s %s", error.status, error.code)
        return Refused(str(error.code or error.status))
    except NotSent as error:
        raise Busy(f"no connection to the provider: {error}") from error
    except NoAnswer as error:
        raise Ambiguous(f"no answer from the provider: {error}") from error
    except ValueError as error:  # it said yes in words that can't be read
        raise Ambiguous("the provider's answer can't be read") from error
