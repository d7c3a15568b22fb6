"""What is known of our own sight: gateways, their canaries, and the intervals we were blind."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select, update

from server import tables as t
from server.core.sight import Gateway
from server.store.signals import held, insert

GATEWAY, INTERVAL = t.table(t.Gateway), t.table(t.BlindInterval)
NOW = 1
"""The mark of the one interval that is not drained yet."""

_GATEWAY = select(GATEWAY).where(GATEWAY.c.id == bindparam("gateway_id"))


def gateways(conn: Connection) -> list[Gateway]:
    """Every gateway ever heard, as the rules see it."""
    return [_to_core(row) for row in conn.execute(select(GATEWAY)).mappings()]


def gateway(conn: Connection, gateway_id: str) -> Gateway | None:
    """One gateway; None when it was never heard."""
    row = conn.execute(_GATEWAY, {"gateway_id": gateway_id}).mappings().first()
    return _to_core(row) if row is not None else None


def hold_gateway(conn: Connection, gateway_id: str, *, wait: bool) -> Gateway | None:
    """The newest state of a gateway's row, ours to write until the transaction ends. None when
    another of its batches is writing it and we don't `wait`."""
    query = select(GATEWAY).where(GATEWAY.c.id == gateway_id)
    row = conn.execute(held(conn, query, skip=not wait)).mappings().first()
    return _to_core(row) if row is not None else None


def _to_core(row: RowMapping) -> Gateway:
    return Gateway(
        id=row["id"], heard_at=row["last_heard_at"], resumed_at=row["resumed_at"],
        every_s=row["canary_every_s"], sos_at=row["canary_sos_at"],
        bulk_at=row["canary_bulk_at"], returned_at=row["canary_returned_at"],
    )  # fmt: skip


def put_gateway(conn: Connection, gateway_id: str, **values: Any) -> None:
    """Create or change a gateway's row."""
    statement = insert(conn, GATEWAY).values(id=gateway_id, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def set_gateway(conn: Connection, gateway_id: str, **values: Any) -> None:
    """Change a known gateway's row."""
    conn.execute(update(GATEWAY).where(GATEWAY.c.id == gateway_id).values(**values))


def round_trips(conn: Connection) -> dict[str, int | None]:
    """The newest round trip of each gateway's canary, in ms."""
    query = select(GATEWAY.c.id, GATEWAY.c.canary_rtt_ms)
    return {row[0]: row[1] for row in conn.execute(query)}


def current(conn: Connection) -> RowMapping | None:
    """The outage that lasts, or whose queue is still coming in."""
    query = select(INTERVAL).where(INTERVAL.c.current == NOW)
    return conn.execute(query).mappings().first()


def begin(conn: Connection, started_at: datetime, part: str) -> None:
    """Note that we are blind since `started_at`; no second row while one is open."""
    conn.execute(
        insert(conn, INTERVAL)
        .values(current=NOW, started_at=started_at, parts=[part])
        .on_conflict_do_nothing()
    )


def change(conn: Connection, interval_id: int, **values: Any) -> None:
    """Change an interval's row."""
    conn.execute(update(INTERVAL).where(INTERVAL.c.id == interval_id).values(**values))


def intervals(conn: Connection, limit: int) -> Sequence[RowMapping]:
    """The newest outages, newest first."""
    query = select(INTERVAL).order_by(INTERVAL.c.id.desc()).limit(limit)
    return conn.execute(query).mappings().all()
