"""The fake's side of the pages of terminals: one of each kind. Fictional persons."""

from collections.abc import Mapping
from typing import Any

from dashboards.reader import ActionRefused

NOW_MS = 1_773_439_800_000  # 2026-03-14 06:10 in Shanghai
COMMON = {"now_ms": NOW_MS, "tz": "Asia/Shanghai"}


def terminal(terminal_id: str, which: str, **more: Any) -> dict[str, Any]:
    """One terminal; one in use is the resident's of 11-301."""
    used = which == "active"
    return {
        "id": terminal_id, "which": which, "simulated": False,
        "resident_id": 901 if used else None, "resident": "何桂芳" if used else None,
        "building": 11 if used else None, "flat": "301" if used else None,
        "status": "online" if used else "unknown", "battery": 87 if used else None,
        "mains": True if used else None, "rssi": -71 if used else None,
        "firmware": "2.4.1" if used else "", "last_seen_ms": NOW_MS - 60_000 if used else None,
        "key": {"version": 1 if used else 0, "state": "offered" if used else None,
                "since_ms": NOW_MS - 60_000 if used else None},
        "rekeys": True, **COMMON, **more,
    }  # fmt: skip


ALL = (
    terminal("gd-11-301", "active"), terminal("gd-stock-1", "stock"),
    terminal("gd-lost-1", "lost"), terminal("gd-old-1", "revoked", simulated=True),
)  # fmt: skip


class TerminalsFake:
    """Implements dashboards.terminals_reader.TerminalsReader."""

    refuse_terminal: ActionRefused | None = None

    def __init__(self) -> None:
        self.terminal_acts: list[tuple[Any, ...]] = []
        self.terminal_words: list[tuple[str, str]] = []

    async def terminals(
        self, user: Any, state: str, words: str,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        self.terminal_words.append((state, words))
        found = [t for t in ALL if state in ("", t["which"]) and words in t["id"]]
        counts = {t["which"]: 1 for t in ALL}
        return {**COMMON, "found": found, "more": words == "gd", "state": state,
                "counts": counts}  # fmt: skip

    async def terminal(self, terminal_id: str) -> Mapping[str, Any] | None:
        return next((t for t in ALL if t["id"] == terminal_id), None)

    async def terminals_enrol(self, user: Any, ids: str, reason: str) -> int:  # noqa: ARG002
        if self.refuse_terminal:
            raise self.refuse_terminal
        self.terminal_acts.append(("enrol", ids, reason))
        return 1

    async def terminal_act(
        self, user: Any, terminal_id: str, action: str, fields: Mapping[str, str],  # noqa: ARG002
    ) -> str:
        if self.refuse_terminal:
            raise self.refuse_terminal
        self.terminal_acts.append((action, terminal_id, dict(fields)))
        return fields["new"] if action == "swap" else terminal_id
