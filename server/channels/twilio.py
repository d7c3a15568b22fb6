"""SMS through Twilio's official client. `TWILIO_API_BASE_URL` points the same code at a stand-in.

Twilio's POST has no idempotency key: after a time-out the message is looked up by recipient, day
and words before it is sent again.
"""

import logging
from datetime import datetime

import requests
from requests.adapters import HTTPAdapter
from twilio.base import values
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from server.channels.base import Ambiguous, Busy, Refused, Sent
from server.settings import Settings

log = logging.getLogger(__name__)
TIMEOUT_S = 10.0
"""The sync client has no time-out of its own; an outbox worker must not hang for ever."""
CONNECTIONS = 48
SURELY_NOT_TAKEN = frozenset({429, 503})


class TwilioSms:
    """One account and one sender number. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        assert settings.twilio_auth_token is not None
        http = TwilioHttpClient(timeout=TIMEOUT_S)
        # As many kept-open connections as there are senders: the default of 10 would have the
        # others shake hands anew for each message.
        for scheme in ("https://", "http://"):
            http.session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
        self._client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            http_client=http,
        )
        if settings.twilio_api_base_url:
            self._client.api.base_url = settings.twilio_api_base_url
        self._from = settings.twilio_from_number
        self._callback = f"{settings.public_url}/webhooks/twilio/status"

    def send(self, phone: str, body: str, reference: int) -> Sent | Refused:
        """Hand one SMS over. Raises Busy (surely not taken) or Ambiguous (perhaps taken)."""
        try:
            message = self._client.messages.create(
                to=phone,
                from_=self._from,
                body=body,
                # Our own id: a callback can be faster than the answer that tells us Twilio's.
                status_callback=f"{self._callback}?m={reference}" if reference else values.unset,
            )
        except TwilioRestException as error:
            if error.status in SURELY_NOT_TAKEN:
                raise Busy(f"Twilio answered {error.status}") from error
            if error.status >= 500:  # a 504 can come from before or behind the queue
                raise Ambiguous(f"Twilio answered {error.status}") from error
            log.warning("Twilio refused a message: %s %s", error.status, error.code)
            return Refused(str(error.code or error.status))
        except requests.ConnectTimeout as error:
            raise Busy("no connection to Twilio") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            # A connection that broke may have broken after Twilio had read the request.
            if "Connection refused" in str(error) or "Failed to resolve" in str(error):
                raise Busy("no connection to Twilio") from error
            raise Ambiguous("no answer from Twilio") from error
        return Sent(str(message.sid))

    def find(self, phone: str, body: str, since: datetime) -> list[Sent]:
        """Look a message up at Twilio. Raises Busy when Twilio can't be asked."""
        found = []
        try:
            # Twilio's own date filter knows only days, and only messages that have left already;
            # the list is newest first, so recipient, words and our own `since` are enough.
            for message in self._client.messages.list(to=phone, limit=50):
                created = message.date_created
                if message.body == body and (created is None or created >= since):
                    found.append(Sent(str(message.sid)))
        except (TwilioRestException, requests.RequestException) as error:
            raise Busy("Twilio can't be asked") from error
        return found
