"""One account with Twilio, or with a provider that speaks like it: who we are there, and what its
errors mean for a message that may or may not have left."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from server.channels.base import Ambiguous, Busy, Refused, Sent

log = logging.getLogger(__name__)
TIMEOUT_S = 10.0
"""The sync client has no time-out of its own; an outbox worker must not hang for ever."""
AT_ONCE = 48
"""Sends that may be under way in all lanes together; fewer connections would be made anew each
time."""
SURELY_NOT_TAKEN = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account as the settings name it. `public_url`: where its webhooks find us."""

    sid: str
    token: str = field(repr=False)
    sender: str
    base_url: str
    public_url: str


class Account:
    """The official client for one account. Safe to use from several threads."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self.client = Client(
            credentials.sid,
            credentials.token,
            http_client=TwilioHttpClient(timeout=TIMEOUT_S),
        )
        if credentials.base_url:
            self.client.api.base_url = credentials.base_url
        session = self.client.http_client.session
        if session is not None:  # one connection for each that may send at once
            session.mount("http://", HTTPAdapter(pool_maxsize=AT_ONCE))
            session.mount("https://", HTTPAdapter(pool_maxsize=AT_ONCE))
            _as_the_environment_says(session, self.client.api.base_url)

    def webhook(self, path: str) -> str:
        """The full address of one of our webhooks."""
        return f"{self.credentials.public_url}/webhooks/twilio/{path}"

    def alive(self) -> bool:
        """Whether the account can be read now."""
        try:
            self.client.api.accounts(self.credentials.sid).fetch()
        except (TwilioException, requests.RequestException):
            return False
        return True


def _as_the_environment_says(session: requests.Session, url: str) -> None:
    """Proxy and certificates from the environment, as ever, but asked once: the session would look
    them up anew for every message, which took as long as the sending."""
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify = found["proxies"], found["verify"]
    session.trust_env = False


def hand_over(create: Callable[[], str]) -> Sent | Refused:
    """Hand something to the provider: `create` returns the provider's id of it.

    Raises Busy (surely not taken) or Ambiguous (perhaps taken).
    """
    try:
        return Sent(create())
    except TwilioRestException as error:
        if error.status in SURELY_NOT_TAKEN:
            raise Busy(f"the provider answered {error.status}") from error
        if error.status >= 500:  # a 504 can come from before or behind the queue
            raise Ambiguous(f"the provider answered {error.status}") from error
        log.warning("the provider refused: %s %s", error.status, error.code)
        return Refused(str(error.code or error.status))
    except requests.ConnectTimeout as error:
        raise Busy("no connection to the provider") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        # A connection that broke may have broken after the request had been read.
        if "Connection refused" in str(error) or "Failed to resolve" in str(error):
            raise Busy("no connection to the provider") from error
        raise Ambiguous("no answer from the provider") from error
