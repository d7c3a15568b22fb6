"""Troubles over HTTP, under /sim: power, lines, radio, clocks, batteries of terminals or buildings.

For testers and scenarios; part of the simulator only.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from firmware_sim.fleet import Fleet
from firmware_sim.node import UnknownTerminalError
from firmware_sim.troubles import Troubles, What
from firmware_sim.weather import LONGEST_S, Weather

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


class ClockRequest(BaseModel):
    """The terminal's own clock jumps; null: it forgets the time."""

    by_s: float | None


class BatteryRequest(BaseModel):
    """The backup battery's level, per cent."""

    level_pct: float = Field(ge=0, le=100)


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
        troubles.weather(whom, Weather(**wanted.model_dump()))
        return {"terminals": whom}

    @api.post("/{place}/{name}/clock")
    async def move_clock(place: Place, name: str, wanted: ClockRequest) -> dict[str, Any]:
        """The terminals' own clocks."""
        whom = some(place, name)
        troubles.move_clock(whom, wanted.by_s)
        return {"terminals": whom}

    @api.post("/{place}/{name}/battery")
    async def set_battery(place: Place, name: str, wanted: BatteryRequest) -> dict[str, Any]:
        """The backup battery's level."""
        whom = some(place, name)
        troubles.set_battery(whom, wanted.level_pct)
        return {"terminals": whom}

    @api.post("/{place}/{name}/{what}")
    async def switch(
        place: Place, name: str, what: What, wanted: SwitchRequest
    ) -> dict[str, Any]:
        """Mains, power (battery too) or network, on or off; a line half-open."""
        whom = some(place, name)
        troubles.switch(whom, what, wanted.on)
        return {"terminals": whom}

    return api
