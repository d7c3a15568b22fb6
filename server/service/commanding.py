"""Commands for terminals, handed to gateways on a lease."""

from datetime import timedelta
from typing import Any

from server.core.numbers import number_in
from server.database import Tx
from server.service import device_keys, sight
from server.service.house import House
from server.store import commands

LEASE = timedelta(seconds=8)
"""Not confirmed by then: handed out again. A terminal ignores a command it has seen."""


def lease(tx: Tx, house: House, gateway_id: str, limit: int) -> list[dict[str, Any]]:
    """Commands that are due, as the gateway publishes them."""
    sight.heard(tx, gateway_id)
    rows = commands.lease(tx.conn, tx.now, tx.now + tx.real(LEASE), limit)
    return [
        {"cmd_id": f"c-{row['id']}", "t": row["terminal_id"],
         "payload": device_keys.fill(house, row["terminal_id"], row["payload"])}
        for row in rows
    ]  # fmt: skip


def done(tx: Tx, cmd_ids: list[str]) -> None:
    """The broker has these; ids we never gave out are passed over."""
    numbers = [number_in(c[2:]) for c in cmd_ids if c.startswith("c-")]
    commands.published(tx.conn, [n for n in numbers if n is not None])
