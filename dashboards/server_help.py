"""The part of the pages' Reader that keeps requests, visits, greetings and hours on the server."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection

from dashboards.reader import ActionRefused, User
from server import help_view, hours_view, resident_detail
from server.core.access import EVERYWHERE, Right
from server.core.greetings import GreetingOutcome
from server.core.help_requests import Ending, Source, Want
from server.core.numbers import number_in
from server.core.visits import Cause
from server.database import Tx
from server.runtime import Runtime
from server.service.help import greetings, hours, requests, visits
from server.service.refusals import Refused, Unknown
from server.store import scopes

Json = Mapping[str, Any]
Fields = Mapping[str, str]
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
MONTH = timedelta(days=29)
GONE = {"zh": "登记里没有,请刷新页面。", "en": "That is not in the register; load the page anew."}


def _refuse(en: str, zh: str) -> ActionRefused:
    return ActionRefused({"zh": zh, "en": en})


def _one_of(kind: type[E], text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        raise _refuse("Choose one of the list.", "请从列表里选一项。") from None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise _refuse("That is no day; write it like 2026-03-14.",
                      "日期写法不对,请写成2026-03-14。") from None  # fmt: skip


class ServerHelp:
    """Implements dashboards.help_reader.HelpReader."""

    _runtime: Runtime

    async def _of_help(self, run: Callable[[Tx], T]) -> T:
        try:
            return await self._runtime.database.write(run)
        except Unknown as error:
            raise ActionRefused(GONE) from error
        except Refused as error:
            raise ActionRefused(error.words) from error

    def _meant(self, conn: Connection, user: User, fields: Fields) -> int:
        """Who is meant: by id, or by the door. Raises ActionRefused."""
        scope = user.scope or EVERYWHERE
        if (resident_id := number_in(fields.get("resident_id", ""))) is not None:
            houses = scopes.houses_of(conn, "resident_id", str(resident_id)) or ()
            if not any(scope.shows(h) for h in houses):
                raise ActionRefused(GONE)
            return resident_id
        now = self._runtime.clock.now()
        found = resident_detail.search(conn, fields.get("place", ""), now, scope)["found"]
        if len(found) == 1:
            return int(found[0]["id"])
        if found:
            raise _refuse("Several people live there: open the resident's page and write it there.",
                          "这里有几位住户:请打开住户页,在那里登记。")  # fmt: skip
        raise _refuse("Nobody is registered there; write the door like 11-301.",
                      "没有这一户。门牌请写成 11-301。")  # fmt: skip

    def _named(self, conn: Connection, user: User, text: str) -> int | None:
        """A contact of the user's houses. Raises ActionRefused."""
        person_id, scope = number_in(text), user.scope or EVERYWHERE
        if person_id is None or scope.buildings is None:
            return person_id
        houses = scopes.houses_of(conn, "person_id", str(person_id)) or ()
        if not any(h in scope.buildings for h in houses):
            raise ActionRefused(GONE)
        return person_id

    async def help_requests(self, user: User, which: str) -> Json:
        """A list, and the last thirty days in figures for those who may see figures."""
        now, scope = self._runtime.clock.now(), user.scope or EVERYWHERE

        def read(conn: Connection) -> Json:
            found = help_view.requests(
                conn, now, scope, "closed" if which == "closed" else "waiting"
            )
            today = now.astimezone(help_view.zone_of(conn, scope)).date()
            figures = None
            if Right.REPORT in user.rights:
                figures = help_view.figures(conn, today - MONTH, today, now, scope)
            return {**found, "figures": figures}

        return await self._runtime.database.read(read)

    async def help_request(self, request_id: int) -> Json | None:
        """One request."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(lambda c: help_view.request(c, request_id, now))

    async def request_ask(self, user: User, fields: Fields) -> int:
        """Write one down."""
        key = fields.get("key", "")[:64]

        def run(tx: Tx) -> int:
            return requests.ask(
                tx, want=_one_of(Want, fields.get("kind", "")), words=fields.get("words", ""),
                source=_one_of(Source, fields.get("source", "")), by=user.name,
                resident_id=self._meant(tx.conn, user, fields),
                key=f"page:{key}" if key else None,
            )  # fmt: skip

        return await self._of_help(run)

    async def request_act(self, user: User, request_id: int, action: str, fields: Fields) -> None:
        """A step of the procedure."""

        def helper(tx: Tx) -> Any:
            person_id = self._named(tx.conn, user, fields.get("person", ""))
            return requests.helper_of(tx, person_id, fields.get("name", ""), user.name)

        def run(tx: Tx) -> None:
            why, by = fields.get("why", ""), user.name
            match action:
                case "take":
                    requests.take(tx, request_id, helper(tx), by=by)
                case "hand-on":
                    requests.hand_on(tx, request_id, helper(tx), why, by=by)
                case "done":
                    minutes = number_in(fields.get("minutes", "")) or 0
                    requests.finish(
                        tx, request_id, _one_of(Ending, fields.get("ending", "")), why, by=by,
                        minutes=min(minutes, requests.MOST_MINUTES),
                        payer_id=self._named(tx.conn, user, fields.get("payer", "")),
                    )  # fmt: skip
                case "withdraw":
                    requests.withdraw(tx, request_id, why, by=by)
                case "correct":
                    resident = None
                    if fields.get("place"):
                        resident = self._meant(tx.conn, user, fields)
                    requests.correct(
                        tx, request_id, by=by, want=_one_of(Want, fields.get("kind", "")),
                        resident_id=resident,
                    )  # fmt: skip

        await self._of_help(run)

    async def visits(self, user: User) -> Json:
        """Visits of the user's houses."""
        now, scope = self._runtime.clock.now(), user.scope or EVERYWHERE
        return await self._runtime.database.read(
            lambda c: help_view.visits_listed(c, now, scope)
        )

    async def visit_owe(self, user: User, fields: Fields) -> None:
        """Write down that one is owed."""

        def run(tx: Tx) -> None:
            resident_id = self._meant(tx.conn, user, fields)
            cause = _one_of(Cause, fields.get("cause", ""))
            visits.owe(tx, resident_id, cause, by=user.name, why=fields.get("why", ""))

        await self._of_help(run)

    async def visit_act(self, user: User, visit_id: int, action: str, fields: Fields) -> None:
        """Somebody went, or nobody will."""

        def run(tx: Tx) -> None:
            if action == "drop":
                visits.drop(tx, visit_id, fields.get("why", ""), by=user.name)
                return
            visits.pay(
                tx, visit_id, by=user.name, visitor=fields.get("visitor", ""), visitor_id=None,
                on=_day(fields.get("on", "")), note=fields.get("note", ""),
            )

        await self._of_help(run)

    async def greetings(self, user: User) -> Json:
        """Today's list."""
        now, scope = self._runtime.clock.now(), user.scope or EVERYWHERE
        phones = Right.ACCESS in user.rights
        return await self._runtime.database.read(
            lambda c: help_view.greeting_list(c, now, scope, phones=phones)
        )

    async def greet(self, user: User, resident_id: int, fields: Fields) -> None:
        """Tick one off."""
        outcome = _one_of(GreetingOutcome, fields.get("outcome", ""))
        want = _one_of(Want, fields.get("kind", "") or Want.OTHER)
        await self._of_help(lambda tx: greetings.greet(
            tx, resident_id, outcome, by=user.name, note=fields.get("note", ""), want=want,
            turn=number_in(fields.get("turn", "")),
        ))  # fmt: skip

    async def help_of(self, resident_id: int) -> Json:
        """All services of one resident."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: help_view.of_resident(c, resident_id, now)
        )

    async def hours_balance(self, community: int | None) -> Json:
        """A community's hours."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: {**hours_view.balance(c, now, community),
                       "volunteers": hours_view.volunteers(c, community)}
        )  # fmt: skip

    async def hours_statement(self, user: User, person_id: int) -> Json | None:
        """One volunteer's statement."""
        now, scope = self._runtime.clock.now(), user.scope or EVERYWHERE
        return await self._runtime.database.read(
            lambda c: hours_view.statement(c, person_id, now, scope)
        )

    async def hours_counter(self, user: User, entry_id: int, why: str) -> None:
        """Put an entry right."""
        scope = user.scope or EVERYWHERE
        await self._of_help(
            lambda tx: hours.counter(tx, entry_id, why, by=user.name, scope=scope)
        )
