"""Help that was asked for and can wait. Never an alarm: see `server/core/help_requests.py`."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from server import help_view
from server.api.answers import STAFF
from server.api.changing import Reason, change
from server.api.deps import ActDep, Principal, ReportDep, RuntimeDep, StaffDep, within
from server.api.instants import Day
from server.api.register import Id, Json
from server.core.help_requests import Ending, Source, Want
from server.core.numbers import MOST
from server.database import Tx
from server.runtime import Runtime
from server.service.help import requests
from server.store import assigning
from server.store.help_requests import Which

router = APIRouter(prefix="/api/v1/requests", tags=["services"], responses=STAFF)
Words = Annotated[str, Field(min_length=1, max_length=requests.MOST_WORDS)]
Why = Annotated[str, Field(max_length=requests.MOST_WHY)]
Name = Annotated[str, Field(max_length=requests.MOST_NAME)]
Minutes = Annotated[int, Field(ge=0, le=requests.MOST_MINUTES)]
MOST_DAYS = 366


class Asked(BaseModel):
    """What is wanted, for whom, and by which door it came. `key`: the same again is one request."""

    model_config = ConfigDict(extra="forbid")
    resident_id: Id
    kind: Want
    words: Words
    source: Literal[Source.DESK, Source.PHONE, Source.STEWARD, Source.GREETING] = Source.DESK
    """Who writes it down here is a person; what a terminal asks comes in by its gateway."""
    key: Annotated[str | None, Field(min_length=8, max_length=64)] = None


class Taken(BaseModel):
    """Who sees to it: a contact (`as_person_id`), somebody by `name`, or whoever asks."""

    model_config = ConfigDict(extra="forbid")
    as_person_id: Id | None = None
    name: Name = ""


class HandedOn(Taken):
    """Somebody else sees to it, and why."""

    reason: Reason


class Finished(BaseModel):
    """How it ended. `minutes`: what the helper saves; `payer_id`: whose savings pay for it."""

    model_config = ConfigDict(extra="forbid")
    ending: Ending
    note: Why = ""
    minutes: Minutes = 0
    payer_id: Id | None = None


class Withdrawn(BaseModel):
    """Why nobody wants it any more."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason


class Correction(BaseModel):
    """What is asked for, or for whom, better known."""

    model_config = ConfigDict(extra="forbid")
    kind: Want | None = None
    resident_id: Id | None = None


@router.get("")
async def listed(
    runtime: RuntimeDep,
    staff: StaffDep,
    which: Which = "waiting",
    building: Annotated[int | None, Query(ge=1, le=MOST, description="its number")] = None,
    before: Annotated[int | None, Query(ge=1, le=MOST)] = None,
    limit: Annotated[int, Query(ge=1, le=help_view.MOST)] = help_view.MOST,
) -> Json:
    """Those that wait, the longest overdue first; or closed ones, newest first."""
    now = runtime.clock.now()

    def read(conn: Connection) -> Json:
        house = assigning.building_id_of(conn, building) if building else None
        if building and house is None:
            return {**help_view.common(conn, now, staff.scope), "waiting": 0, "overdue": 0,
                    "requests": []}  # fmt: skip
        return help_view.requests(
            conn, now, staff.scope, which, building_id=house, before=before, limit=limit
        )

    found = await runtime.database.read(read)
    runtime.saw(staff.name, "requests_listed", which=which, building=building)
    return found


@router.get("/figures")
async def figures(
    runtime: RuntimeDep, staff: ReportDep, first: Day | None = None, last: Day | None = None
) -> Json:
    """By kind: how many were asked for on these local days (the last 30), and done in time."""
    now = runtime.clock.now()

    def read(conn: Connection) -> Json:
        end = last or now.astimezone(help_view.zone_of(conn, staff.scope)).date()
        start = first or end - timedelta(days=29)
        if not timedelta(0) <= end - start < timedelta(days=MOST_DAYS):
            raise HTTPException(422, f"`first` to `last` is at most {MOST_DAYS} days, in order")
        return help_view.figures(conn, start, end, now, staff.scope)

    return await runtime.database.read(read)


@router.get("/{request_id}")
async def one(request_id: Id, runtime: RuntimeDep, staff: StaffDep) -> Json:
    """One request with its steps, who could see to it, and whose savings could pay."""
    found = await _told(runtime, request_id)
    runtime.saw(staff.name, "request_looked_at", request_id=request_id)
    return found


async def _told(runtime: Runtime, request_id: int) -> Json:
    now = runtime.clock.now()
    found = await runtime.database.read(lambda c: help_view.request(c, request_id, now))
    if found is None:
        raise HTTPException(404, f"there is no request {request_id}")
    return found


async def _done(runtime: Runtime, request_id: int, run: Any) -> Json:
    await change(runtime, run)
    return await _told(runtime, request_id)


@router.post("", status_code=201)
async def ask(asked: Asked, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Write a request down; its due date follows the kind."""
    await within(runtime, staff, resident_id=asked.resident_id)
    key = f"api:{asked.key}" if asked.key else None

    def run(tx: Tx) -> int:
        return requests.ask(
            tx, want=asked.kind, words=asked.words, source=asked.source, by=staff.name,
            resident_id=asked.resident_id, key=key,
        )  # fmt: skip

    return await _told(runtime, await change(runtime, run))


@router.patch("/{request_id}")
async def correct(
    request_id: Id, correction: Correction, runtime: RuntimeDep, staff: ActDep
) -> Json:
    """Another kind (the due date follows), or the resident of one that named no door."""
    await within(runtime, staff, resident_id=correction.resident_id)
    return await _done(runtime, request_id, lambda tx: requests.correct(
        tx, request_id, by=staff.name, want=correction.kind, resident_id=correction.resident_id
    ))  # fmt: skip


async def _may_name(runtime: Runtime, staff: Principal, person_id: int | None) -> None:
    await within(runtime, staff, person_id=person_id)


@router.post("/{request_id}/take")
async def take(request_id: Id, taken: Taken, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Somebody sees to it."""
    await _may_name(runtime, staff, taken.as_person_id)

    def run(tx: Tx) -> None:
        helper = requests.helper_of(tx, taken.as_person_id, taken.name, staff.name)
        requests.take(tx, request_id, helper, by=staff.name)

    return await _done(runtime, request_id, run)


@router.post("/{request_id}/hand-on")
async def hand_on(request_id: Id, given: HandedOn, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Somebody else sees to it from now on."""
    await _may_name(runtime, staff, given.as_person_id)

    def run(tx: Tx) -> None:
        helper = requests.helper_of(tx, given.as_person_id, given.name, staff.name)
        requests.hand_on(tx, request_id, helper, given.reason, by=staff.name)

    return await _done(runtime, request_id, run)


@router.post("/{request_id}/done")
async def done(request_id: Id, end: Finished, runtime: RuntimeDep, staff: ActDep) -> Json:
    """It was dealt with."""
    await _may_name(runtime, staff, end.payer_id)
    return await _done(runtime, request_id, lambda tx: requests.finish(
        tx, request_id, end.ending, end.note, by=staff.name, minutes=end.minutes,
        payer_id=end.payer_id,
    ))  # fmt: skip


@router.post("/{request_id}/withdraw")
async def withdraw(request_id: Id, end: Withdrawn, runtime: RuntimeDep, staff: ActDep) -> Json:
    """Nobody wants it any more."""
    return await _done(runtime, request_id, lambda tx: requests.withdraw(
        tx, request_id, end.reason, by=staff.name
    ))  # fmt: skip
