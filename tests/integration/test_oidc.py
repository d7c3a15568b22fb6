"""Logging in by the house's identity provider: a small real one on the loopback address, which
signs real tokens; and what an untrue one, or a stranger in between, achieves with it."""

import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from staff_kit import account_id, login, make_account
from starlette.responses import Response
from town import PASSWORD, Town, a_town, bound, serving

from server.oidc import flaw_in
from server.settings import Settings

CLIENT, SECRET = "xunlou", "a-secret-of-the-client"


@dataclass
class Idp:
    """The provider: who is logged in there, and how it lies."""

    issuer: str
    now_s: Any
    person: dict[str, Any] = field(default_factory=lambda: {"preferred_username": "Li"})
    claims: dict[str, Any] = field(default_factory=dict)
    """Claims of the next token that are not as they should be."""
    forge: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    down: bool = False

    def token(self, nonce: str) -> str:
        """An id_token for whoever is logged in."""
        now = int(self.now_s())
        claims = {"iss": self.issuer, "sub": "1", "aud": CLIENT, "iat": now, "exp": now + 300,
                  "nonce": nonce, **self.person, **self.claims}  # fmt: skip
        if self.forge == "shared_secret":
            said = ".".join(
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
                for part in ({"alg": "HS256", "kid": "k1"}, claims)
            )
            mark = hmac.digest(self.key.as_pem(private=False), said.encode(), "sha256")
            return f"{said}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"
        if self.forge == "other_key":
            other = RSAKey.generate_key(2048, {"kid": "k1"})
            return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, other)
        signed = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)
        if self.forge == "unsigned":
            head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
            return f"{head}.{signed.split('.')[1]}."
        if self.forge == "touched":
            return signed[:-8] + "AAAAAAAA"
        return signed


def app_of(idp: Idp) -> FastAPI:
    """The provider's endpoints."""
    app = FastAPI()

    @app.middleware("http")
    async def gone(request: Request, call_next: Any) -> Response:
        return Response(status_code=503) if idp.down else await call_next(request)

    @app.get("/.well-known/openid-configuration")
    async def about() -> dict[str, str]:
        at = idp.issuer
        return {"issuer": at, "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token", "jwks_uri": f"{at}/jwks"}  # fmt: skip

    @app.get("/jwks")
    async def keys() -> dict[str, Any]:
        return {"keys": [idp.key.as_dict(private=False)]}

    @app.get("/authorize")
    async def authorize(request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(idp.codes)}"
        idp.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?code={code}&state={asked['state']}", 302)

    @app.post("/token")
    async def token(request: Request) -> Response:
        form = await request.form()
        asked = idp.codes.pop(str(form["code"]), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        fits = (
            asked is not None and request.headers.get("authorization") == f"Basic {basic}"
            and challenge == asked["code_challenge"]
            and form["redirect_uri"] == asked["redirect_uri"]
        )  # fmt: skip
        if not fits or asked is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        return JSONResponse({"access_token": "x", "token_type": "Bearer",
                             "id_token": idp.token(asked["nonce"])})  # fmt: skip

    return app


@pytest.fixture
async def both(tmp_path: Path, database: str) -> AsyncIterator[tuple[Town, Idp]]:
    """A town that knows a provider, in which Li has an account."""
    sock, issuer = bound()
    async with a_town(
        tmp_path, oidc_issuer=issuer, oidc_client_id=CLIENT, oidc_client_secret=SecretStr(SECRET),
        oidc_name="街道统一登录",
    ) as town:  # fmt: skip
        idp = Idp(issuer, town.hand)
        async with serving(app_of(idp), sock):
            await make_account(town, "li", "operator")
            yield town, idp


@contextlib.asynccontextmanager
async def browser(town: Town) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that follows nothing by itself."""
    async with httpx.AsyncClient(base_url=town.url, timeout=20.0) as client:
        yield client


async def there(client: httpx.AsyncClient, following: str = "/wall") -> str:
    """Press the link and log in at the provider; the address that leads back."""
    away = await client.get("/login/elsewhere", params={"next": following})
    assert away.status_code == 303
    async with httpx.AsyncClient(timeout=20.0) as elsewhere:
        return str((await elsewhere.get(away.headers["location"])).headers["location"])


async def test_who_has_an_account_comes_in(both: tuple[Town, Idp]) -> None:
    """There and back with PKCE, state and nonce; the session is Li's and what they wanted is
    shown; it is written down that the provider vouched. The login page has link and form."""
    town, _ = both
    async with browser(town) as li:
        page = (await li.get("/login")).text
        assert "街道统一登录" in page
        assert 'name="password"' in page
        back = await li.get(await there(li, "/residents"))
        assert (back.status_code, back.headers["location"]) == (303, "/residents")
        assert (await li.get("/api/v1/snapshot")).status_code == 200
        assert "xunlou_elsewhere" not in li.cookies
    told = [e for e in await town.journal() if e["kind"] == "logged_in"]
    assert [(e["data"]["by"], e["data"]["proof"]) for e in told] == [("li", "provider")]


async def refused(town: Town, client: httpx.AsyncClient, address: str, reason: str) -> None:
    """Nobody is logged in by this, and the page says what to do, with the form beside it."""
    back = await client.get(address)
    assert (back.status_code, back.headers["location"]) == (303, f"/login?failed={reason}")
    page = (await client.get(back.headers["location"])).text
    assert 'role="alert"' in page
    assert 'name="password"' in page
    assert (await client.get("/api/v1/snapshot")).status_code == 401


@pytest.mark.sqlite_only("a token is refused before anything is asked of the database")
async def test_a_token_that_does_not_hold_opens_nothing(both: tuple[Town, Idp]) -> None:
    """Unsigned, signed with what is public, by another key, touched; of another issuer, for another
    client, for another login, too old: each is refused."""
    town, idp = both
    now = int(town.hand())
    lies: list[tuple[str, dict[str, Any]]] = [
        ("unsigned", {}), ("shared_secret", {}), ("other_key", {}), ("touched", {}),
        ("", {"iss": "https://elsewhere.example"}), ("", {"aud": "another"}),
        ("", {"aud": [CLIENT, "another"]}), ("", {"azp": "another"}), ("", {"nonce": "another"}),
        ("", {"exp": now - 120}), ("", {"iat": now + 3600}), ("", {"preferred_username": None}),
        ("", {"preferred_username": ["li"]}), ("", {"at_hash": "AAAA"}),
    ]  # fmt: skip
    for idp.forge, idp.claims in lies:
        async with browser(town) as stranger:
            await refused(town, stranger, await there(stranger), "unproven")


@pytest.mark.sqlite_only("a note is refused before anything is asked of the database")
async def test_nobody_is_led_into_anothers_session(both: tuple[Town, Idp]) -> None:
    """An address that leads back counts in the browser that went away, once, for ten minutes."""
    town, _ = both
    async with browser(town) as attacker, browser(town) as victim:
        theirs = await there(attacker)
        await refused(town, victim, theirs, "unproven")
        mine = await there(victim)
        state = parse_qs(urlsplit(mine).query)["state"][0]
        mixed = f"{theirs[: theirs.index('state=')]}state={state}"
        await refused(town, victim, mixed, "unproven")
        await there(victim)
        for odd in ("", "?code=x", "?state=x", "?error=access_denied&state=%00",
                    "?code=%ff&state=%ff"):  # fmt: skip
            await refused(town, victim, f"/login/elsewhere/back{odd}", "unproven")
    async with browser(town) as late:
        address = await there(late)
        town.hand.at_s += 601
        await refused(town, late, address, "unproven")
    async with browser(town) as twice:
        address = await there(twice)
        kept = twice.cookies["xunlou_elsewhere"]
        assert (await twice.get(address)).headers["location"] == "/wall"
    async with browser(town) as again:
        again.cookies["xunlou_elsewhere"] = kept
        await refused(town, again, address, "unproven")
        for note in (kept[:-1] + "0", kept.partition(".")[0], f"{kept}x", "x.y"):
            again.cookies["xunlou_elsewhere"] = note
            await refused(town, again, address, "unproven")


async def test_who_has_no_account_is_told_so(both: tuple[Town, Idp]) -> None:
    """A stranger to this house, and somebody whose account was closed: a clear page, and nobody is
    made silently."""
    town, idp = both
    idp.person = {"preferred_username": "somebody"}
    async with browser(town) as stranger:
        await refused(town, stranger, await there(stranger), "stranger")
    await make_account(town, "chief", "administrator")
    number = await account_id(town, "li")
    async with await login(town, "chief") as chief:
        assert (await chief.post(f"/accounts/{number}/close")).status_code == 303
        assert "somebody" not in (await chief.get("/accounts")).text
    idp.person = {"preferred_username": "li"}
    async with browser(town) as li:
        await refused(town, li, await there(li), "stranger")


@pytest.mark.sqlite_only("the provider's end is the same on either database")
async def test_while_the_provider_is_down_passwords_open_the_door(both: tuple[Town, Idp]) -> None:
    """Down before, or between there and back: said, and the desk logs in as ever."""
    town, idp = both
    async with browser(town) as li:
        address = await there(li)
        idp.down = True
        await refused(town, li, address, "provider_down")
        form = {"username": "operator", "password": PASSWORD}
        assert (await li.post("/login", data=form)).status_code == 303
        assert (await li.get("/api/v1/snapshot")).status_code == 200
    town.hand.at_s += 3600
    async with browser(town) as li:
        away = await li.get("/login/elsewhere")
        assert away.headers["location"] == "/login?failed=provider_down"


@pytest.mark.sqlite_only("a redirect asks nothing of the database")
async def test_the_way_back_leads_nowhere_else(both: tuple[Town, Idp]) -> None:
    """What one wanted to see is a page of ours, whatever is asked for."""
    town, _ = both
    for wish in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", ""):
        async with browser(town) as li:
            back = await li.get(await there(li, wish))
            assert back.headers["location"] == "/wall"


@pytest.mark.sqlite_only("no route, no database")
async def test_without_a_provider_there_is_no_way(town: Town) -> None:
    """Off unless it is set: no link, no route."""
    async with browser(town) as anybody:
        assert "/login/elsewhere" not in (await anybody.get("/login")).text
        for path in ("/login/elsewhere", "/login/elsewhere/back?code=x&state=y"):
            assert (await anybody.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("issuer", "client", "secret", "words"),
    [
        ("", "", None, None),
        ("https://id.example.org", "xunlou", "s", None),
        ("http://id.example.org", "xunlou", "s", "must begin with https://"),
        ("https://id.example.org", "", "s", "XUNLOU_OIDC_CLIENT_ID"),
        ("https://id.example.org", "xunlou", None, "XUNLOU_OIDC_CLIENT_SECRET"),
    ],
)  # fmt: skip
def test_half_a_provider_is_none(
    issuer: str, client: str, secret: str | None, words: str | None
) -> None:
    """Settings that can't work stop the start, and say what to set."""
    settings = Settings(
        oidc_issuer=issuer, oidc_client_id=client,
        oidc_client_secret=SecretStr(secret) if secret else None,
    )  # fmt: skip
    found = flaw_in(settings)
    assert (found is None) if words is None else (found is not None and words in found)
