"""`xunlou broker accounts`: the broker's accounts, as the register has them now.

In the network edition a process of its own follows the register and keeps the password file; the
broker reads it anew by itself (deploy/mosquitto.sh). Neither can touch the other. It must never
leave half a file, nor replace one while it can't read the register.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Connection, Engine, create_engine, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from server import tables as t
from server.clock import Clock
from server.core import device_key
from server.core.words import TerminalState
from server.settings import Settings
from xunlou.broker_files import DEVICES_USER, GATEWAY_USER, write_passwords

logger = logging.getLogger(__name__)
EVERY_S = 2.0
ASKED_WITHIN_S = 10
LOOKED = "looked"
"""A file beside the passwords, touched at each look that went well: for a health check."""


def versions_of(conn: Connection, now: datetime) -> dict[str, int]:
    """The version of its password that is in force now, of each terminal that is not revoked."""
    terminal = t.table(t.Terminal)
    listed = select(
        terminal.c.id, terminal.c.key_v, terminal.c.key_next, terminal.c.key_state,
        terminal.c.key_at,
    ).where(terminal.c.state != TerminalState.REVOKED)  # fmt: skip
    return {
        row.id: device_key.in_force(
            device_key.Standing(
                row.key_v, row.key_next,
                device_key.KeyState(row.key_state) if row.key_state else None, row.key_at,
            ),
            now,
        )
        for row in conn.execute(listed.order_by(terminal.c.id))
    }  # fmt: skip


def passwords_of(
    versions: Mapping[str, int], secret: str, gateway_password: str, *, bridges: bool
) -> dict[str, str]:
    """All accounts: the terminals', the gateway's and, with `bridges`, that of other makers'."""
    every = {**versions, DEVICES_USER: 0} if bridges else versions
    passwords = {i: device_key.password(secret, i, v) for i, v in every.items()}
    return {**passwords, GATEWAY_USER: gateway_password}


def lines_by_hand(file: Path) -> dict[str, str]:
    """`name:hash` lines of a password file that somebody made. Raises ValueError."""
    try:
        lines = [line for line in file.read_text("ascii").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} can't be read as a password file: {error}") from None
    pairs = [line.partition(":") for line in lines]
    if any(not hashed.startswith("$") for _, _, hashed in pairs):
        raise ValueError(f"{file} is no password file of mosquitto_passwd's")
    return {name: hashed for name, _, hashed in pairs}


def _required(secret: SecretStr | None, name: str) -> str:
    value = secret.get_secret_value() if secret is not None else ""
    if not value:
        raise ValueError(f"{name} is not set: without it no account can be made")
    return value


class Accounts:
    """Reads the register; asks nothing of the database but that, and gives up a hung one."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        """Raises ValueError with the setting that is missing."""
        self._secret = _required(settings.terminal_secret, "XUNLOU_TERMINAL_SECRET")
        own = SecretStr(environment.get("XUNLOU_MQTT_PASSWORD", ""))
        self._gateway = _required(own, "XUNLOU_MQTT_PASSWORD")
        self._bridges = bool(environment.get("XUNLOU_DEVICES_FILE"))
        self._clock = Clock.parse(settings.clock)
        self._engine = _engine(settings.database_url)

    def versions(self) -> dict[str, int]:
        """By terminal. Raises SQLAlchemyError."""
        with self._engine.connect() as conn:
            return versions_of(conn, self._clock.now())

    def passwords(self, versions: Mapping[str, int]) -> dict[str, str]:
        """In the clear."""
        return passwords_of(versions, self._secret, self._gateway, bridges=self._bridges)


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        return create_engine(url)
    words = f"-c statement_timeout={ASKED_WITHIN_S}s -c default_transaction_read_only=on"
    return create_engine(
        url, pool_size=1, max_overflow=0, pool_pre_ping=True,
        connect_args={"connect_timeout": ASKED_WITHIN_S, "options": words},
    )  # fmt: skip


class Follower:
    """Keeps the password file in `folder`. `by_hand`: hashes of terminals that were set up before
    anybody followed the register; each holds until its terminal gets another password."""

    def __init__(self, accounts: Accounts, folder: Path, by_hand: Mapping[str, str]) -> None:
        self._accounts = accounts
        self._folder = folder
        self._by_hand = by_hand
        self._written: dict[str, int] | None = None  # unknown: what lies there has other salts

    def look(self) -> bool:
        """Write the file if the register has changed since; whether it did. Raises SQLAlchemyError
        or OSError, and then what was there stays."""
        versions = self._accounts.versions()
        changed = versions != self._written
        if changed:
            old = {i: h for i, h in self._by_hand.items() if versions.get(i) == 0}
            write_passwords(self._folder, None, self._accounts.passwords(versions), old)
            self._written = versions
        (self._folder / LOOKED).touch()
        return changed

    def follow(self, stop: threading.Event, every_s: float = EVERY_S) -> None:
        """Look again and again until `stop`."""
        well = True
        while True:
            try:
                if self.look():
                    logger.info("broker accounts written")
                if not well:
                    logger.info("the register can be read again")
                well = True
            except (SQLAlchemyError, OSError) as error:  # not there yet, restored, disk full
                if well:
                    logger.warning("the broker's accounts wait: %s", type(error).__name__)
                well = False
            if stop.wait(every_s):
                return


def run(args: argparse.Namespace) -> int:
    """Print the passwords for whoever sets terminals up, or write the broker's file."""
    accounts = Accounts(Settings(), os.environ)
    by_hand = lines_by_hand(args.by_hand) if args.by_hand is not None else {}
    if args.into is None:
        if args.follow:
            raise ValueError("--follow needs --into DIRECTORY")
        versions = accounts.versions()
        names = [DEVICES_USER] if args.bridges else list(versions)
        passwords = accounts.passwords(versions)
        for name in names:
            if name in passwords and not (name in by_hand and versions[name] == 0):
                sys.stdout.write(f"{name},{passwords[name]}\n")
        return 0
    if not args.into.is_dir():
        raise ValueError(f"there is no directory {args.into}; make it, for the broker's account")
    follower = Follower(accounts, args.into, by_hand)
    if not args.follow:
        follower.look()
        return 0
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    follower.follow(stop)
    return 0
