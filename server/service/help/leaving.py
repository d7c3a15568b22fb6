"""Somebody is watched no more: nobody is sent on an errand, or on a visit, to an empty flat."""

from server.database import Tx
from server.service.help import requests, visits
from server.store import help_requests as request_rows
from server.store import visits as visit_rows

WHY = "停止守护 (watched no more)"
MOST = 500


def left(tx: Tx, resident_id: int, *, by: str) -> None:
    """Withdraw what is asked for and drop the visits that are owed; hours and all that was done
    stay as they are."""
    for row in request_rows.listed(tx.conn, "waiting", MOST, resident_id=resident_id):
        requests.withdraw(tx, row["id"], WHY, by=by)
    for row in visit_rows.listed(tx.conn, MOST, owed=True, resident_id=resident_id):
        visits.drop(tx, row["id"], WHY, by=by)
