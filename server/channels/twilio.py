"""SMS through Twilio's official client. `TWILIO_API_BASE_URL` points the same code at a stand-in.

Twilio's POST has no idempotency key: after a time-out the message is looked up by recipient, day
and words before it is sent again.
"""

from datetime import datetime

from twilio.base import values

from server.channels.base import Busy, Refused, Sent
from server.channels.twilio_account import NO_USABLE_ANSWER, Account, hand_over


class TwilioSms:
    """One account and one sender number. Safe to use in several loops."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """Hand one SMS over. Raises Busy (surely not taken) or Ambiguous (perhaps taken)."""
        account = self._account

        async def create() -> str:
            # Our own id: a callback can be faster than the answer that tells us Twilio's.
            callback = f"{account.webhook('status')}?m={reference}" if reference else values.unset
            message = await account.client.messages.create_async(
                to=phone, from_=account.credentials.sender, body=body, status_callback=callback
            )
            return str(message.sid)

        return await hand_over(create())

    async def find(self, phone: str, body: str, since: datetime) -> list[Sent]:
        """Look a message up at Twilio. Raises Busy when Twilio can't be asked."""
        found = []
        try:
            # Twilio's own date filter knows only days, and only messages that have left already;
            # the list is newest first, so recipient, words and our own `since` are enough.
            for message in await self._account.client.messages.list_async(to=phone, limit=50):
                created = message.date_created
                if message.body == body and (created is None or created >= since):
                    found.append(Sent(str(message.sid)))
        except NO_USABLE_ANSWER as error:
            raise Busy("the provider can't be asked") from error
        return found

    async def alive(self) -> bool:
        """Whether the account can be read now."""
        return await self._account.alive()
