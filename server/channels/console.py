"""A channel for a server without an SMS account: it says so and refuses, so that staff are told
at once that nobody outside was reached. Never pretends to have sent anything."""

import logging
from datetime import datetime

from server.channels.base import Refused, Sent
from server.core.delivery import NO_ACCOUNT

log = logging.getLogger(__name__)


class NoProvider:
    """Refuses every message with the reason."""

    async def send(self, phone: str, body: str, reference: int) -> Sent | Refused:  # noqa: ARG002 (the channel's form)
        """Refuse."""
        log.error("no SMS account: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM_NUMBER")
        return Refused(NO_ACCOUNT)

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:  # noqa: ARG002
        """Nothing was ever sent."""
        return []

    async def alive(self) -> bool:
        """There is nobody to ask."""
        return False
