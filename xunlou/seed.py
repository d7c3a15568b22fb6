"""Loads a described community into the server's register, once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Table, insert, select

from server import tables as t
from server.core.houses import numbered
from server.core.rounds import CLASSES, Plan, next_deadline, owed_by
from server.core.words import Role
from server.pinyin import sounds
from xunlou.community import Building, Community, Flat, Person, Resident

AWAY_FOR = timedelta(days=30)
"""An absence has an end, also in the sample."""


class NotEmpty(Exception):
    """The register already holds a community; loading another would mix them."""


class _Loader:
    """Inserts with the ids that the rows refer to each other by."""

    def __init__(
        self, conn: Connection, next_due_at: Mapping[str, datetime], now: datetime
    ) -> None:
        """`next_due_at`: the first deadline by risk class."""
        self._conn = conn
        self._away_until = now + AWAY_FOR
        self._next_due_at = next_due_at
        self._people: dict[str, int] = {}

    def add(self, model: Any, **values: Any) -> int:
        """Insert one row; returns its id."""
        table: Table = t.table(model)
        result = self._conn.execute(insert(table).values(**values).returning(table.c.id))
        return int(result.scalar_one())

    def person(self, person: Person) -> int:
        """The row of this person, the same for the same number."""
        if person.phone not in self._people:
            self._people[person.phone] = self.add(
                t.Person, name=person.name, phone=person.phone, lang=person.lang
            )
        return self._people[person.phone]

    def assign(self, person: Person, role: Role, **where: Any) -> None:
        """Put a person behind a target."""
        values = {"position": 0, "key_place": "", **where}
        self.add(t.Assignment, person_id=self.person(person), role=role.value, **values)

    def building(self, community_id: int, building: Building, series: int = 0) -> None:
        """One house with its flats and residents; its stewards come first."""
        row = self.add(
            t.Building, community_id=community_id, number=numbered(series, building.number),
            address=building.address, address_en=building.address_en,
        )  # fmt: skip
        for steward in building.stewards:
            self.assign(
                steward.person, Role.STEWARD, building_id=row, position=steward.position
            )
        self.assign(building.substitute, Role.SUBSTITUTE, building_id=row)
        doors = self.flats(row, building.flats)
        for flat in building.flats:
            if flat.resident is not None:
                self.resident(row, doors[flat.label], flat.resident)

    def flats(self, building_id: int, flats: Sequence[Flat]) -> dict[str, int]:
        """All doors of a house in one statement; label → row."""
        table: Table = t.table(t.Flat)
        rows = [
            {"building_id": building_id, "stairwell": f.stairwell, "floor": f.floor,
             "label": f.label}
            for f in flats
        ]  # fmt: skip
        result = self._conn.execute(
            insert(table).values(rows).returning(table.c.label, table.c.id)
        )
        return {str(row[0]): int(row[1]) for row in result}

    def resident(self, building_id: int, flat_id: int, r: Resident) -> None:
        """One resident with terminal and key holder."""
        away = r.profile == "away"
        row = self.add(
            t.Resident, flat_id=flat_id, building_id=building_id, name=r.name,
            birth_date=r.birth_date, sex=r.sex, living=r.living, risk_class=r.risk_class,
            state="paused" if away else "active", phone="", access_notes=r.access_notes,
            risks="易跌倒" if r.health_flag else "",
            next_due_at=None if away else self._next_due_at[r.risk_class],
            absent_until=self._away_until if away else None, sounds=sounds(r.name),
        )  # fmt: skip
        self._conn.execute(
            insert(t.table(t.Terminal)).values(
                id=r.terminal_id, resident_id=row, state="active", status="unknown", boot=0,
                firmware="", heartbeat_s=900,
            )
        )  # fmt: skip
        if r.key_holder is not None:
            self.assign(
                r.key_holder.person, Role.KEY_HOLDER, resident_id=row,
                key_place=r.key_holder.key_where,
            )  # fmt: skip
        for person, role in ((r.befriender, Role.BEFRIENDER), (r.family, Role.FAMILY)):
            if person is not None:
                self.assign(person, role, resident_id=row)


def load(conn: Connection, community: Community, now: datetime, *, beside: int = 0) -> None:
    """Load `community`, everybody's first deadline being the next one after `now`.

    `beside`: its series of house numbers (core/houses.py), for one beside those that are there. No
    person may be of two communities then.

    Raises NotEmpty when the register is not empty, and the community is not to be beside another.
    """
    if not beside and conn.execute(select(t.table(t.Community).c.id)).first() is not None:
        raise NotEmpty("the register is not empty; use a new database")
    rounds = [
        {"name": r.name, "opens": r.opens, "prompt": r.prompt, "due": r.due,
         "classes": list(r.classes)}
        for r in community.rounds
    ]
    plans = tuple(
        Plan(
            r.name,
            time.fromisoformat(r.opens),
            time.fromisoformat(r.prompt),
            time.fromisoformat(r.due),
            classes=frozenset(r.classes),
        )
        for r in community.rounds
    )
    zone = ZoneInfo(community.tz)
    first = {c: next_deadline(owed_by(plans, c), zone, now) for c in CLASSES}
    loader = _Loader(conn, first, now)
    row = loader.add(
        t.Community, series=beside, name=community.name, tz=community.tz, rounds=rounds,
        address=community.address, address_en=community.address_en,
    )  # fmt: skip
    for building in community.buildings:
        loader.building(row, building, beside)
    offices = (
        (Role.DUTY, community.duty), (Role.STREET, community.street),
        (Role.DISTRICT, community.district),
    )  # fmt: skip
    for role, desk in offices:
        for person in desk:
            loader.assign(person, role, community_id=row)
    for shift in community.shifts:
        days = "".join(str(day) for day in shift.days)
        loader.add(
            t.DutyShift, person_id=loader.person(shift.person), days=days, starts=shift.starts,
            ends=shift.ends,
        )  # fmt: skip
