"""The reckoning at the end of a headless run: what was pressed, kept, told, answered; what was
lost or doubled. Compares three books that know nothing of each other: the simulator's, the
server's and the SMS provider's."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
HELD_BACK = frozenset({"queued", "cancelled"})
"""Messages that never left are not missed at the provider."""


@dataclass(frozen=True, slots=True)
class Books:
    """The three books. `sim`: GET /sim/summary. `journal`, `alerts`, `messages`: the server's.
    `provider`: the provider's messages and calls out to people."""

    sim: Json
    journal: Sequence[Json]
    alerts: Sequence[Json]
    messages: Sequence[Json]
    provider: Sequence[Json]


def reckon(books: Books) -> dict[str, Any]:
    """The summary line. `lost` and `doubled` are 0 in a run where all went well."""
    pressed = {(p["t"], p["boot"], p["seq"]) for p in books.sim["identities"]}
    stored = Counter(
        (e["data"]["terminal"], e["data"]["boot"], e["data"]["seq"])
        for e in books.journal
        if e["kind"] == "signal"
    )
    sos = [a for a in books.alerts if a["kind"] == "sos"]
    alarmed = Counter(
        (e["data"]["terminal"], e["data"]["boot"], e["data"]["seq"])
        for e in books.journal
        if e["kind"] == "alert_opened" and "boot" in e["data"]
    )
    sent = [m for m in books.messages if m["state"] not in HELD_BACK and m["provider_id"]]
    at_provider = Counter(m["sid"] for m in books.provider)
    told = {m["alert_id"] for m in sent}
    unreceipted = [p for p in books.sim["identities"] if not p["receipt_ms"]]
    lost = (
        books.sim["lost"]
        + len(pressed - stored.keys())
        + len(unreceipted)
        + sum(1 for a in books.alerts if a["kind"] != "fault" and a["id"] not in told)
        + sum(1 for m in sent if m["provider_id"] not in at_provider)
    )
    doubled = (
        _extra(stored.values())
        + _extra(alarmed.values())
        + max(0, len(books.provider) - len(sent))
    )
    return {
        "presses": len(pressed),
        "receipts": sum(1 for p in books.sim["identities"] if p["receipt_ms"]),
        "checkins": books.sim["checkins"],
        "alerts": len(sos) + sum(1 for a in books.alerts if a["kind"] == "missed"),
        "sos": len(sos),
        "missed": sum(1 for a in books.alerts if a["kind"] == "missed"),
        "faults": sum(1 for a in books.alerts if a["kind"] == "fault"),
        "messages": len(books.provider),
        "calls": sum(1 for m in books.provider if m["sid"].startswith("CA")),
        "accepted": sum(1 for e in books.journal if e["kind"] == "accepted"),
        "on_scene": sum(1 for e in books.journal if e["kind"] == "arrived"),
        "resolved": sum(1 for a in books.alerts if a["kind"] != "fault" and a["resolved_ms"]),
        "open": sum(1 for a in books.alerts if a["kind"] != "fault" and not a["resolved_ms"]),
        "resent": books.sim["resent"],
        "lost": lost,
        "doubled": doubled,
    }


def _extra(counts: Iterable[int]) -> int:
    return sum(n - 1 for n in counts)


def settled(books: Books) -> bool:
    """Whether nothing is under way any more: every press receipted, every message recorded."""
    return all(p["receipt_ms"] for p in books.sim["identities"]) and all(
        m["state"] not in ("queued", "sending") for m in books.messages
    )
