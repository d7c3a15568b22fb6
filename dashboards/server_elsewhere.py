"""The part of the pages' Reader that logs people in by the house's identity provider."""

import logging
from functools import cached_property

from starlette.requests import Request

from dashboards.reader import Begun, Login, LoginError
from server.oidc import NotProven, Provider, ProviderDown
from server.runtime import Runtime
from server.service import accounts

log = logging.getLogger(__name__)


class ServerElsewhere:
    """Implements the side of dashboards.reader.Reader that is about a provider."""

    _runtime: Runtime

    @cached_property
    def _provider(self) -> Provider:
        return Provider(self._runtime.settings, self._runtime.locks.key)

    @property
    def elsewhere(self) -> str:
        """What people call the provider; empty: there is none."""
        return self._provider.name

    async def begin_elsewhere(self, following: str) -> Begun | LoginError:
        """Where to, and the note that the browser keeps meanwhile."""
        try:
            return Begun(*await self._provider.begin(following, self._runtime.clock.now()))
        except ProviderDown as error:
            log.warning("the identity provider does not answer: %s", error)
            return LoginError("provider_down")

    async def finish_elsewhere(
        self, note: str, request: Request
    ) -> tuple[Login, str] | LoginError:
        """A session for whom the provider vouches, and where they were going."""
        asked, now, locks = request.query_params, self._runtime.clock.now(), self._runtime.locks
        try:
            username, following = await self._provider.finish(
                note, asked.get("state", ""), asked.get("code", ""), now
            )
        except ProviderDown as error:
            log.warning("the identity provider does not answer: %s", error)
            return LoginError("provider_down")
        except NotProven as error:
            log.warning("a login by the identity provider was refused: %s", error)
            return LoginError("unproven")
        database = self._runtime.database
        account = await database.read(lambda c: accounts.vouched_for(c, username))
        if account is None:
            log.warning("the identity provider vouches for somebody who has no account here")
            return LoginError("stranger")
        agent = request.headers.get("user-agent", "")
        proof = accounts.Proof(account, by="provider")
        token = await database.write(
            lambda tx: accounts.start_session(tx, locks, proof, agent)
        )
        device = locks.device_pass(account["id"], account["password_at"])
        return Login(token, device), following
