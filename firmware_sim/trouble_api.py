"""Troubles over HTTP, under /sim: power, lines, radio, clocks, batteries of terminals or buildings.

For testers and scenarios; part of the simulator only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from firmware_sim.fleet import Fleet
from firmware_sim.keys import Button
from firmware_sim.node import UnknownTerminalError
from firmware_sim.troubles import Troubles, What
from firmware_sim.weather import LONGEST_S, PROFILES, Weather

Place = Literal["terminals", "buildings"]


class SwitchRequest(BaseModel):
    """On or off."""

    on: bool


class FlapRequest(BaseModel):
    """Off and on, so many times; each state lasts `every_s` virtual seconds."""

    what: Literal["mains", "power", "network"]
    times: int = Field(ge=1, le=100)
    every_s: float = Field(gt=0, le=3600)


class WeatherRequest(BaseModel):
    """What the radio does to messages (see `weather.Weather`)."""

    drop: float = Field(0, ge=0, le=1)
    duplicate: float = Field(0, ge=0, le=1)
    reorder: float = Field(0, ge=0, le=1)
    delay_s: float = Field(0, ge=0, le=LONGEST_S)
    least_s: float = Field(0, ge=0, le=LONGEST_S)
    awake_s: float | None = Field(None, gt=0, le=LONGEST_S)
    rssi: int = Field(-61, ge=-140, le=0)
    rssi_spread: int = Field(0, ge=0, le=30)


class LinkRequest(BaseModel):
    """One of the links as they are met in the field (`weather.PROFILES`)."""

    profile: str


class ClockRequest(BaseModel):
    """The terminal's own clock jumps; null: it forgets the time."""

    by_s: float | None


class BatteryRequest(BaseModel):
    """The backup battery's level, per cent."""

    level_pct: float = Field(ge=0, le=100)


BatteryWish = BatteryRequest | SwitchRequest
"""Its level, or whether there is one."""


class KeyRequest(BaseModel):
    """A finger on a key; the contact bounces so often at both ends."""

    key: Button
    held_ms: int = Field(300, ge=1, le=60_000)
    bounces: int = Field(0, ge=0, le=20)


class BlowRequest(BaseModel):
    """The pendant is hit; `still`: nothing moves afterwards."""

    peak_g: float = Field(ge=0, le=16)
    still: bool = True


class TemperatureRequest(BaseModel):
    """°C in the flat."""

    temp_c: float = Field(ge=-40, le=80)


class DriftRequest(BaseModel):
    """How much too fast the terminal's own clock runs, parts a million."""

    ppm: int = Field(ge=-100_000, le=100_000)


class TearRequest(BaseModel):
    """The power goes after so many bytes of the next flash store."""

    after_bytes: int = Field(ge=0)


def router(fleet: Fleet) -> APIRouter:
    """The endpoints. A terminal or building that is not in the fleet is answered 404."""
    api = APIRouter()
    troubles = Troubles(fleet)

    def some(place: Place, name: str) -> tuple[str, ...]:
        """The terminals of a path. Raises 404 where there are none."""
        if place == "terminals":
            try:
                return (fleet.entry(name).id,)
            except UnknownTerminalError as error:
                raise HTTPException(404, str(error.args[0])) from error
        found = troubles.of_building(int(name)) if name.isdecimal() else ()
        if not found:
            raise HTTPException(404, f"no terminal in building {name!r} of this fleet")
        return found

    @api.post("/terminals/{terminal}/tear")
    async def tear(terminal: str, wanted: TearRequest) -> dict[str, Any]:
        """The power goes in the middle of the next flash store."""
        whom = some("terminals", terminal)
        troubles.tear_next_store(whom[0], wanted.after_bytes)
        return {"terminals": whom}

    _add_hardware(api, troubles, some)

    @api.post("/{place}/{name}/flap")
    async def flap(place: Place, name: str, wanted: FlapRequest) -> dict[str, Any]:
        """Off and on again and again."""
        whom = some(place, name)
        troubles.flap(whom, wanted.what, wanted.times, wanted.every_s)
        return {"terminals": whom}

    @api.post("/{place}/{name}/weather")
    async def set_weather(place: Place, name: str, wanted: WeatherRequest) -> dict[str, Any]:
        """What the radio does from now on."""
        whom = some(place, name)
        try:
            weather = Weather(**wanted.model_dump())
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        troubles.weather(whom, weather)
        return {"terminals": whom}

    @api.post("/{place}/{name}/clock")
    async def move_clock(place: Place, name: str, wanted: ClockRequest) -> dict[str, Any]:
        """The terminals' own clocks."""
        whom = some(place, name)
        troubles.move_clock(whom, wanted.by_s)
        return {"terminals": whom}

    @api.post("/{place}/{name}/battery")
    async def set_battery(place: Place, name: str, wanted: BatteryWish) -> dict[str, Any]:
        """The backup battery: its level, or taken out (`on`: false) and put back."""
        whom = some(place, name)
        if isinstance(wanted, SwitchRequest):
            troubles.switch(whom, "battery", wanted.on)
        else:
            troubles.set_battery(whom, wanted.level_pct)
        return {"terminals": whom}

    @api.post("/{place}/{name}/{what}")
    async def switch(
        place: Place, name: str, what: What, wanted: SwitchRequest
    ) -> dict[str, Any]:
        """Mains, power (with the battery) or network, on or off; a line half-open."""
        whom = some(place, name)
        troubles.switch(whom, what, wanted.on)
        return {"terminals": whom}

    return api


def _add_hardware(
    api: APIRouter, troubles: Troubles, some: Callable[[Place, str], tuple[str, ...]]
) -> None:
    """What is felt by a terminal's own parts: keys, accelerometer, radio, firmware, battery."""

    @api.post("/terminals/{terminal}/key")
    async def key(terminal: str, wanted: KeyRequest) -> dict[str, Any]:
        """A raw key, with bounce: what it means, the firmware decides."""
        whom = some("terminals", terminal)
        troubles.key(whom[0], wanted.key, wanted.held_ms, wanted.bounces)
        return {"terminals": whom}

    @api.post("/terminals/{terminal}/blow")
    async def blow(terminal: str, wanted: BlowRequest) -> dict[str, Any]:
        """A blow on the pendant: a fall, a hard chair, the floor."""
        whom = some("terminals", terminal)
        troubles.impact(whom[0], wanted.peak_g, wanted.still)
        return {"terminals": whom}

    @api.post("/{place}/{name}/link")
    async def link(place: Place, name: str, wanted: LinkRequest) -> dict[str, Any]:
        """The link by its name; 422 lists the names."""
        whom = some(place, name)
        if wanted.profile not in PROFILES:
            raise HTTPException(422, f"profile is one of {', '.join(PROFILES)}")
        troubles.weather(whom, PROFILES[wanted.profile])
        return {"terminals": whom}

    @api.post("/{place}/{name}/hang")
    async def hang(place: Place, name: str) -> dict[str, Any]:
        """The firmware loops until its watchdog bites."""
        whom = some(place, name)
        troubles.hang(whom)
        return {"terminals": whom}

    @api.post("/{place}/{name}/temperature")
    async def temperature(place: Place, name: str, wanted: TemperatureRequest) -> dict[str, Any]:
        """How warm it is in the flats."""
        whom = some(place, name)
        troubles.temperature(whom, wanted.temp_c)
        return {"terminals": whom}

    @api.post("/{place}/{name}/drift")
    async def drift(place: Place, name: str, wanted: DriftRequest) -> dict[str, Any]:
        """The pace of the terminals' own clocks."""
        whom = some(place, name)
        troubles.drift(whom, wanted.ppm)
        return {"terminals": whom}
