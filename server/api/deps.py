"""Who is asking, and what they may: gateways and programs by bearer token, people by cookie.

Every endpoint of staff says here which right it needs. What an address names (an alert, a resident,
a building …) is looked up in the asker's scope before the endpoint runs: outside of it, it is not
there.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Query, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from sqlalchemy import Connection, RowMapping

from server.core.access import EVERYWHERE, RIGHTS, AccountRole, Right, Scope
from server.core.numbers import MOST, number_in
from server.runtime import Runtime
from server.service import accounts, shared
from server.service.house import digest_of
from server.service.refusals import Beyond
from server.store import accounts as store
from server.store import scopes

COOKIE = "xunlou_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
PROGRAM: Final = frozenset(Right) - {Right.ACCOUNTS}
"""What XUNLOU_API_TOKEN may. No program lets people in."""
COMMON: Final = "this is a whole community's, and your account is for a part of one"
BEYOND: Final = "there is no such thing among the houses of your account"
ASKED: Final = ("building", "person_id", "resident", "community")
"""What is named behind the question mark."""
TOKEN_TOUCH: Final = timedelta(seconds=60)


async def get_runtime(request: Request) -> Runtime:
    """The server's parts. (Async: a plain function would be run in a thread, for each request.)"""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
bearer = HTTPBearer(
    auto_error=False, description="A token made at /accounts, XUNLOU_API_TOKEN, or (gateways) "
    "XUNLOU_GATEWAY_TOKEN",
)  # fmt: skip
cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by POST /login")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, by which door they came in, what they may and for which houses.

    `must_change`: a one-time password; nothing else is open until it is changed."""

    name: str
    via: Literal["token", "session"]
    role: str = ""
    rights: frozenset[Right] = frozenset()
    scope: Scope = EVERYWHERE
    account_id: int | None = None
    session: str = ""
    """The session's hash."""
    must_change: bool = False


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
    clock, locks = runtime.clock, runtime.locks
    now = clock.now()
    visit = await runtime.database.read(
        lambda c: accounts.visit(c, locks, token, now, clock.speed)
    )
    if visit is None:
        return None
    row = visit.account
    if visit.touch:
        runtime.later(lambda tx: accounts.touch(tx, row["digest"]))
    return Principal(
        row["name"], "session", row["role"], RIGHTS[AccountRole(row["role"])], visit.scope,
        row["id"], row["digest"], row["password_until"] is not None,
    )  # fmt: skip


async def token_principal(runtime: Runtime, token: str) -> Principal | None:
    """The program behind a token that was made at /accounts."""
    now, digest = runtime.clock.now(), digest_of(token)

    def look(conn: Connection) -> tuple[RowMapping, Scope] | None:
        row = store.token(conn, digest)
        return (row, scopes.scope(conn, row["scope_level"], row["scope_id"])) if row else None

    found = await runtime.database.read(look)
    if found is None:
        return None
    row, where = found
    if row["used_at"] is None or now - row["used_at"] >= TOKEN_TOUCH * runtime.clock.speed:
        runtime.later(lambda tx: store.token_used(tx.conn, row["id"], tx.now))
    rights = frozenset(Right(r) for r in row["rights"]) & PROGRAM
    return Principal(f"token:{row['name']}", "token", "program", rights, where)


async def program(
    runtime: Runtime, given: HTTPAuthorizationCredentials
) -> Principal | None:
    """The program behind any token for staff: a made one, or XUNLOU_API_TOKEN."""
    if _is(given, runtime.settings.api_token):
        return Principal("api", "token", "program", PROGRAM)
    return await token_principal(runtime, given.credentials)


async def outside(runtime: Runtime, scope: Scope, named: Mapping[str, str]) -> bool:
    """Whether an address names something that lies in no house of this scope, or that can't be
    looked up as it is written. What does not exist is for the endpoint to say. A contact is within
    when any house of theirs is; `whole_person` asks more of those who change one. One who stands by
    no house (any more) is outside of every scope that leaves a house out."""
    if scope.buildings is None:
        return False
    return await runtime.database.read(
        lambda c: any(scopes.beyond(c, scope, kind, thing) for kind, thing in named.items())
    )


def named_in(request: Request) -> dict[str, str]:
    """What an address names: the parts of its path, and the building, person, resident or
    community asked for."""
    asked = request.query_params
    wanted = {k: asked[k] for k in ASKED if asked.get(k)}
    return {**{k: str(v) for k, v in request.path_params.items()}, **wanted}


async def staff(
    request: Request,
    runtime: RuntimeDep,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> Principal:
    """Let programs (token) and people (session) in; a person's POST must come from our pages."""
    if given is not None:
        found = await program(runtime, given)
        if found is None:
            raise HTTPException(403, "this token is not known here, or was revoked; an "
                                     "administrator makes one at /accounts")  # fmt: skip
        return found
    person = await session_principal(runtime, session)
    if person is None:
        raise HTTPException(401, "log in at /login, or send Authorization: Bearer <token>")
    if person.must_change:
        raise HTTPException(403, "change your one-time password at /account first")
    if request.method not in SAFE and not same_site(request, runtime):
        raise HTTPException(403, "cross-site request refused: send X-Requested-With: xunlou")
    return person


Check = Callable[..., Awaitable[Principal]]


def needs(
    right: Right | None = None, *, wide: bool = False, common: bool = False, whole: bool = False
) -> Check:
    """A dependency that lets those in who have this right (None: to look for a GET, to change the
    register for anything else) in the houses that the address names.

    `wide`: not for an account of one building.
    `common`: the matter is a whole community's: for whoever answers for one at least. Which one it
    is about says `CommunityDep`.
    `whole`: it can't be told apart by houses, and is for those who answer for all of them.
    """

    async def check(
        request: Request, runtime: RuntimeDep, who: Annotated[Principal, Depends(staff)]
    ) -> Principal:
        wanted = right or (Right.LOOK if request.method in SAFE else Right.REGISTER)
        if wanted not in who.rights:
            raise HTTPException(403, f"this needs the right {wanted.value!r}, which your account "
                                     "or token does not have; ask an administrator")  # fmt: skip
        if wide and not who.scope.wide:
            raise HTTPException(403, "this is not for one building alone, and your account is "
                                     "for one building")  # fmt: skip
        if common and not who.scope.answers:
            raise HTTPException(403, COMMON)
        if whole and who.scope.buildings is not None:
            raise HTTPException(403, "this is for accounts of the whole installation")
        if await outside(runtime, who.scope, named_in(request)):
            raise HTTPException(404, BEYOND)
        if request.method not in SAFE and "person_id" in request.path_params:
            await whole_person(runtime, who.scope, str(request.path_params["person_id"]))
        return who

    return check


async def whole_person(runtime: Runtime, scope: Scope, person_id: str) -> None:
    """Whoever changes, exports or erases a contact answers for all of that contact's houses; one
    of them is enough only to look. Raises 403, which says who can do it."""
    number = number_in(person_id)
    if number is None:
        return  # outside of every scope already, or for the endpoint to refuse
    try:
        await runtime.database.read(lambda c: shared.demand_whole(c, scope, number))
    except Beyond as error:
        raise HTTPException(403, str(error)) from error


def same_site(request: Request, runtime: Runtime) -> bool:
    """Whether a cookie's request was made by our own pages (another site can set neither)."""
    if request.headers.get("x-requested-with") == "xunlou":
        return True
    origin = request.headers.get("origin")
    if origin is None:
        return False
    own = {runtime.settings.public_url, f"{request.url.scheme}://{request.url.netloc}"}
    return origin in {f"{urlsplit(o).scheme}://{urlsplit(o).netloc}" for o in own}


async def within(runtime: Runtime, who: Principal, **things: int | str | None) -> None:
    """What a body names (`building` by number, `resident_id`, `community`) must lie in the asker's
    scope too. Raises 404."""
    named = {kind: str(thing) for kind, thing in things.items() if thing is not None}
    if await outside(runtime, who.scope, named):
        raise HTTPException(404, BEYOND)


async def desk(runtime: Runtime, who: Principal, community: int | None) -> int | None:
    """The community (its id) of which something common to all its houses is meant: the one that was
    named, or the only one that the asker answers for. None: the register is empty.

    Raises 403 (the asker answers for none), 404 (not for this one, or there is none) or, where
    several could be meant, 422."""
    if not who.scope.answers:
        raise HTTPException(403, COMMON)
    return await _meant(runtime, community, lambda c: scopes.communities(c, who.scope))


async def _meant(
    runtime: Runtime, community: int | None, among: Callable[[Connection], Sequence[RowMapping]]
) -> int | None:
    theirs = {int(row["id"]): str(row["name"]) for row in await runtime.database.read(among)}
    if community is not None:
        if community not in theirs:
            raise HTTPException(404, f"there is no community {community} of your account")
        return community
    if len(theirs) > 1:
        known = ", ".join(f"{i} ({name})" for i, name in theirs.items())
        raise HTTPException(422, f"say which community: send `community`, one of {known}")
    return next(iter(theirs), None)


Community = Annotated[
    int | None,
    Query(ge=1, le=MOST, description="its id; may be left out where there is only one for you"),
]


async def whole_community(
    runtime: RuntimeDep, who: Annotated[Principal, Depends(staff)], community: Community = None
) -> int | None:
    """The community that an address asks for, of those that the asker answers for."""
    return await desk(runtime, who, community)


async def seen_community(
    runtime: RuntimeDep, who: Annotated[Principal, Depends(staff)], community: Community = None
) -> int | None:
    """The community that an address asks for, of those of which the asker sees a house."""
    return await _meant(runtime, community, lambda c: scopes.seen(c, who.scope))


StaffDep = Annotated[Principal, Depends(needs())]
"""Whoever may look (GET), or change the register (anything else)."""
WideDep = Annotated[Principal, Depends(needs(wide=True))]
"""The same, but not for one building alone."""
CommonDep = Annotated[Principal, Depends(needs(common=True))]
"""The same, of what a community has in common: its desk, rota, rounds, address, hours."""
CommunityDep = Annotated[int | None, Depends(whole_community)]
"""Of which community (`?community=`); None while the register is empty. Beside CommonDep."""
SeenCommunityDep = Annotated[int | None, Depends(seen_community)]
"""The same, for whoever sees a house of it. Beside StaffDep."""
ActDep = Annotated[Principal, Depends(needs(Right.ACT))]
AccessDep = Annotated[Principal, Depends(needs(Right.ACCESS))]
ReportDep = Annotated[Principal, Depends(needs(Right.REPORT))]
RecordDep = Annotated[Principal, Depends(needs(Right.RECORD, whole=True))]
GatewayDep = Depends(gateway)
