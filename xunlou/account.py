"""`xunlou account …`: accounts and tokens from the shell of the machine.

For the first administrator, for whoever has locked themselves out, and for scripts. Whoever may run
it can read the database anyway. Prints a one-time password or a token once; it is kept nowhere.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

from server.app import locks_of
from server.clock import Clock
from server.database import Database, Tx
from server.service import account_keeping as keeping
from server.service.refusals import Refused, Unknown
from server.settings import Settings
from server.store import accounts, scopes

T = TypeVar("T")
SHELL = keeping.Keeper("shell")


def write(settings: Settings, change: Callable[[Tx], T]) -> T:
    """Run a change on the settings' database."""
    database = Database(settings.database_url, Clock.parse(settings.clock))
    try:
        return database.transact(change)[0]
    finally:
        database.close()


def first_login(settings: Settings) -> str | None:
    """The first administrator's name and one-time password; None when there is one already."""
    locks = locks_of(settings)
    return write(settings, lambda tx: keeping.first_administrator(tx, locks))


def _id(conn: Connection, username: str) -> int:
    row = accounts.by_username(conn, username.strip().lower())
    if row is None:
        raise ValueError(f"there is no account {username}; see: xunlou account list")
    return int(row["id"])


def _list(tx: Tx) -> list[str]:
    def where(row: Any) -> str:
        name = scopes.place_name(tx.conn, row["scope_level"], row["scope_id"])
        return f"{row['scope_level']} {name}".strip()

    lines = [
        f"{r['username']:<20} {r['role']:<14} {where(r):<16}"
        + (" closed" if r["disabled_at"] else "")
        + (" one-time password" if r["password_until"] else "")
        + (" second factor" if r["totp_on"] else "")
        for r in accounts.everyone(tx.conn)
    ]
    lines += [
        f"token {r['id']:<5} {r['name']:<20} {','.join(r['rights'])} {where(r)}"
        + (" revoked" if r["revoked_at"] else "")
        for r in accounts.tokens(tx.conn)
    ]
    return lines


def _act(tx: Tx, new: keeping.OneTime, args: argparse.Namespace) -> list[str]:
    def once(username: str, password: str) -> list[str]:
        return [f"{username}  /  {password}", "one-time: to be changed at the first login"]

    match args.action:
        case "list":
            return _list(tx)
        case "add":
            _, password = keeping.make(
                tx, new, SHELL, username=args.username, name=args.name, role=args.role,
                level=args.scope, place_name=args.place,
            )  # fmt: skip
            return once(args.username, password)
        case "reset":
            account_id = _id(tx.conn, args.username)
            return once(args.username, keeping.reset(tx, new, SHELL, account_id))
        case "close" | "open":
            keeping.switch(tx, SHELL, _id(tx.conn, args.username), on=args.action == "open")
        case "regrade":
            account_id = _id(tx.conn, args.username)
            keeping.regrade(tx, SHELL, account_id, args.role, args.scope, args.place)
        case "token":
            return [
                keeping.make_token(tx, SHELL, name=args.name, rights=args.right, level=args.scope,
                                   place_name=args.place),
                "shown this once; send it as: Authorization: Bearer <token>",
            ]  # fmt: skip
        case "revoke":
            keeping.revoke_token(tx, SHELL, args.id)
    return ["done"]


def run(args: argparse.Namespace, database_url: str) -> int:
    """Do it and print what came of it. Raises ValueError with what to do instead."""
    settings = Settings(database_url=database_url)
    # Before the transaction: nobody's press waits for a hash.
    new = keeping.one_time(locks_of(settings))
    try:
        lines = write(settings, lambda tx: _act(tx, new, args))
    except (Refused, Unknown) as error:
        raise ValueError(str(error)) from error
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0
