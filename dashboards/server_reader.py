"""The pages' Reader over a running server."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from dashboards.reader import ActionRefused, LoginError, User
from server import views
from server.api.deps import COOKIE, session_principal
from server.runtime import Runtime
from server.service import accounts, acting, steward_page

GUESSES_AT_ONCE = 2
"""Argon2 is meant to be slow and large: more guesses at once would starve the desk, not help it."""


class ServerReader:
    """Implements dashboards.reader.Reader."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._guesses = asyncio.Semaphore(GUESSES_AT_ONCE)

    async def snapshot(self) -> Mapping[str, Any]:
        """The whole picture."""
        clock = self._runtime.clock
        now = clock.now()
        return await self._runtime.database.read(lambda c: views.snapshot(c, now, clock.speed))

    async def current_user(self, request: Request) -> User | None:
        """The person behind the session cookie."""
        person = await session_principal(self._runtime, request.cookies.get(COOKIE))
        return User(person.name, "operator") if person else None

    async def login(self, username: str, password: str, request: Request) -> str | LoginError:  # noqa: ARG002 (the protocol's form)
        """A session token, or why not."""
        database = self._runtime.database
        async with self._guesses:
            try:
                account = await database.read(
                    lambda c: accounts.check_password(c, username, password)
                )
            except accounts.WrongLogin:
                return LoginError("wrong")
        return await database.write(lambda tx: accounts.start_session(tx, account))

    async def logout(self, request: Request) -> None:
        """End the session on the server."""
        token = request.cookies.get(COOKIE)
        if token:
            await self._runtime.database.write(lambda tx: accounts.end_session(tx, token))

    async def steward_view(self, token: str) -> Mapping[str, Any] | None:
        """What the holder of a link may see."""
        try:
            return await self._runtime.database.write(lambda tx: steward_page.view(tx, token))
        except acting.Unknown:
            return None

    async def steward_act(
        self, token: str, action: str, fields: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Any]:
        """Do what a button says."""
        ticked: list[int | None] = [int(v) for v in fields.get("resident_id", ()) if v.isdigit()]
        house, database = self._runtime.house, self._runtime.database
        try:
            for resident_id in ticked or [None]:
                view = await database.write(
                    lambda tx: steward_page.act(tx, house, token, action, resident_id),  # noqa: B023
                    urgent=True,
                )
        except acting.Unknown as error:
            raise ActionRefused("这个链接已失效。急事请打120。") from error
        except acting.Refused as error:
            raise ActionRefused(str(error)) from error
        return view
