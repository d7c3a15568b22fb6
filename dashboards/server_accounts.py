"""The part of the pages' Reader that keeps accounts and tokens on the server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection

from dashboards.guesses import Guesses, Paused
from dashboards.reader import ActionRefused, User
from server.core import totp
from server.core.access import EVERYWHERE, AccountRole, Level, Right, Scope
from server.database import Tx
from server.runtime import Runtime
from server.service import account_keeping as keeping
from server.service import auditing
from server.service.refusals import Refused, Unknown
from server.store import accounts, communities, scopes
from server.tables import to_ms

Json = Mapping[str, Any]
T = TypeVar("T")


def _ms(at: datetime | None) -> int | None:
    return to_ms(at) if at is not None else None


def _zone(conn: Connection, scope: Scope | None) -> str | None:
    """The zone of the first community of which an account sees a house."""
    row = next(iter(scopes.seen(conn, scope or EVERYWHERE)), None)
    return str(communities.CommunityFacts(row).zone) if row is not None else None


class ServerAccounts:
    """Implements dashboards.account_reader.AccountReader."""

    _runtime: Runtime
    _guesses: Guesses

    async def own_account(self, user: User) -> Json:
        """The user's own account."""
        now = self._runtime.clock.now()

        def look(conn: Connection) -> Json:
            row = accounts.by_id(conn, user.account_id)
            assert row is not None, "whoever is logged in has an account"
            tz = _zone(conn, user.scope)
            return {
                "username": row["username"], "name": row["name"], "role": row["role"],
                "level": row["scope_level"],
                "place": scopes.place_name(conn, row["scope_level"], row["scope_id"]),
                "totp_on": row["totp_on"], "codes_left": accounts.codes_left(conn, row["id"]),
                "now_ms": to_ms(now), "tz": tz,
                "sessions": [
                    {"begins": s["digest"][:32], "agent": s["agent"],
                     "created_ms": _ms(s["created_at"]), "seen_ms": _ms(s["seen_at"]),
                     "mine": s["digest"] == user.session}
                    for s in accounts.sessions_of(conn, row["id"], now)
                ],
            }  # fmt: skip

        return await self._runtime.database.read(look)

    async def own_act(self, user: User, action: str, fields: Mapping[str, str]) -> Json:
        """Change the user's own account."""
        locks, own = self._runtime.locks, user.account_id
        if action == "password":
            new = await self._tried(user, lambda c: keeping.renewal(
                c, locks, own, fields["old"], fields["new"]
            ))  # fmt: skip
        elif action in ("totp", "totp_drop"):
            proven = await self._tried(
                user, lambda c: keeping.proven(c, locks, own, fields["password"])
            )

        def run(tx: Tx) -> Json:
            match action:
                case "password":
                    keeping.set_own_password(tx, own, new, user.session)
                case "totp":
                    secret = keeping.begin_totp(tx, locks, own, proven["password_hash"])
                    row = accounts.by_id(tx.conn, own)
                    name = row["username"] if row else ""
                    return {"secret": totp.as_text(secret), "address": totp.address(secret, name)}
                case "totp_confirm":
                    return {"codes": keeping.finish_totp(tx, locks, own, fields["code"])}
                case "totp_drop":
                    keeping.drop_totp(tx, own, proven["password_hash"])
                case "end":
                    keeping.end_session_of(tx, own, fields["begins"])
            return {}

        return await self._changed(run)

    async def device_pass(self, user: User) -> str:
        """A pass for the password as it is now."""
        row = await self._runtime.database.read(lambda c: accounts.by_id(c, user.account_id))
        assert row is not None, "whoever is logged in has an account"
        return self._runtime.locks.device_pass(row["id"], row["password_at"])

    async def _tried(self, user: User, look: Callable[[Connection], T]) -> T:
        """What needs the owner's password once more. A session that somebody took guesses no
        faster than a stranger at the login; the count is the session's own, so that its guesses
        keep nobody else from their account."""
        try:
            return await self._guesses.check(
                f"#{user.account_id}", user.session,
                lambda: self._kept(self._runtime.database.read(look)),
                keeping.WrongPassword, strange=False,
            )  # fmt: skip
        except keeping.WrongPassword as error:
            raise ActionRefused(error.words) from error
        except Paused as error:
            raise ActionRefused({
                "zh": "密码错得太多,请过几分钟再试。",
                "en": "Too many wrong passwords; try again in a few minutes.",
            }) from error  # fmt: skip

    async def _changed(self, run: Callable[[Tx], T]) -> T:
        return await self._kept(self._runtime.database.write(run))

    @staticmethod
    async def _kept(doing: Awaitable[T]) -> T:
        """What comes of it, its refusals as pages say them."""
        try:
            return await doing
        except keeping.WrongPassword:
            raise
        except Refused as error:
            raise ActionRefused(error.words) from error
        except Unknown as error:
            raise ActionRefused({"zh": "没有了,请刷新页面。", "en": str(error)}) from error

    def looked(self, user: User, what: str, **about: Any) -> None:
        """Into the audit, a moment later: a database that takes no writes must not keep anybody
        from the page of somebody who has called for help."""
        self._runtime.later(lambda tx: auditing.saw(tx, user.name, what, **about))

    def sees(self, user: User, what: str, **about: Any) -> None:
        """The same, once an opening."""
        self._runtime.saw(user.name, what, **about)

    async def all_accounts(self, user: User) -> Json:
        """Accounts and tokens within the user's own scope."""
        now, mine = self._runtime.clock.now(), user.scope
        assert isinstance(mine, Scope)

        def look(conn: Connection) -> Json:
            def within(row: Any) -> bool:
                return mine.covers(scopes.scope(conn, row["scope_level"], row["scope_id"]))

            def where(row: Any) -> Json:
                level, place_id = row["scope_level"], row["scope_id"]
                return {"level": level, "place": scopes.place_name(conn, level, place_id)}

            return {
                "now_ms": to_ms(now), "tz": _zone(conn, mine),
                "roles": [r.value for r in AccountRole], "levels": [lv.value for lv in Level],
                "rights": [r.value for r in Right if r is not Right.ACCOUNTS],
                "accounts": [
                    {"id": r["id"], "username": r["username"], "name": r["name"],
                     "role": r["role"], **where(r), "totp_on": r["totp_on"],
                     "one_time": r["password_until"] is not None,
                     "closed": r["disabled_at"] is not None}
                    for r in accounts.everyone(conn) if within(r)
                ],
                "tokens": [
                    {"id": r["id"], "name": r["name"], "rights": r["rights"], **where(r),
                     "by": r["created_by"], "created_ms": to_ms(r["created_at"]),
                     "used_ms": _ms(r["used_at"]), "revoked": r["revoked_at"] is not None}
                    for r in accounts.tokens(conn) if within(r)
                ],
            }  # fmt: skip

        return await self._runtime.database.read(look)

    async def keep_accounts(
        self, user: User, action: str, number: int, fields: Mapping[str, Sequence[str]]
    ) -> Json:
        """Change somebody's account, or a token."""
        locks, keeper = self._runtime.locks, keeping.Keeper(user.name, user.scope)
        if action in ("make", "reset"):
            once = await asyncio.to_thread(keeping.one_time, locks)

        def field(name: str) -> str:
            return next(iter(fields.get(name, ())), "")

        def run(tx: Tx) -> Json:
            match action:
                case "make":
                    _, password = keeping.make(
                        tx, once, keeper, username=field("username"), name=field("name"),
                        role=field("role"), level=field("level"), place_name=field("place"),
                    )  # fmt: skip
                    return {"username": field("username").strip().lower(), "password": password}
                case "reset":
                    password = keeping.reset(tx, once, keeper, number)
                    row = accounts.by_id(tx.conn, number)
                    return {"username": row["username"] if row else "", "password": password}
                case "close" | "open":
                    keeping.switch(tx, keeper, number, on=action == "open")
                case "regrade":
                    keeping.regrade(
                        tx, keeper, number, field("role"), field("level"), field("place")
                    )
                case "token":
                    return {"token": keeping.make_token(
                        tx, keeper, name=field("name"), rights=fields.get("rights", ()),
                        level=field("level"), place_name=field("place"),
                    )}  # fmt: skip
                case "revoke":
                    keeping.revoke_token(tx, keeper, number)
            return {}

        return await self._changed(run)
