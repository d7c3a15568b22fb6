"""What must follow, in the same transaction, when a call for help did not arrive: the same once
more, another channel, or another person, as the provider's code says."""

import json
import sqlite3
from collections.abc import Callable

from server.core.words import Template
from tests.simulation.engine import Violation, World
from tests.simulation.provider import MOVE_ON, REMEDY, RETRY, RING

CALLS = (Template.SOS, Template.FALL, Template.DUTY, Template.CALL_120, Template.MISSED)
OF_A_CALL = ("busy", "no_answer", "machine", "unheard", "call_failed")
PATIENCE_S = {0: 120, 1: 900}
"""Lane → for how long the same is tried again."""
ONCE_MORE = 1_000_000
Rows = Callable[..., list[sqlite3.Row]]


class Remedies:
    """Judges each loss of a call for help at the commit that records it."""

    def __init__(self, world: World, rows: Rows) -> None:
        self.world, self._rows = world, rows

    def lost(self, message: sqlite3.Row) -> None:
        """It has just failed."""
        if message["alert_id"] is None or message["template"] not in CALLS:
            return
        (alert,) = self._rows("SELECT * FROM alert WHERE id = ?", message["alert_id"])
        if alert["state"] != "open":
            return  # somebody is on the way, or it is over
        code = message["error"]
        remedy = RING if code in OF_A_CALL else REMEDY.get(code or "", MOVE_ON)
        here = self._reachable(message["person_id"])
        if remedy == RETRY and here and self._in_time(message):
            self._insist(self._once_more(message), "a loss that may pass is tried again", message)
        elif remedy == RING and here and not self._both_channels(message):
            self._insist(False, "a loss of one channel is tried by the other", message)
        elif not self._hope(alert):
            self._insist(self._duty_knows(alert), "where nobody is reached the duty is told",
                         message)  # fmt: skip

    @staticmethod
    def _insist(holds: bool, rule: str, message: sqlite3.Row) -> None:
        if not holds:
            raise Violation(f"{rule}: message={message['id']}, error={message['error']}")

    def _reachable(self, person: int) -> bool:
        now = int(self.world.server_s * 1000)
        return not self._rows(
            "SELECT 1 FROM person p LEFT JOIN assignment a ON a.person_id = p.id WHERE p.id = ?"
            " AND (p.opted_out_at IS NOT NULL OR a.absent_until > ?)", person, now,
        )  # fmt: skip

    def _in_time(self, message: sqlite3.Row) -> bool:
        tried_s = (message["tried_at"] or message["created_at"]) / 1000
        return self.world.server_s - tried_s < PATIENCE_S[message["lane"]]

    def _once_more(self, message: sqlite3.Row) -> bool:
        return bool(self._rows(
            "SELECT 1 FROM message WHERE alert_id = ? AND person_id = ? AND step = ? AND channel ="
            " ? AND template = ? AND attempt = ?", message["alert_id"], message["person_id"],
            message["step"], message["channel"], message["template"],
            message["attempt"] + ONCE_MORE,
        ))  # fmt: skip

    def _both_channels(self, message: sqlite3.Row) -> bool:
        marks = ",".join("?" * len(CALLS))
        found = self._rows(
            f"SELECT DISTINCT channel FROM message WHERE alert_id = ? AND person_id = ?"
            f" AND template IN ({marks})", message["alert_id"], message["person_id"],
            *[c.value for c in CALLS],
        )  # fmt: skip
        return len(found) == 2

    def _hope(self, alert: sqlite3.Row) -> bool:
        """Whether a message of this alert has arrived, or is still on its way, to somebody who can
        be reached."""
        people = self._rows("SELECT DISTINCT person_id FROM message WHERE alert_id = ? AND state IN"
                            " ('queued', 'sending', 'sent', 'delivered')", alert["id"])  # fmt: skip
        return any(self._reachable(r["person_id"]) for r in people)

    def _duty_knows(self, alert: sqlite3.Row) -> bool:
        told = self._rows("SELECT 1 FROM message WHERE alert_id = ? AND role = 'duty'", alert["id"])
        return bool(told) or alert["step"] >= len(json.loads(alert["ladder"])["steps"])
