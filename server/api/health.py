"""Whether the process lives, and whether it can do its work."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import Connection, select

from server.api.deps import RuntimeDep
from server.store import outbox, signals
from server.store.people import COMMUNITY

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(runtime: RuntimeDep, response: Response) -> dict[str, Any]:
    """Database readable, register loaded, a gateway heard; 503 while the database is not."""
    now = runtime.clock.now()

    def look(conn: Connection) -> dict[str, Any]:
        heard = [g["last_heard_at"] for g in signals.gateways(conn)]
        oldest = outbox.oldest_queued(conn)
        return {
            "database": "ok",
            "register": "ok" if conn.execute(select(COMMUNITY.c.id)).first() else "empty",
            "gateway_heard_s": round((now - max(heard)).total_seconds(), 1) if heard else None,
            "sms": "ok" if runtime.settings.has_sms else "no account",
            "outbox_age_s": round((now - oldest).total_seconds(), 1) if oldest else 0,
        }

    try:
        return {"status": "ok", **await runtime.database.read(look)}
    except Exception:  # noqa: BLE001 (whatever ails the database, the answer is the same)
        response.status_code = 503
        return {"status": "unavailable", "database": "can't be read"}
