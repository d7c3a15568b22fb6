"""Our own sight: each gateway with its canaries, and when we were blind."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from server import views
from server.api.answers import STAFF
from server.api.deps import RuntimeDep, StaffDep
from server.core import sight as core
from server.service.sight import limits
from server.store import sight as store
from server.tables import to_ms

router = APIRouter(prefix="/api/v1", tags=["feed"], responses=STAFF)


@router.get("/sight")
async def sight(
    runtime: RuntimeDep,
    _staff: StaffDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """Whether we see, through which gateways, and the newest times in which we did not."""
    clock = runtime.clock
    now, real = clock.now(), timedelta(seconds=1) * clock.speed

    def age_s(at: Any) -> float | None:
        return None if at is None else round(max(0.0, (now - at) / real), 1)

    def look(conn: Connection) -> dict[str, Any]:
        trips = store.round_trips(conn)
        return {
            **views.sight(conn, now, clock.speed),
            "gateways": [
                {
                    "id": g.id, "heard_ms": to_ms(g.heard_at), "ails": core.ails(g, now, lims),
                    "canary_every_s": g.every_s, "canary_sos_age_s": age_s(g.sos_at),
                    "canary_bulk_age_s": age_s(g.bulk_at),
                    "canary_returned_age_s": age_s(g.returned_at), "canary_rtt_ms": trips[g.id],
                }
                for g in store.gateways(conn)
            ],
            "blind": [views.blind_interval(row) for row in store.intervals(conn, limit)],
        }  # fmt: skip

    lims = limits(real)
    return await runtime.database.read(look)
