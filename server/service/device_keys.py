"""Terminals' passwords changed over the air, one terminal at a time, without a visit.

The password itself is nowhere in the database: a command names its version, and it is filled in
when the command leaves (`commanding.lease`).
"""

from datetime import timedelta

from server.core import device_key as core
from server.core.device_key import KeyState
from server.core.words import TerminalState
from server.database import Tx
from server.service.house import House
from server.service.refusals import Refused, Unknown
from server.store import commands, journal, people
from server.tables import to_ms

LIFE = timedelta(hours=1)
"""A terminal that is not there now is asked again by whoever looks after it."""


def offer(tx: Tx, house: House, terminal_id: str, *, who: str, why: str) -> int:
    """Give a terminal another password; returns its version. Again while it was only offered is as
    good as once. Raises Unknown, or Refused where we don't make its passwords or one is on its way.
    """
    row = people.terminal(tx.conn, terminal_id)
    if row is None:
        raise Unknown(f"there is no terminal {terminal_id!r}; look in /api/v1/terminals")
    if not house.terminal_secret:
        raise Refused("terminals' passwords are not made here: change them where the broker's "
                      "accounts are kept", zh="终端密码不由本系统管理。")  # fmt: skip
    if row["state"] != TerminalState.ACTIVE:
        raise Refused(f"terminal {terminal_id} is {row['state']}; set it active first",
                      zh=f"终端{terminal_id}已停用或丢失,请先恢复使用。")  # fmt: skip
    if row["key_state"] == KeyState.STORED:
        raise Refused("it has stored a new password and is about to use it; wait until it is back",
                      zh="终端正在更换密码,请稍候。")  # fmt: skip
    version = int(row["key_v"]) + 1
    expires_at = tx.now + LIFE
    commands.add(
        tx.conn, terminal_id=terminal_id, alert_id=None,
        payload={"cmd": "key", "exp": to_ms(expires_at), "key_v": version},
        created_at=tx.now, expires_at=expires_at, due_at=tx.now,
    )  # fmt: skip
    tx.wake("commands")
    _stands(tx, terminal_id, KeyState.OFFERED, version)
    journal.note(tx, "terminal_key_offered", terminal=terminal_id, version=version, by=who, why=why)
    return version


def fill(house: House, terminal_id: str, payload: dict[str, object]) -> dict[str, object]:
    """A command as it leaves: with the password, where it is about one."""
    if payload.get("cmd") != "key":
        return payload
    version = payload["key_v"]
    assert isinstance(version, int)
    return {**payload, "key": core.password(house.terminal_secret, terminal_id, version)}


def answered(tx: Tx, terminal_id: str, command_id: int, result: str) -> None:
    """A terminal's word on the command that offered it a password."""
    version = commands.key_offered(tx.conn, terminal_id, command_id)
    row = people.terminal(tx.conn, terminal_id) if version is not None else None
    if row is None or row["key_state"] != KeyState.OFFERED or row["key_next"] != version:
        return
    if result in ("received", "shown"):
        _stands(tx, terminal_id, KeyState.STORED, version)
        journal.note(tx, "terminal_key_stored", terminal=terminal_id, version=version)
    elif result == "failed":
        # Older firmware: it keeps the password that it has, and staff see it.
        _stands(tx, terminal_id, KeyState.REFUSED, None)
        journal.note(tx, "terminal_key_refused", terminal=terminal_id, firmware=row["firmware"])


def in_use(tx: Tx, terminal_id: str, version: int) -> None:
    """A terminal has connected with the password of this version."""
    row = people.terminal(tx.conn, terminal_id)
    if row is None or row["key_next"] != version:
        return
    people.set_terminal(tx.conn, terminal_id, key_v=version)
    _stands(tx, terminal_id, None, None)
    journal.note(tx, "terminal_key_changed", terminal=terminal_id, version=version)


def _stands(tx: Tx, terminal_id: str, state: KeyState | None, version: int | None) -> None:
    people.set_terminal(
        tx.conn, terminal_id, key_state=state.value if state else None, key_next=version,
        key_at=tx.now,
    )
