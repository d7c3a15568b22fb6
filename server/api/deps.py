"""Who is asking: gateways and programs by bearer token, people by session cookie."""

import hmac
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from server.runtime import Runtime
from server.service.house import digest_of
from server.store import accounts

COOKIE = "xunlou_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


async def get_runtime(request: Request) -> Runtime:
    """The server's parts. (Async: a plain function would be run in a thread, for each request.)"""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
bearer = HTTPBearer(auto_error=False, description="XUNLOU_API_TOKEN, or XUNLOU_GATEWAY_TOKEN")
cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /login")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, and by which door they came in."""

    name: str
    via: Literal["token", "session"]


def _is(given: HTTPAuthorizationCredentials | None, secret: SecretStr | None) -> bool:
    return (
        given is not None
        and secret is not None
        and hmac.compare_digest(given.credentials.encode(), secret.get_secret_value().encode())
    )


async def gateway(
    runtime: RuntimeDep, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> None:
    """Let gateways in."""
    if given is None:
        raise HTTPException(401, "send the gateway's token: Authorization: Bearer <token>")
    if not _is(given, runtime.settings.gateway_token):
        raise HTTPException(403, "this is not the gateway's token; see XUNLOU_GATEWAY_TOKEN")


async def session_principal(runtime: Runtime, token: str | None) -> Principal | None:
    """The person behind a session cookie."""
    if not token:
        return None
    digest, now = digest_of(token), runtime.clock.now()
    account = await runtime.database.read(lambda c: accounts.session(c, digest, now))
    return Principal(account["name"], "session") if account else None


async def staff(
    request: Request,
    runtime: RuntimeDep,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> Principal:
    """Let programs (token) and people (session) in; a person's POST must come from our pages."""
    if given is not None:
        if _is(given, runtime.settings.api_token):
            return Principal("api", "token")
        raise HTTPException(403, "this is not the API token; see XUNLOU_API_TOKEN")
    person = await session_principal(runtime, session)
    if person is None:
        raise HTTPException(401, "log in at /login, or send Authorization: Bearer <token>")
    if request.method not in SAFE and not same_site(request, runtime):
        raise HTTPException(403, "cross-site request refused: send X-Requested-With: xunlou")
    return person


def same_site(request: Request, runtime: Runtime) -> bool:
    """Whether a cookie's request was made by our own pages (another site can set neither)."""
    if request.headers.get("x-requested-with") == "xunlou":
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    own = {runtime.settings.public_url, f"{request.url.scheme}://{request.url.netloc}"}
    return origin in {f"{urlsplit(o).scheme}://{urlsplit(o).netloc}" for o in own}


StaffDep = Annotated[Principal, Depends(staff)]
GatewayDep = Depends(gateway)
