"""The part of the pages' Reader that keeps terminals, over the server's use-cases."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from dashboards.reader import ActionRefused, User
from dashboards.server_help import GONE, ServerHelp
from server import terminals_view
from server.core.access import EVERYWHERE, Scope
from server.core.words import TerminalState
from server.database import Tx
from server.service import device_keys, moving, terminals
from server.service.history import Via
from server.store import people, scopes

Json = Mapping[str, Any]
ID: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
LEAST_REASON: Final = 2


def _why(text: str) -> str:
    """A reason on one line. Raises ActionRefused without one."""
    why = "".join(c for c in " ".join(text.split()) if c.isprintable())[:200]
    if len(why) < LEAST_REASON:
        raise ActionRefused({"zh": "请写明原因。", "en": "Say why."})
    return why


def _ids(text: str) -> list[str]:
    """The ids of a carton, in any order and with any stops between. Raises ActionRefused."""
    found = [word for word in re.split(r"[\s,;，；、]+", text) if word]
    wrong = next((word for word in found if ID.fullmatch(word) is None), None)
    if wrong is not None:
        raise ActionRefused({
            "zh": f"“{wrong[:40]}”不是终端编号:只用小写字母、数字和连字符,最多32个。",
            "en": f"“{wrong[:40]}” is no id: small letters, digits and hyphens, 32 at most.",
        })  # fmt: skip
    if not found:
        raise ActionRefused({"zh": "请填写终端编号。", "en": "Write the terminals' ids."})
    return found


class ServerTerminals(ServerHelp):
    """Implements dashboards.terminals_reader.TerminalsReader."""

    async def terminals(self, user: User, state: str, words: str) -> Json:
        """The list."""
        now, scope = self._runtime.clock.now(), user.scope or EVERYWHERE
        return await self._runtime.database.read(
            lambda c: terminals_view.listed(c, now, scope, state, words)
        )

    async def terminal(self, terminal_id: str) -> Json | None:
        """One terminal."""
        now = self._runtime.clock.now()
        found = await self._runtime.database.read(
            lambda c: terminals_view.detail(c, now, terminal_id)
        )
        return {**found, "rekeys": bool(self._runtime.house.terminal_secret)} if found else None

    async def terminals_enrol(self, user: User, ids: str, reason: str) -> int:
        """Into the stock."""
        found, why = _ids(ids), _why(reason)
        new = await self._of_help(
            lambda tx: terminals.enrol(tx, found, who=user.name, why=why)
        )
        return len(new)

    async def terminal_act(
        self, user: User, terminal_id: str, action: str, fields: Mapping[str, str]
    ) -> str:
        """What a form says."""
        why, scope = _why(fields.get("reason", "")), user.scope or EVERYWHERE
        return await self._of_help(
            lambda tx: self._act(tx, user, scope, terminal_id, action, fields, why)
        )

    def _act(
        self, tx: Tx, user: User, scope: Scope, terminal_id: str, action: str,
        fields: Mapping[str, str], why: str,
    ) -> str:
        house, own = self._runtime.house, {"who": user.name, "why": why}
        # Looked up again, where it is changed: since the form was opened it may be another's.
        _shown(tx.conn, scope, terminal_id)
        match action:
            case "assign":
                resident_id = self._meant(tx.conn, user, {"place": fields.get("place", "")})
                self._free_only(tx, terminal_id)
                moving.assign_terminal(tx, house, terminal_id, resident_id, via=Via.FORM, **own)
            case "free":
                moving.assign_terminal(tx, house, terminal_id, None, via=Via.FORM, **own)
            case "swap":
                new = fields.get("new", "").strip()
                _shown(tx.conn, scope, new)
                terminals.swap(tx, house, terminal_id, new, via=Via.FORM, **own)
                return new
            case "key":
                terminals.demand_scope(tx, scope, terminal_id)
                device_keys.offer(tx, house, terminal_id, **own)
            case _:
                terminals.demand_scope(tx, scope, terminal_id)
                state = TerminalState(action)
                terminals.set_state(tx, house, terminal_id, state, via=Via.FORM, **own)
        return terminal_id

    @staticmethod
    def _free_only(tx: Tx, terminal_id: str) -> None:
        """The form gives out what is nobody's; it takes nothing off anybody unseen."""
        row = people.terminal(tx.conn, terminal_id)
        if row is not None and row["resident_id"] is not None:
            raise ActionRefused({
                "zh": "这台终端已登记给住户,请刷新页面。",
                "en": "This terminal is somebody's by now; load the page again.",
            })  # fmt: skip


def _shown(conn: Connection, scope: Scope, terminal_id: str) -> None:
    """It is in the asker's sight. Raises ActionRefused."""
    if ID.fullmatch(terminal_id) is None or people.terminal(conn, terminal_id) is None:
        raise ActionRefused(GONE)
    houses = scopes.houses_of(conn, "terminal_id", terminal_id)
    if houses is not None and not any(scope.shows(h) for h in houses):
        raise ActionRefused(GONE)
