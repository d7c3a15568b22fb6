"""The pages' Reader over a running server."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import HTTPException
from sqlalchemy import RowMapping
from starlette.requests import Request

from dashboards.cookies import passes
from dashboards.guesses import Guesses, Paused
from dashboards.reader import ActionRefused, Login, LoginError, User
from dashboards.server_accounts import ServerAccounts
from dashboards.server_elsewhere import ServerElsewhere
from dashboards.server_forms import ServerForms
from dashboards.server_register import ServerRegister
from dashboards.server_terminals import ServerTerminals
from server import handover_view
from server.api.deps import COOKIE, named_in, outside, session_principal
from server.core import alerts as core
from server.core.access import EVERYWHERE, Right
from server.core.numbers import number_in
from server.database import Tx
from server.runtime import Runtime
from server.service import accounts, acting, handing_over, steward_page
from server.store import communities, places, scopes
from server.tables import from_ms


def _number(text: str | None) -> int | None:
    return number_in(text) if text else None


def _event(action: str, actor: core.Actor, fields: Mapping[str, str]) -> core.Event:
    """The act behind a button. Raises acting.Refused for an unknown one or a missing outcome."""
    match action:
        case "accept":
            return core.Accept(actor)
        case "on_scene":
            return core.Arrive(actor)
        case "escalate":
            return core.Escalate(actor)
        case "resolve":
            outcome = acting.outcome_of(fields.get("outcome"))
            item = _number(fields.get("item_resident_id"))
            if item is not None:
                return core.SettleItem(item, outcome, actor)
            return core.Resolve(actor, outcome, fields.get("note", "")[:500])
    raise acting.Refused(f"unknown action {action!r}", zh="没有这个操作,请刷新页面。")


class ServerReader(
    ServerRegister, ServerAccounts, ServerForms, ServerElsewhere, ServerTerminals
):
    """Implements dashboards.reader.Reader."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._guesses = Guesses(runtime.clock.now)

    async def snapshot(self, user: User | None) -> Mapping[str, Any]:
        """The whole picture of the user's houses; of all for the hall's own screen."""
        return await self._runtime.feed.snapshot(user.scope if user is not None else EVERYWHERE)

    async def community(self) -> Mapping[str, Any] | None:
        """Its name and zone."""
        found = await self._runtime.database.read(communities.first)
        return {"name": found.name, "tz": str(found.zone)} if found else None

    async def desks(self, user: User) -> Sequence[Mapping[str, Any]]:
        """The communities for which they answer as a whole."""
        scope = user.scope or EVERYWHERE
        found = await self._runtime.database.read(lambda c: scopes.communities(c, scope))
        facts = [communities.CommunityFacts(row) for row in found]
        return [{"id": f.id, "name": f.name, "tz": str(f.zone)} for f in facts]

    async def current_user(self, request: Request) -> User | None:
        """The person behind the session cookie."""
        person = await session_principal(self._runtime, request.cookies.get(COOKIE))
        if person is None:
            return None
        if await outside(self._runtime, person.scope, named_in(request)):
            raise HTTPException(404)
        names = await self._runtime.database.read(lambda c: places.names(c, person.scope))
        return User(
            person.name, person.role, Right.ACT in person.rights,
            frozenset(r.value for r in person.rights), person.scope, person.scope.wide,
            person.must_change, person.account_id or 0, person.session,
            person.scope.answers, names,
        )  # fmt: skip

    async def login(
        self, username: str, password: str, code: str, request: Request
    ) -> Login | LoginError:
        """A session, or why not. A browser that has logged in before has a count of its own, and
        a queue of its own for the slow hash: strangers can use up neither."""
        database, clock, locks = self._runtime.database, self._runtime.clock, self._runtime.locks
        address = request.client.host if request.client else ""
        given = passes(request)
        device = await database.read(
            lambda c: accounts.known_device(c, locks, username, given)
        ) if given else None  # fmt: skip
        source, strange = device or address, device is None
        agent = request.headers.get("user-agent", "")

        async def look() -> tuple[RowMapping, str]:
            now = clock.now()
            proof = await database.read(
                lambda c: accounts.prove(c, locks, username, password, code, now)
            )
            token = await database.write(
                lambda tx: accounts.start_session(tx, locks, proof, agent)
            )
            return proof.account, token

        try:
            account, token = await self._guesses.check(
                username, source, look, accounts.WrongLogin, strange=strange
            )
        except Paused:
            return LoginError("locked")
        except accounts.WrongLogin:
            return LoginError("wrong")
        except accounts.PasswordOver:
            return LoginError("over")
        return Login(token, locks.device_pass(account["id"], account["password_at"]))

    async def logout(self, request: Request) -> None:
        """End the session on the server."""
        token = request.cookies.get(COOKIE)
        if token:
            await self._runtime.database.write(lambda tx: accounts.end_session(tx, token))

    async def alert_detail(self, user: User, alert_id: int) -> Mapping[str, Any] | None:
        """One alert with its timeline and ladder."""
        return await self._runtime.feed.alert(
            alert_id, numbers=user.may_act, scope=user.scope or EVERYWHERE
        )

    async def alert_act(
        self, user: User, alert_id: int, action: str, fields: Mapping[str, str]
    ) -> None:
        """Do what a button on the alert's page says."""

        def run(tx: Tx) -> None:
            stored = acting.load(tx, self._runtime.house, alert_id)
            person = _number(fields.get("as_person_id"))
            actor = acting.actor_for(tx, stored, person) if person else acting.operator(user.name)
            acting.act(tx, self._runtime.house, alert_id, _event(action, actor, fields), actor)

        try:
            await self._runtime.database.write(run, urgent=True)
        except acting.Unknown as error:
            raise ActionRefused({"zh": "登记里没有,请刷新页面。", "en": str(error)}) from error
        except acting.Refused as error:
            raise ActionRefused(error.words) from error

    async def alert_access(
        self, user: User, alert_id: int, reason: str
    ) -> Mapping[str, Any] | None:
        """The way in; the look is logged."""

        def run(tx: Tx) -> Mapping[str, Any] | None:
            resident_id = acting.load(tx, self._runtime.house, alert_id).row["resident_id"]
            if resident_id is None:
                return None
            resident, holders = acting.look_at_access(
                tx, resident_id, who=user.name, why=reason, alert_id=alert_id
            )
            return {
                "access_notes": resident["access_notes"],
                "risks": resident["risks"],
                "phone": resident["phone"],
                "key_holders": [
                    {"name": h["name"], "phone": h["phone"], "where": h["key_place"]}
                    for h in holders
                ],
            }

        try:
            return await self._runtime.database.write(run)
        except acting.Unknown:
            return None

    async def handover(self, community: int | None) -> Mapping[str, Any]:
        """The sheet of the shift that is ending at this desk."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: handover_view.current(c, now, community)
        )

    async def handover_written(self, handover_id: int) -> Mapping[str, Any] | None:
        """One earlier handover."""
        return await self._runtime.database.read(lambda c: handover_view.written(c, handover_id))

    async def hand_over(
        self, user: User, outgoing: str, incoming: str, note: str, last_id: int,
        community: int | None,
    ) -> int:
        """Write a handover of this desk down."""

        def run(tx: Tx) -> int:
            sheet = handover_view.current(tx.conn, tx.now, community)
            return handing_over.hand_over(
                tx, outgoing, incoming, note, last_id=last_id,
                since=from_ms(sheet["picture"]["since_ms"]), picture=sheet["picture"],
                by=user.name, community_id=community,
            )  # fmt: skip

        try:
            return await self._runtime.database.write(run)
        except acting.Refused as error:
            raise ActionRefused(error.words) from error

    async def steward_view(self, token: str) -> Mapping[str, Any] | None:
        """What the holder of a link may see. Nothing is written: robots open links as well."""
        now, vault = self._runtime.clock.now(), self._runtime.house.vault
        try:
            return await self._runtime.database.read(
                lambda c: steward_page.view(Tx(c, now, vault=vault), token)
            )
        except acting.Unknown:
            return None

    async def steward_act(
        self, token: str, action: str, fields: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Any]:
        """Do what a button says."""
        ticked: list[int | None] = [
            n for v in fields.get("resident_id", ()) if (n := number_in(v)) is not None
        ]
        house, database = self._runtime.house, self._runtime.database
        try:
            for resident_id in ticked or [None]:
                view = await database.write(
                    lambda tx: steward_page.act(tx, house, token, action, resident_id),  # noqa: B023
                    urgent=True,
                )
        except acting.Unknown as error:
            words = {"zh": "这个链接已失效。急事请打120。",
                     "en": "This link has ended. In an emergency call 120."}  # fmt: skip
            raise ActionRefused(words) from error
        except acting.Refused as error:
            raise ActionRefused(error.words) from error
        return view
