"""A second community beside the town's own: 棠德, west of here, where the sun is two hours later.

Its houses have numbers that the town has too; its people, telephones and terminals are its own.
"""

from dataclasses import replace
from typing import TypeVar
from zoneinfo import ZoneInfo

from server.core.houses import numbered
from tests.town import Town
from xunlou.community import Building, Community, Person, Resident, Round
from xunlou.sample import guangdan
from xunlou.seed import load

P = TypeVar("P", Person, Person | None)
NAME, SERIES = "棠德", 1
ZONE = ZoneInfo("Asia/Urumqi")
ROUNDS = (
    Round("morning", "05:00", "07:15", "07:30"),
    Round("evening", "18:00", "20:15", "20:30"),
)
HOUSE = numbered(SERIES, 2)
"""Their house 2, as an address names it."""


def theirs(number: str) -> str:
    """A telephone of the sample, as one of this community: +86100BB… → +86100(BB+40)…"""
    return f"+86100{int(number[6:8]) + 40:02d}{number[8:]}"


def terminal(number: str) -> str:
    """A terminal of the sample, as one of this community: gd-2-101 → td-2-101."""
    return f"td{number.removeprefix('gd')}"


def tangde() -> Community:
    """The community, always the same: three houses."""
    ours = guangdan(seed=271, buildings=3)

    def person(found: P) -> P:
        return found if found is None else replace(found, phone=theirs(found.phone))

    def resident(found: Resident | None) -> Resident | None:
        if found is None:
            return None
        holder = found.key_holder and replace(
            found.key_holder, person=person(found.key_holder.person)
        )
        return replace(
            found, terminal_id=terminal(found.terminal_id), key_holder=holder,
            befriender=person(found.befriender), family=person(found.family), profile="regular",
        )  # fmt: skip

    def building(found: Building) -> Building:
        first, second = (replace(s, person=person(s.person)) for s in found.stewards)
        flats = tuple(replace(f, resident=resident(f.resident)) for f in found.flats)
        return replace(
            found, flats=flats, stewards=(first, second), substitute=person(found.substitute)
        )

    return replace(
        ours, name=NAME, tz=ZONE.key, rounds=ROUNDS,
        buildings=tuple(building(b) for b in ours.buildings),
        duty=tuple(person(p) for p in ours.duty[:2]), shifts=(),
        street=tuple(person(p) for p in ours.street),
        district=tuple(person(p) for p in ours.district),
        address="广东省广州市天河区棠德路6号棠德小区", address_en="6 Tangde Road, Guangzhou",
    )  # fmt: skip


async def move_in(town: Town) -> Community:
    """Register the second community in a running town; returns it."""
    community = tangde()
    now = town.runtime.clock.now()
    await town.sql(lambda c: load(c, community, now, beside=SERIES))
    return community
