"""`xunlou up`: the embedded edition for real, in one directory."""

import asyncio
import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from server.app import FIRST_LOGIN
from server.core.device_key import NO_TERMINALS
from server.settings import Settings
from xunlou.account import first_login
from xunlou.broker import BrokerError, find_mosquitto
from xunlou.broker_files import DEVICES_USER
from xunlou.broker_tls import Tls
from xunlou.embedded import Embedded, Place, prepare, terminal_users
from xunlou.keys import Keys, write_private
from xunlou.sample import guangdan
from xunlou.seed import NotEmpty
from xunlou.stopping import stop_on_signals
from xunlou.supervise import Supervisor
from xunlou.upgrading import upgrade


def account_files(users: Mapping[str, str]) -> dict[str, str]:
    """The files by which passwords reach devices, from all accounts of the broker. Whoever sets up
    terminals gets theirs and no other: the gateway's opens every topic and is in no file but
    `secrets.env`, and that of other makers' bridges is in one of its own."""
    def lines(names: Iterable[str]) -> str:
        return "".join(f"{name},{users[name]}\n" for name in names)

    files = {"terminals.csv": lines(name for name in users if name not in NO_TERMINALS)}
    if DEVICES_USER in users:
        files["devices.csv"] = lines([DEVICES_USER])
    return files


async def run(
    directory: Path, port: int, mqtt_port: int, *, sample: bool, tls_names: Sequence[str] = (),
    tls_port: int = 8883,
) -> None:
    """Run until Ctrl-C. `tls_names`: under which terminals outside this machine reach the broker;
    none: it has no door for them. Raises CannotStart, BrokerError or TlsError."""
    if find_mosquitto() is None:
        # The demo's stand-in keeps nothing over a restart: never for real residents.
        raise BrokerError("Mosquitto is not installed: apt install mosquitto")
    stop = stop_on_signals()
    directory = directory.resolve()
    keys = Keys.kept(directory / "secrets.env")
    public_url = os.environ.get("XUNLOU_PUBLIC_URL", "")
    tls = Tls(directory / "tls", tls_port, tuple(tls_names)) if tls_names else None
    place = Place(directory, port, mqtt_port, keys, public_url=public_url, tls=tls)
    upgrade(place.database_url, directory / "backups", datetime.now(UTC), print)
    with contextlib.suppress(NotEmpty):
        prepare(place, guangdan() if sample else None)
    # At once: it is in the database now and nowhere else, and what follows may fail.
    if (first := first_login(Settings(database_url=place.database_url))) is not None:
        print(FIRST_LOGIN.format(first=first), flush=True)
    users = terminal_users(place)

    def write_accounts(users: Mapping[str, str]) -> None:
        for name, lines in account_files(users).items():
            write_private(directory / name, lines)

    write_accounts(users)
    async with Supervisor(directory / "log") as supervisor:
        embedded = Embedded(place, supervisor)
        await embedded.start()
        for warning in embedded.warnings:
            print(f"! {warning}")
        print(f"巡楼 Xunlou: {place.url}/wall")
        if tls is not None:
            print(f"TLS for terminals: port {tls.port}, as {', '.join(tls.names)}")
            print(f"each needs {tls.authority} (SHA-256 {tls.fingerprint})")
        if len(users) == 1:
            print("The register is empty. To look around: xunlou up --sample (in a new --data)")
        keeping = [
            asyncio.create_task(embedded.keep_accounts(write_accounts)),
            asyncio.create_task(embedded.keep_certificate()),
        ]
        await stop.wait()
        for task in keeping:
            task.cancel()
