"""Logging in with an account of the house's own identity provider (OpenID Connect, Authlib).

Authorization code with PKCE, state and nonce; the provider is found by its discovery document. What
it says of a person is one claim, which has to be the name of an account that is there: nobody is
made by logging in. It must never believe a token that it has not verified itself: signature by the
provider's published keys (never `none`, never a shared secret), issuer, audience, time and nonce.
"""

import base64
import binascii
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from server.settings import Settings

if TYPE_CHECKING:
    # Authlib is loaded with the first login that needs it: most houses have no such provider.
    from authlib.oidc.core import CodeIDToken

BACK: Final = "/login/elsewhere/back"
SIGNED_BY: Final = ["RS256", "PS256", "ES256", "EdDSA"]
WITHIN: Final = timedelta(minutes=10)
"""How long somebody may take at the provider's page."""
PATIENCE_S: Final = 8.0
LEEWAY_S: Final = 60
KNOWN_FOR: Final = timedelta(minutes=10)
"""How long the provider's own description is believed without looking again."""


class ProviderDown(Exception):
    """The provider does not answer, or not as one: passwords still open the door."""


class NotProven(Exception):
    """What came back proves nobody; the words are for the log, and name no person."""


def flaw_in(settings: Settings) -> str | None:
    """What is wrong with the settings of a provider, and what to do; None: nothing, or off."""
    if not settings.oidc_issuer:
        return None
    url = urlsplit(settings.oidc_issuer)
    if url.scheme != "https" and url.hostname not in ("127.0.0.1", "localhost", "::1"):
        return "XUNLOU_OIDC_ISSUER must begin with https://: logins in the clear are everybody's"
    if not settings.oidc_client_id or settings.oidc_client_secret is None:
        return ("XUNLOU_OIDC_ISSUER is set: set XUNLOU_OIDC_CLIENT_ID and "
                "XUNLOU_OIDC_CLIENT_SECRET as the provider gave them, or unset it")  # fmt: skip
    return None


@dataclass
class Provider:
    """The house's identity provider. `key`: what our own note in the browser is signed with."""

    settings: Settings
    key: bytes
    _about: dict[str, Any] = field(default_factory=dict)
    _asked_at: datetime | None = None

    @property
    def name(self) -> str:
        """What people call it; empty: there is none."""
        return self.settings.oidc_name if self.settings.oidc_issuer else ""

    async def begin(self, following: str, now: datetime) -> tuple[str, str]:
        """Where to send the browser, and the note it keeps until it is back. Raises
        ProviderDown."""
        from authlib.common.urls import add_params_to_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        about = await self._description(now)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = add_params_to_uri(about["authorization_endpoint"], [
            ("response_type", "code"), ("client_id", self.settings.oidc_client_id),
            ("redirect_uri", self._back), ("scope", "openid profile email"), ("state", state),
            ("nonce", nonce), ("code_challenge", create_s256_code_challenge(verifier)),
            ("code_challenge_method", "S256"),
        ])  # fmt: skip
        until = int((now + WITHIN).timestamp())
        return address, self._signed([state, nonce, verifier, following, until])

    async def finish(
        self, note: str, state: str, code: str, now: datetime
    ) -> tuple[str, str]:
        """The account's name that the provider vouches for, and where the person was going.
        Raises NotProven or ProviderDown."""
        kept, nonce, verifier, following, until = self._read(note)
        if not hmac.compare_digest(str(kept).encode(), state.encode()):
            raise NotProven("the state is not the one that was sent")
        if now.timestamp() > int(until):
            raise NotProven("it took too long")
        about = await self._description(now)
        token = await self._token(about["token_endpoint"], code, str(verifier))
        claims = await self._verified(token, str(nonce), about, now)
        return self._person(claims), str(following)

    async def _verified(
        self, token: Any, nonce: str, about: dict[str, Any], now: datetime
    ) -> "CodeIDToken":
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet
        from joserfc.jws import JWSRegistry

        text = token.get("id_token") if isinstance(token, dict) else None
        if not isinstance(text, str):
            raise NotProven("the provider sent no id_token")
        keys: Any = await self._json(about["jwks_uri"])
        wanted = {
            "iss": {"essential": True, "value": self.settings.oidc_issuer},
            "aud": {"essential": True, "value": self.settings.oidc_client_id},
        }
        asked = {"nonce": nonce, "client_id": self.settings.oidc_client_id,
                 "access_token": token.get("access_token")}  # fmt: skip
        try:
            registry = JWSRegistry(algorithms=SIGNED_BY, strict_check_header=False)
            decoded = jwt.decode(text, key=KeySet.import_key_set(keys), registry=registry)
            claims = CodeIDToken(decoded.claims, decoded.header, wanted, asked)
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise NotProven(f"the id_token does not hold: {type(error).__name__}") from None
        return claims

    def _person(self, claims: "CodeIDToken") -> str:
        name = claims.get(self.settings.oidc_claim)
        if not isinstance(name, str) or not name.strip():
            raise NotProven(f"there is no claim {self.settings.oidc_claim!r}")
        if self.settings.oidc_claim == "email" and claims.get("email_verified") is not True:
            raise NotProven("the provider has not verified this address")
        return name.strip().lower()

    async def _description(self, now: datetime) -> dict[str, Any]:
        if self._asked_at is None or not now - self._asked_at < KNOWN_FOR:
            issuer = self.settings.oidc_issuer
            about = await self._json(f"{issuer}/.well-known/openid-configuration")
            for need in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not isinstance(about.get(need), str):
                    raise ProviderDown(f"its description has no {need}")
            if about.get("issuer") != issuer:
                raise ProviderDown("its description names another issuer")
            self._about, self._asked_at = about, now
        return self._about

    async def _json(self, url: str) -> dict[str, Any]:
        import httpx

        try:
            async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                found = (await client.get(url)).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ProviderDown(type(error).__name__) from error
        if not isinstance(found, dict):
            raise ProviderDown("it answers with no object")
        return found

    @property
    def _back(self) -> str:
        return f"{self.settings.public_url}{BACK}"

    async def _token(self, endpoint: str, code: str, verifier: str) -> Any:
        """What the provider gives for the code."""
        import httpx

        secret = self.settings.oidc_client_secret
        us = (self.settings.oidc_client_id, secret.get_secret_value() if secret else "")
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._back,
                "code_verifier": verifier}  # fmt: skip
        try:
            async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                answer = await client.post(endpoint, data=form, auth=us)
            if 400 <= answer.status_code < 500:
                raise NotProven(f"the provider refuses the code ({answer.status_code})")
            return answer.raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ProviderDown(type(error).__name__) from error

    def _signed(self, note: list[object]) -> str:
        body = base64.urlsafe_b64encode(json.dumps(note).encode()).decode()
        return f"{body}.{self._mark(body)}"

    def _mark(self, body: str) -> str:
        return hmac.digest(self.key, b"elsewhere:" + body.encode(), "sha256").hex()

    def _read(self, note: str) -> list[Any]:
        body, _, mark = note.partition(".")
        if not hmac.compare_digest(self._mark(body).encode(), mark.encode()):
            raise NotProven("this browser did not begin here")
        try:
            found = json.loads(base64.urlsafe_b64decode(body))
        except (binascii.Error, ValueError):
            raise NotProven("this browser did not begin here") from None
        assert isinstance(found, list), "we wrote it"
        return found
