"""Posts to the server as the provider makes them: signed, limited in time, barely retried.

Source of the rules: the provider's webhook security page (HMAC-SHA1 over the exact URL and the
sorted parameters) and error 11205 (15 s for an answer). By default only a connection that could
not be opened is tried again, once; an answer of 500 or a slow server loses the post, and that
is what the server has to live with. It must never follow a redirect.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4
from xml.etree import ElementTree

import httpx

MAX_ANSWER_BYTES = 64 * 1024


def sign(auth_token: str, url: str, params: Mapping[str, str]) -> str:
    """The X-Twilio-Signature of a form post to this exact URL."""
    text = url + "".join(name + params[name] for name in sorted(params))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class PostResult:
    """How a post to the server ended. `status` is None when no answer came."""

    status: int | None
    text: str = ""
    problem: str | None = None

    @property
    def summary(self) -> str:
        """A few words for the phone's page: "200", or what went wrong."""
        return str(self.status) if self.status is not None else (self.problem or "no answer")


class WebhookSender:
    """Posts forms to the server over one bounded pool of connections."""

    def __init__(self, auth_token: str, timeout_s: float, max_connections: int = 50) -> None:
        self._auth_token = auth_token
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout_s, pool=None),
            limits=httpx.Limits(max_connections=max_connections),
            follow_redirects=False,
            trust_env=False,  # a developer's proxy must not see or lose what goes to localhost
        )
        self._turns = asyncio.Semaphore(max_connections)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def post(self, url: str, params: Mapping[str, str]) -> PostResult:
        """Post once, and once more if no connection could be opened; never raises for the net."""
        headers = {
            "X-Twilio-Signature": sign(self._auth_token, url, params),
            "I-Twilio-Idempotency-Token": str(uuid4()),  # the same on the second try
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        result = PostResult(None)
        for _ in range(2):
            async with self._turns:
                result, again = await self._once(url, params, headers)
            if not again:
                return result
        return result

    async def _once(
        self, url: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[PostResult, bool]:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.post(url, data=dict(params), headers=dict(headers))
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return PostResult(None, problem="no connection"), True
        except (TimeoutError, httpx.TimeoutException):
            return PostResult(None, problem=f"no answer in {self._timeout_s:g} s"), False
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return PostResult(None, problem=type(error).__name__), False
        text = answer.text if len(answer.content) <= MAX_ANSWER_BYTES else ""
        return PostResult(answer.status_code, text), False


def twiml_messages(text: str) -> list[str]:
    """The texts of the <Message> verbs in a TwiML answer; anything else yields none.

    A document type or an entity is refused unread: a provider's parser expands none either.
    """
    if "<!" in text.replace("<!--", ""):
        return []
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314  no DTD gets here; size bounded
    except ElementTree.ParseError:
        return []
    if root.tag != "Response":
        return []
    bodies = []
    for verb in root.findall("Message"):
        body = verb.find("Body")
        words = "".join((verb if body is None else body).itertext()).strip()
        if words:
            bodies.append(words)
    return bodies[:10]  # ten texts in one answer is far beyond any use we make of it
