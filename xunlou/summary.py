"""The reckoning at the end of a headless run: what was pressed, kept, told, answered; what was
lost or doubled. Compares three books that know nothing of each other: the simulator's, the
server's and the SMS provider's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Identity = tuple[str, int, int]
"""Terminal, boot, sequence number: one event of a terminal (docs/contract.md)."""
HELD_BACK = frozenset({"queued", "cancelled"})
"""Messages that never left are not missed at the provider."""


@dataclass(frozen=True, slots=True)
class Books:
    """The three books. `sim`: GET /sim/summary. `journal`, `alerts`, `messages`: the server's.
    `provider`: the provider's messages and calls out to people. `moved`: a message was queued, sent
    or answered while they were read, so that one book may know what another does not yet."""

    sim: Json
    journal: Sequence[Json]
    alerts: Sequence[Json]
    messages: Sequence[Json]
    provider: Sequence[Json]
    moved: bool = False


def reckon(books: Books) -> dict[str, Any]:
    """The summary line. `lost` and `doubled` are 0 in a run where all went well."""
    pressed = _pressed(books)
    sos = [a for a in books.alerts if a["kind"] == "sos"]
    lost, doubled = _lost(books), _doubled(books)
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
        "lost": len(lost),
        "doubled": len(doubled),
        **({"wrong": lost + doubled} if lost or doubled else {}),
    }


def _pressed(books: Books) -> set[Identity]:
    return {(p["t"], p["boot"], p["seq"]) for p in books.sim["identities"]}


def _noted(books: Books, kind: str) -> Counter[Identity]:
    """How often the journal has an entry of the kind for each event of a terminal."""
    return Counter(
        (e["data"]["terminal"], e["data"]["boot"], e["data"]["seq"])
        for e in books.journal
        if e["kind"] == kind and "boot" in e["data"]
    )


def _sent(books: Books) -> list[Json]:
    return [m for m in books.messages if m["state"] not in HELD_BACK and m["provider_id"]]


def _lost(books: Books) -> list[str]:
    """What one book has and the next one should, in words."""
    stored = _noted(books, "signal")
    sent = _sent(books)
    told = {m["alert_id"] for m in sent}
    at_provider = {m["sid"] for m in books.provider}
    return [
        *(["given up by its terminal"] * books.sim["lost"]),
        *(f"{_words(p)}: not in the journal" for p in sorted(_pressed(books) - stored.keys())),
        *(
            f"{_words((p['t'], p['boot'], p['seq']))}: no receipt"
            for p in books.sim["identities"]
            if not p["receipt_ms"]
        ),
        *(
            f"alert {a['id']}: nobody was told"
            for a in books.alerts
            if a["kind"] != "fault" and a["id"] not in told
        ),
        *(
            f"message {m['id']}: sent, and the provider does not know it"
            for m in sent
            if m["provider_id"] not in at_provider
        ),
    ]


def _doubled(books: Books) -> list[str]:
    """What a book has once too often, or that no other knows of, in words."""
    more = max(0, len(books.provider) - len(_sent(books)))
    return [
        *(f"{what}: in the journal twice" for what in _extra(_noted(books, "signal"))),
        *(f"{what}: alarmed twice" for what in _extra(_noted(books, "alert_opened"))),
        *(["at the provider, and not among the messages sent"] * more),
    ]


def _extra(counts: Counter[Identity]) -> list[str]:
    return [_words(what) for what, n in sorted(counts.items()) for _ in range(n - 1)]


def _words(identity: Identity) -> str:
    t, boot, seq = identity
    return f"{t} {boot}/{seq}"


def settled(books: Books) -> bool:
    """Whether nothing is under way any more: the books were read in a quiet moment, every press is
    receipted and every message recorded."""
    return (
        not books.moved
        and all(p["receipt_ms"] for p in books.sim["identities"])
        and all(m["state"] not in ("queued", "sending") for m in books.messages)
    )
