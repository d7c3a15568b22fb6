"""Telephone calls through Twilio. The words are fetched from us when somebody has picked up
(api/webhooks/voice.py), so that a call always tells how things stand then.

Twilio finds out by itself whether a machine picked up, before it asks for the words.
"""

from datetime import datetime

from server.channels.base import Busy, Refused, Sent
from server.channels.twilio_account import NO_USABLE_ANSWER, Account, hand_over

RING_S = 25
"""Shorter than it takes most mailboxes to answer: a machine that never picks up costs nothing."""
MACHINE_DETECTION_S = 6
"""So long may the provider listen for a person before we speak; they are waiting meanwhile."""
EVENTS = ("ringing", "answered", "completed")


class TwilioCalls:
    """One account and one number to call from. Safe to use in several loops."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def send(self, phone: str, body: str, reference: int) -> Sent | Refused:  # noqa: ARG002 (fetched by webhook)
        """Place one call. Raises Busy (surely not placed) or Ambiguous (perhaps placed)."""
        account = self._account

        async def create() -> str:
            call = await account.client.calls.create_async(
                to=phone,
                from_=account.credentials.sender,
                url=f"{account.webhook('voice')}?m={reference}",
                status_callback=f"{account.webhook('voice/status')}?m={reference}",
                status_callback_event=list(EVENTS),
                machine_detection="Enable",
                machine_detection_timeout=MACHINE_DETECTION_S,
                timeout=RING_S,
            )
            return str(call.sid)

        return await hand_over(create())

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:  # noqa: ARG002 (Twilio keeps no words)
        """Look a call up: those to this phone since `since`; which of them belong to other
        messages, the outbox knows. Raises Busy when Twilio can't be asked."""
        found = []
        try:
            for call in await self._account.client.calls.list_async(to=phone, limit=50):
                created = call.date_created
                if created is None or created >= since:
                    found.append(Sent(str(call.sid)))
        except NO_USABLE_ANSWER as error:
            raise Busy("the provider can't be asked") from error
        return found

    async def alive(self) -> bool:
        """Whether the account can be read now."""
        return await self._account.alive()
