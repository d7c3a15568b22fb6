"""Whether the process lives, and whether it can do its work.

Two answers, because two kinds of asker act on them. Who restarts us or sends us traffic looks at
the status code: 503 means that a press sent here now would not be stored. Who watches looks at the
body: `degraded` means that presses are stored and something behind them is stuck. That is no 503:
two servers share one outbox, and taking both out of service would lose the presses as well.
"""

import logging
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Connection, select

from server.api.deps import RuntimeDep
from server.auditor import PATIENCE
from server.store import outbox, overdue, signals
from server.store.communities import COMMUNITY

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A press would not be stored"}})
async def readyz(runtime: RuntimeDep, response: Response) -> dict[str, Any]:
    """Database read and written, register, gateways, SMS, and what is overdue; 503 while a press
    would not be stored."""
    now = runtime.clock.now()
    patience: timedelta = PATIENCE * runtime.clock.speed

    def look(conn: Connection) -> dict[str, Any]:
        heard = [g["last_heard_at"] for g in signals.gateways(conn)]
        oldest = outbox.oldest_queued(conn)
        stuck = overdue.stuck(conn, now - patience)
        if overdue.blind(conn):  # then nobody is judged, on purpose
            stuck = tuple(s for s in stuck if s != overdue.ROUNDS)
        return {
            "database": "ok",
            "register": "ok" if conn.execute(select(COMMUNITY.c.id)).first() else "empty",
            "gateway_heard_s": round((now - max(heard)).total_seconds(), 1) if heard else None,
            "sms": "ok" if runtime.settings.has_sms else "no account",
            "outbox_age_s": max(0, round((now - oldest).total_seconds(), 1)) if oldest else 0,
            "overdue": list(stuck),
        }

    try:
        seen = await runtime.database.read(look)
    except Exception:
        log.exception("the database can't be read")
        response.status_code = 503
        return {"status": "unavailable", "database": "can't be read"}
    trouble = await runtime.probe.look(runtime.database)
    if trouble is not None:
        response.status_code = 503
        return {"status": "unavailable", **seen, "database": f"can't be written: {trouble}"}
    return {"status": "degraded" if seen["overdue"] else "ok", **seen}
