"""The part of the pages' Reader that takes the register's forms to the server's use-cases."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

from fastapi import HTTPException
from sqlalchemy import Connection

from dashboards.forms_reader import Fields, FormRefused, Kind
from dashboards.reader import User
from server import register_forms
from server.core import rota
from server.core.access import EVERYWHERE, Scope
from server.core.cells import Why
from server.core.numbers import number_in
from server.database import Tx
from server.runtime import Runtime
from server.service import absences, addressing, assigning, moving, shared, shifts
from server.service.refusals import Refused, Unknown
from server.service.register import by_hand, contacts, naming
from server.service.register.forms import Form, Misfit, Said, Stale, misfit, unchanged_since
from server.store import assigning as assignments
from server.store import communities, people
from server.store import register as store

Json = Mapping[str, Any]
OWN = ("reason", "seen", "remove", "lang", "address", "address_en")
"""Fields of a form that are no column."""
ENDS = ("died", "moved_away", "other")


def _one(fields: Fields, name: str) -> str:
    return next(iter(fields.get(name, ())), "")


def _number(text: str) -> int:
    return number_in(text) or 0


def _form(fields: Fields, said: Said) -> Form:
    langs = {k.removeprefix("lang:"): v[0] for k, v in fields.items() if k.startswith("lang:")}
    given = {
        key: values[0] for key, values in fields.items()
        if key not in OWN and not key.startswith("lang:")
    }  # fmt: skip
    address = None
    if "address" in fields:
        address = {"zh": " ".join(_one(fields, "address").split())[:200],
                   "en": " ".join(_one(fields, "address_en").split())[:200]}  # fmt: skip
    return Form(
        given, said, frozenset(_number(n) for n in fields.get("remove", ())),
        _number(_one(fields, "seen")), langs, address,
    )  # fmt: skip


def _until(tx: Tx, fields: Fields, facts: communities.CommunityFacts | None) -> datetime:
    """The end of an absence, as the clock of their community says it. Raises Misfit."""
    try:
        at = datetime.fromisoformat(_one(fields, "until").strip())
        zone = facts.zone if facts else None
        return absences.end_of(at.replace(tzinfo=zone) if at.tzinfo is None else at, tx.now)
    except absences.BadEnd as error:
        most = absences.LONGEST.days
        raise Misfit({"until": {"zh": f"要晚于现在,最长 {most} 天", "en": str(error)}}) from error
    except ValueError as error:
        raise Misfit({"until": {"zh": "请写到什么时候,例如 2026-03-20 18:00",
                                "en": "say until when, like 2026-03-20 18:00"}}) from error


def _shifts(fields: Fields) -> list[rota.Shift]:
    found = []
    for n in range(shifts.MOST_SHIFTS):
        days = frozenset(_number(d) for d in fields.get(f"days:{n}", ()))
        starts, ends = (_one(fields, f"{edge}:{n}").strip() for edge in ("starts", "ends"))
        if not days and not starts and not ends:
            continue
        try:
            times = [datetime.strptime(t, "%H:%M").time() for t in (starts, ends)]  # noqa: DTZ007
            found.append(rota.Shift(days, times[0], times[1]))
        except ValueError as error:
            raise Misfit({f"starts:{n}": {"zh": "请选星期,并写起止时间,例如 08:00",
                                          "en": "choose days, and times like 08:00"}}) from error
    return found


class ServerForms:
    """Implements dashboards.forms_reader.FormReader."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def form_facts(
        self, user: User, kind: Kind, number: int, community: int | None = None
    ) -> Json | None:
        """What a form begins with."""
        now, scope = self._runtime.clock.now(), user.scope or EVERYWHERE

        def look(conn: Connection) -> Json | None:
            match kind:
                case "resident":
                    return register_forms.resident(conn, number, now, scope)
                case "building":
                    return register_forms.building(conn, number, now)
                case "person":
                    return register_forms.person(conn, number, now, scope)
                case "duty":
                    return register_forms.duty(conn, now, community)
                case "shifts":
                    return register_forms.turns(conn, number, now, community)
                case "turns":
                    return register_forms.house_turns(conn, number, now)
                case "new":
                    return register_forms.blank(conn, now, scope)

        return await self._runtime.database.read(look)

    async def changes_of(
        self, kind: str, number: int, first: date | None, last: date | None
    ) -> Json | None:
        """The history."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(
            lambda c: register_forms.history(c, kind, number, now, first, last)
        )

    async def short_of_stewards(self) -> Mapping[int, int]:
        """Which houses have no two stewards to tell."""
        now = self._runtime.clock.now()
        return await self._runtime.database.read(lambda c: assignments.short_of_stewards(c, now))

    async def form_act(
        self, user: User, act: str, number: int, fields: Fields, community: int | None = None
    ) -> int:
        """Do what a form says."""
        said = Said(user.name, _one(fields, "reason"))
        scope: Scope = user.scope or EVERYWHERE
        part, _, verb = act.partition(".")
        acts: dict[str, Callable[[Tx, str, int, Fields, Said, Scope], int]] = {
            "resident": self._resident, "building": self._building, "person": self._person,
            "duty": partial(self._duty, community), "community": self._community,
        }  # fmt: skip
        try:
            return await self._runtime.database.write(
                lambda tx: acts[part](tx, verb, number, fields, said, scope)
            )
        except Stale as stale:
            seen = max(row["id"] for row in stale.rows)
            raise FormRefused({}, register_forms.entries(stale.rows), seen) from stale
        except Misfit as wrong:
            raise FormRefused(wrong.fields) from wrong
        except Refused as refused:
            raise FormRefused({"": refused.words}) from refused
        except Unknown as unknown:
            raise HTTPException(404) from unknown

    def _resident(
        self, tx: Tx, verb: str, number: int, fields: Fields, said: Said, scope: Scope
    ) -> int:
        house = self._runtime.house
        match verb:
            case "add":
                return by_hand.add_resident(tx, _form(fields, said), scope)
            case "change":
                by_hand.change_resident(tx, house, number, _form(fields, said), scope)
            case "move":
                by_hand.move_resident(tx, number, _form(fields, said), scope)
            case "end":
                said = said.checked()
                how = _one(fields, "how")
                if how not in ENDS:
                    raise misfit("how", Why.EMPTY)
                moving.end(tx, house, number, how, who=said.who, why=said.why, via=said.via)  # type: ignore[arg-type]
            case "away":
                said = said.checked()
                row = people.resident(tx.conn, number)
                lives = communities.of_building(tx.conn, row["building_id"]) if row else None
                until = _until(tx, fields, lives)
                absences.begin(tx, number, until, who=said.who, why=said.why, via=said.via)
            case "back":
                why = " ".join(said.why.split())[:200]
                absences.end_early(tx, number, who=said.who, why=why, via=said.via)
        return number

    def _building(
        self, tx: Tx, verb: str, number: int, fields: Fields, said: Said, scope: Scope
    ) -> int:
        form = _form(fields, said)
        if verb == "add":
            return by_hand.add_building(tx, form, scope)
        by_hand.change_building(tx, number, form, scope)
        return number

    def _community(
        self, tx: Tx, _verb: str, _number: int, fields: Fields, said: Said, scope: Scope
    ) -> int:
        named = {key: _one(fields, key) for key in naming.FIELDS}
        return naming.add(tx, named, said=said, scope=scope)

    def _person(
        self, tx: Tx, verb: str, number: int, fields: Fields, said: Said, scope: Scope
    ) -> int:
        shared.demand_whole(tx.conn, scope, number)
        match verb:
            case "change":
                contacts.correct(
                    tx, number, name=_one(fields, "name"), phone=_one(fields, "phone"),
                    lang=_one(fields, "lang"), seen=_number(_one(fields, "seen")), said=said,
                    scope=scope,
                )  # fmt: skip
            case "away":
                stands = communities.of_person(tx.conn, number)
                said, until = said.checked(), _until(tx, fields, stands)
                absences.person_away(
                    tx, self._runtime.house, number, until, who=said.who, why=said.why,
                    via=said.via,
                )  # fmt: skip
            case "shifts":
                said = said.checked()
                unchanged_since(tx, "person", number, _number(_one(fields, "seen")))
                shifts.set_shifts(
                    tx, number, _shifts(fields), who=said.who, why=said.why, via=said.via
                )
            case "back":
                why = " ".join(said.why.split())[:200]
                absences.person_back(tx, number, who=said.who, why=why, via=said.via)
        return number

    def _duty(
        self, community: int | None, tx: Tx, verb: str, number: int, fields: Fields, said: Said,
        scope: Scope,
    ) -> int:  # fmt: skip
        if community is not None and not scope.answers_for(community):
            raise Unknown(f"there is no community {community}")
        said = said.checked()
        match verb:
            case "add":
                wanted = contacts.wanted(_one(fields, "role"), _one(fields, "name"),
                                         _one(fields, "phone"), _one(fields, "lang"))  # fmt: skip
                assigning.assign(
                    tx, replace(wanted, community_id=community), who=said.who, why=said.why,
                    via=said.via, scope=scope,
                )  # fmt: skip
            case "remove":
                leaves = _number(_one(fields, "assignment"))
                if all(a["id"] != leaves for a in store.offices(tx.conn, community)):
                    raise Unknown(f"assignment {leaves} is not of this desk")
                contacts.leave_office(tx, leaves, said)
            case "shifts":
                shared.demand_whole(tx.conn, scope, number)
                if community is not None:
                    unchanged_since(tx, "community", community, _number(_one(fields, "seen")))
                shifts.set_shifts(
                    tx, number, _shifts(fields), who=said.who, why=said.why, via=said.via
                )
            case "community":
                named = {key: _one(fields, key) for key in naming.FIELDS}
                naming.name(
                    tx, named, seen=_number(_one(fields, "seen")), said=said,
                    community_id=community, scope=scope,
                )  # fmt: skip
                words = {"zh": " ".join(_one(fields, "address").split())[:200],
                         "en": " ".join(_one(fields, "address_en").split())[:200]}  # fmt: skip
                if words["zh"] or words["en"]:
                    addressing.set_community(
                        tx, words, who=said.who, why=said.why, via=said.via,
                        community_id=community,
                    )  # fmt: skip
        return number
