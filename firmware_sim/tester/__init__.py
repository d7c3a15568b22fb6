"""The tester's page: press, cut, move the clock, and watch, in a frame that says SIMULATION.

Part of the simulator's process, and there only when it was started with `--switches`. The server
has no such page: with `XUNLOU_SIM_URL` set its `/sim` leads here, without it there is no `/sim`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from firmware_sim.clock import FASTEST
from firmware_sim.fleet import Fleet
from firmware_sim.phones.rest import exchange_of
from firmware_sim.switches import CantSwitch, Switches

HERE: Final = Path(__file__).parent
DAY_S: Final = 86_400
MOST_TEXTS: Final = 60


class ClockWish(BaseModel):
    """Jump forward by `by_s` virtual seconds, run at `speed` from here, or both."""

    by_s: float = Field(0, ge=0, le=DAY_S)
    speed: float | None = Field(None, gt=0, le=FASTEST)


class BrokerWish(BaseModel):
    """False: the broker is killed and kept down."""

    on: bool


def add(app: FastAPI, fleet: Fleet, switches: Switches) -> None:
    """Put the page and the switches of the whole house on the phones' application."""
    app.include_router(_router(fleet, switches))
    app.mount("/sim/static", StaticFiles(directory=HERE / "static"), name="tester")


def _router(fleet: Fleet, switches: Switches) -> APIRouter:
    api = APIRouter(prefix="/sim")

    @api.get("", include_in_schema=False)
    async def page() -> FileResponse:
        """The page; its script asks the endpoints beside it."""
        return FileResponse(HERE / "tester.html", headers={"Cache-Control": "no-store"})

    @api.get("/house")
    async def house() -> dict[str, Any]:
        """The clock, the broker, and how the fleet is."""
        states = [fleet.state(entry.id) for entry in fleet.terminals]
        return {
            "now_ms": fleet.clock.now_ms(),
            "speed": fleet.clock.speed,
            "clock_moves": switches.clock_moves,
            "broker_on": not switches.broker_off,
            "terminals": len(states),
            "connected": fleet.connected,
            "dark": sum(state is None for state in states),
            "calling": sum(state is not None and state.alarm is not None for state in states),
            "buildings": sorted({entry.building for entry in fleet.terminals}),
        }

    @api.post("/clock")
    async def clock(wish: ClockWish) -> dict[str, Any]:
        """The time of server, terminals and phones. Never back: the past has happened."""
        try:
            switches.move_clock(wish.by_s, wish.speed)
        except CantSwitch as error:
            raise HTTPException(409, str(error)) from error
        return {"now_ms": fleet.clock.now_ms(), "speed": fleet.clock.speed}

    @api.post("/broker")
    async def broker(wish: BrokerWish) -> dict[str, Any]:
        """Broker gone, or back."""
        try:
            switches.set_broker(wish.on)
        except CantSwitch as error:
            raise HTTPException(409, str(error)) from error
        return {"broker_on": not switches.broker_off}

    @api.get("/texts")
    async def texts(
        request: Request,
        building: int | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_TEXTS)] = MOST_TEXTS,
    ) -> dict[str, Any]:
        """The newest texts on the phones, of one building's people or of everybody."""
        ledger = exchange_of(request).ledger
        found = [
            {
                "number": number,
                "name": entry.name,
                "role": entry.role,
                "building": entry.building,
                "from_phone": message.direction == "inbound",
                "body": message.body,
                "status": message.status,
                "at_ms": int((message.sent_s or message.created_s) * 1000),
            }
            for number in ledger.active_numbers()
            if (entry := ledger.entry(number)) and building in (None, entry.building)
            for message in ledger.on_phone(number)[-limit:]
        ]
        found.sort(key=lambda text: int(str(text["at_ms"])), reverse=True)
        return {"texts": found[:limit]}

    return api
