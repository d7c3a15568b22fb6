"""Commands for terminals, handed to gateways on a lease."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import RowMapping

from server.core import retelling
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
    rows = _still_true(tx, commands.lease(tx.conn, tx.now, tx.now + tx.real(LEASE), limit))
    return [
        {"cmd_id": f"c-{row['id']}", "t": row["terminal_id"],
         "payload": device_keys.fill(house, row["terminal_id"], row["payload"])}
        for row in rows
    ]  # fmt: skip


def _still_true(tx: Tx, rows: Sequence[RowMapping]) -> list[RowMapping]:
    """Without what was told before and must not be told again (`retelling`)."""
    told = [row for row in rows if row["result"] == "published" and row["alert_id"] is not None]
    if not told:
        return list(rows)
    alerts = {int(row["alert_id"]) for row in told}
    newest = commands.newest(tx.conn, min(int(row["id"]) for row in told), alerts)
    states = commands.states(tx.conn, alerts)
    over = {
        int(row["id"]) for row in told
        if not retelling.still_true(
            row["payload"]["cmd"], row["id"] in newest, states.get(row["alert_id"])
        )
    }  # fmt: skip
    if over:
        commands.tell_no_more(tx.conn, over)
    return [row for row in rows if row["id"] not in over]


def done(tx: Tx, cmd_ids: list[str]) -> None:
    """The broker has these; ids we never gave out are passed over."""
    numbers = [n for c in cmd_ids if c.startswith("c-") and (n := number_in(c[2:])) is not None]
    again_at = {
        int(row["id"]): at for row in commands.unanswered(tx.conn, numbers)
        if (at := retelling.again_at(row["created_at"], tx.now, row["expires_at"])) is not None
    }  # fmt: skip
    commands.published(tx.conn, numbers, again_at)
