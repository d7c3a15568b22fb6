"""A report as a table for a spreadsheet: UTF-8 with a byte order mark, because Excel reads Chinese
only then. No cell may be taken for a formula. docs/pages.md lists the columns (tested)."""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from dashboards.houses import Names, cell

COLUMNS: Final = (
    "from", "to", "scope", "sos", "sos_tests", "told_n", "told_of", "told_p50_s", "told_p95_s",
    "accepted_n", "accepted_of", "accepted_p50_s", "accepted_p95_s", "door_n", "door_of",
    "door_p50_s", "door_p95_s", "closed", "open", "safe", "helped", "ambulance", "false_alarm",
    "other", "rounds_held", "checkins_owed", "checkins_in_time", "checkins_late", "looked_after",
    "not_settled", "worklists_closed", "worklists", "worklist_p50_s", "worklist_p95_s", "sms",
    "sms_delivered", "sms_failed", "sms_pending", "sms_p50_s", "sms_p95_s", "terminals",
    "terminal_offline_s", "terminal_uptime",
)  # fmt: skip
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


def safe(value: object) -> object:
    """A text that a spreadsheet could run gets an apostrophe before it; figures stay figures."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _seconds(value: float | None) -> object:
    return "" if value is None else round(value, 1)


def _row(report: Mapping[str, Any], scope: str, f: Mapping[str, Any]) -> list[object]:
    def spans(name: str) -> list[object]:
        t = f[name]
        return [t["n"], t["of"], _seconds(t["p50_s"]), _seconds(t["p95_s"])]

    rounds, sms, up = f["rounds"], f["sms"], f["uptime"]
    outcomes = ("safe", "helped", "ambulance", "false_alarm", "other")
    return [
        report["first"], report["last"], scope, f["alarms"], f["tests"],
        *spans("told"), *spans("accepted"), *spans("door"), f["closed"], f["open"],
        *(f["outcomes"].get(o, 0) for o in outcomes),
        rounds["held"], rounds["owed"], rounds["checked"], rounds["late"], rounds["found"],
        rounds["open"], *spans("worklists"),
        sms["of"], sms["delivered"], sms["failed"], sms["pending"], _seconds(sms["p50_s"]),
        _seconds(sms["p95_s"]),
        up["terminals"], _seconds(up["offline_s"]),
        "" if up["share"] is None else round(up["share"], 5),
    ]  # fmt: skip


def as_csv(report: Mapping[str, Any], names: Names | None = None) -> bytes:
    """One line for the community (or all in sight; none for a report of one building), one for each
    building: its number on the wall, behind its community's name where there are several."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    lines = [(str(cell(b["number"], names or {})), b["figures"]) for b in report["buildings"]]
    if report["number"] is None:
        lines.insert(0, (report["community"], report["figures"]))
    for scope, figures in lines:
        writer.writerow([safe(cell) for cell in _row(report, scope, figures)])
    return out.getvalue().encode("utf-8-sig")
