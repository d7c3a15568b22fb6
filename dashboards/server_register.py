"""The part of the pages' Reader that reads buildings, residents and reports from the server."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from fastapi import HTTPException

from dashboards.reader import ActionRefused, User
from dashboards.register_reader import FileRefused, Kiosk, ReportRefused
from server import building_detail, register_forms, report, resident_detail
from server.api import register_files
from server.core.access import EVERYWHERE, Level, Right
from server.core.consent import GivenBy, How, Purpose
from server.core.reports import BadPeriod
from server.database import Tx
from server.runtime import Runtime
from server.service import acting, consenting
from server.service.refusals import Refused
from server.service.register import exporting
from server.sheets.reading import Unreadable
from server.sheets.writing import as_xlsx
from server.store import places, rosters
from server.store import register as store

Json = Mapping[str, Any]
WEEK = timedelta(days=6)


class ServerRegister:
    """Implements dashboards.register_reader.RegisterReader."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def building(self, number: int, scope: Any = None) -> Json | None:
        """One building, whole."""
        now, within = self._runtime.clock.now(), scope or EVERYWHERE
        return await self._runtime.database.read(
            lambda c: building_detail.detail(c, number, now, within)
        )

    async def find_residents(self, words: str, scope: Any) -> Json:
        """Residents by flat or name."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: resident_detail.search(c, words, now, scope)
        )

    async def resident(self, resident_id: int) -> Json | None:
        """One resident, without the way in."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: resident_detail.detail(c, resident_id, now)
        )

    async def resident_access(self, who: str, resident_id: int, reason: str) -> Json | None:
        """The way in; the look is logged."""

        def run(tx: Tx) -> Json:
            resident, holders = acting.look_at_access(tx, resident_id, who=who, why=reason)
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

    async def consent(self, who: str, resident_id: int, fields: Mapping[str, str]) -> None:
        """Write a consent down, or take it back."""
        house, reason = self._runtime.house, fields.get("reason")

        def run(tx: Tx) -> None:
            purpose = Purpose(fields["purpose"])
            if reason is not None:
                consenting.withdraw(tx, house, resident_id, purpose, who=who, why=reason)
            else:
                by, how = GivenBy(fields["given_by"]), How(fields["how"])
                consenting.give(tx, resident_id, purpose, by, how, who=who)

        try:
            await self._runtime.database.write(run)
        except acting.Unknown as error:
            raise LookupError(resident_id) from error
        except acting.Refused as error:
            raise ActionRefused(error.words) from error
        except ValueError as error:  # no words of our form
            raise ActionRefused({"zh": "请重新选择。", "en": "Choose again."}) from error

    async def contact_card(self, resident_id: int) -> Json | None:
        """What hangs on the door."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: resident_detail.card(c, resident_id, now)
        )

    async def report(
        self, first: date | None, last: date | None, number: int | None, scope: Any,
        community_id: int | None = None,
    ) -> Json | None:
        """A report, by default of the last seven days that are over."""
        database, now = self._runtime.database, self._runtime.clock.now()
        within = scope or EVERYWHERE
        seen = await database.read(lambda c: places.in_sight(c, within))
        community = next((c for c in seen if c.id == community_id), seen[0] if seen else None)
        if community is None:
            return None
        end = last or (first + WEEK if first else now.astimezone(community.zone).date()
                       - timedelta(days=1))  # fmt: skip
        start = first or end - WEEK
        try:
            return await database.read(
                lambda c: report.report(c, start, end, now, number, within, community_id)
            )
        except BadPeriod as error:
            raise ReportRefused(error.why.value) from error

    def _kiosk_cookie(self) -> str | None:
        """Derived, so that the token itself stays in the settings; a new token ends old screens."""
        token = self._runtime.settings.kiosk_token
        if token is None:
            return None
        words = f"kiosk:{token.get_secret_value()}".encode()
        return hmac.new(self._runtime.house.link_key, words, hashlib.sha256).hexdigest()

    def kiosk_pass(self, token: str) -> str | None:
        """The cookie for the right token."""
        right = self._runtime.settings.kiosk_token
        if right is None:
            return None
        same = hmac.compare_digest(token.encode(), right.get_secret_value().encode())
        return self._kiosk_cookie() if same else None

    def kiosk_state(self, cookie: str | None) -> Kiosk:
        """Off, closed or open."""
        right = self._kiosk_cookie()
        if right is None:
            return "off"
        same = hmac.compare_digest((cookie or "").encode(), right.encode())
        return "open" if same else "closed"

    def kiosk_wall(self) -> bool:
        """As set."""
        return self._runtime.settings.kiosk_wall

    async def duty_phones(self) -> list[str]:
        """The care centre's telephones."""
        return await self._runtime.database.read(rosters.duty_phones)

    async def register_import(
        self, user: User, content: bytes, lang: str, *, apply: bool
    ) -> Json:
        """A file compared with the register, or taken; no row is about a house beyond the
        user's."""
        try:
            file = await register_files.take(
                self._runtime, content, dry_run=not apply, who=user.name, why="", via="page",
                scope=user.scope or EVERYWHERE,
            )
        except Unreadable as error:
            raise FileRefused(error.words) from error
        if not apply:
            self._runtime.saw(user.name, "register_compared")
        return register_files.report(file, lang)

    async def register_rejected(
        self, user: User, content: bytes, lang: str
    ) -> bytes | None:
        """The rejected rows with their reasons."""
        try:
            file = await register_files.take(
                self._runtime, content, dry_run=True, who="", why="", via="page",
                scope=user.scope or EVERYWHERE,
            )
        except Unreadable as error:
            raise FileRefused(error.words) from error
        return await asyncio.to_thread(file.rejected, lang)

    async def communities(self, user: User) -> Json:
        """Those the user answers for, and whether they may register another."""
        scope = user.scope or EVERYWHERE
        found = await self._runtime.database.read(lambda c: register_forms.in_sight(c, scope))
        founders = (Level.ALL, Level.DISTRICT, Level.STREET)
        return {"found": found, "may_add": scope.level in founders}

    async def terminals_in_stock(self, most: int) -> list[str]:
        """Terminals that are nobody's."""
        return await self._runtime.database.read(lambda c: store.terminals_in_stock(c, most))

    async def register_export(
        self, user: User, lang: str, *, secrets: bool, reason: str
    ) -> bytes:
        """The register of the user's houses; logged."""
        if secrets and Right.ACCESS not in user.rights:
            raise HTTPException(403)
        try:
            found = await self._runtime.database.write(
                lambda tx: exporting.export(
                    tx, lang=lang, secrets=secrets, who=user.name, why=reason,
                    scope=user.scope or EVERYWHERE,
                )
            )
        except Refused as error:
            raise FileRefused(error.words) from error
        return await asyncio.to_thread(as_xlsx, found)
