"""Terminals as things: enrolled in batches, given a state, swapped for another.

A terminal that is lost or revoked belongs to nobody: what it says is kept apart, and a press on it
is shown to staff, because somebody may be in need wherever it is. Only a revoked one loses its
account at the broker. Whoever loses a terminal by this stays watched: a round they can't answer
brings their stewards to the door.
"""

from collections.abc import Sequence

from server import tables as t
from server.core.access import Scope
from server.core.device_key import NO_TERMINALS
from server.core.words import Fault, TerminalState
from server.database import Tx
from server.service import history, moving, parents, raising
from server.service.history import Via
from server.service.house import House
from server.service.refusals import Beyond, Refused, Unknown
from server.store import alerts, journal, people
from server.store import register as store

MOST_AT_ONCE = 500
DEVICE_FAULTS = (
    Fault.OFFLINE, Fault.MAINS_LOST, Fault.BATTERY_LOW, Fault.BATTERY_SOON, Fault.TAMPER,
    Fault.TERMINAL_LEFT_BEHIND,
)  # fmt: skip


def enrol(tx: Tx, ids: Sequence[str], *, who: str, why: str) -> list[str]:
    """Register new terminals that belong to nobody yet. Those that are registered are left as
    they are, so a batch can be sent again; returns the new ones."""
    if len(ids) > MOST_AT_ONCE:
        raise Refused(f"at most {MOST_AT_ONCE} at once; send the rest in a second batch",
                      zh=f"一次最多{MOST_AT_ONCE}台,请分批。")  # fmt: skip
    if taken := NO_TERMINALS.intersection(ids):
        name = min(taken)
        raise Refused(f"no terminal can be called {name!r}: it is an account of the broker's",
                      zh=f"终端不能叫{name}:这是系统自己的账号。")  # fmt: skip
    known = {row["id"] for row in store.terminals(tx.conn, set(ids))}
    new = [terminal for terminal in dict.fromkeys(ids) if terminal not in known]
    rows = [
        {"id": terminal, "resident_id": None, "state": TerminalState.ACTIVE.value,
         "status": "unknown", "boot": 0, "firmware": "", "heartbeat_s": 900}
        for terminal in new
    ]  # fmt: skip
    store.add(tx.conn, t.Terminal, rows)
    if new:
        journal.note(tx, "terminals_enrolled", terminals=new, by=who, why=why)
    return new


def demand_scope(tx: Tx, scope: Scope, terminal_id: str) -> None:
    """A terminal that is nobody's lies in the office's stock, which is one for all houses: what
    becomes of it is not for the account of one building, though it may give one to its residents.
    One that somebody has is looked for in the scope before. Raises Beyond."""
    row = people.terminal(tx.conn, terminal_id)
    if row is None or row["resident_id"] is not None or scope.wide:
        return
    raise Beyond(
        f"terminal {terminal_id} is nobody's, so it belongs to the stock of all houses: ask "
        "somebody whose account is for the whole community",
        zh=f"终端{terminal_id}没有登记给住户,属于全社区的库存:请让管辖全社区的账号来办。",
    )


def set_state(
    tx: Tx, house: House, terminal_id: str, state: TerminalState, *, who: str, why: str,
    via: str = Via.API,
) -> None:
    """Revoke a terminal, note that it is lost, or take it back into service (as nobody's).
    Raises Unknown, or Refused while a press of it is open."""
    terminal = people.terminal(tx.conn, terminal_id)
    if terminal is None:
        raise Unknown(f"there is no terminal {terminal_id!r}; look in /api/v1/terminals")
    if terminal["state"] == state:
        return
    whose = terminal["resident_id"]
    if state is not TerminalState.ACTIVE:
        subjects = [f"sos:{whose}", f"sos:terminal:{terminal_id}"]
        if open_sos := alerts.open_by_subject(tx.conn, subjects):
            number = next(iter(open_sos.values())).id
            raise Refused(f"SOS {number} of this terminal is open: resolve it first",
                          zh=f"这台终端的求助{number}尚未了结,请先了结。")  # fmt: skip
        for fault in DEVICE_FAULTS:
            raising.fault_over(tx, house, fault, [terminal_id])
    people.set_terminal(
        tx.conn, terminal_id, state=state.value, resident_id=None, heartbeat_due_at=None,
        mains_due_at=None,
    )  # fmt: skip
    parents.bridges_back(tx, [terminal_id])
    if whose is not None:
        history.note(
            tx, f"resident:{whose}", {"terminal": (terminal_id, None)}, who=who, why=why, via=via
        )
    door = people.resident(tx.conn, whose) if whose is not None else None
    place = {} if door is None else {k: door[k] for k in ("building_id", "flat_id")}
    journal.note(
        tx, "terminal_state", **place, terminal=terminal_id, was=terminal["state"],
        now=state.value, resident_id=whose, by=who, why=why,
    )  # fmt: skip


def swap(
    tx: Tx, house: House, old: str, new: str, *, who: str, why: str, via: str = Via.API
) -> int:
    """Another terminal takes the place of `old`, which is revoked; returns whose it is. Raises
    Unknown, or Refused where `old` is nobody's or `new` is somebody's."""
    row, fresh = people.terminal(tx.conn, old), people.terminal(tx.conn, new)
    if row is None or fresh is None:
        missing = old if row is None else new
        raise Unknown(f"there is no terminal {missing!r}; enrol it first")
    if row["resident_id"] is None:
        raise Refused(f"terminal {old} is nobody's; assign {new} to the resident instead",
                      zh=f"终端{old}没有登记给住户,请直接登记新终端。")  # fmt: skip
    if fresh["resident_id"] is not None:
        raise Refused(f"terminal {new} is resident {fresh['resident_id']}'s; take another",
                      zh=f"终端{new}已登记给别的住户。")  # fmt: skip
    resident_id = int(row["resident_id"])
    set_state(tx, house, old, TerminalState.REVOKED, who=who, why=why, via=via)
    moving.assign_terminal(tx, house, new, resident_id, who=who, why=why, via=via)
    return resident_id
