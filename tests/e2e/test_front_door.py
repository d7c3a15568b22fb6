"""The other commands of `xunlou`."""

import re
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.e2e.running import FREE, once, running
from tests.parts import require
from xunlou.ports import free_port


def test_up_keeps_its_data_and_its_secrets(tmp_path: Path) -> None:
    """The embedded edition for real: a second start finds the register and the login again."""
    require("mosquitto")
    port, mqtt_port = str(free_port()), str(free_port())
    words = ("up", "--port", port, "--mqtt-port", mqtt_port, "--sample")
    secrets = []
    for _ in range(2):
        with running(tmp_path, *words) as up:
            up.until_printed("/wall")
            kept = dict(
                line.split("=", 1)
                for line in (tmp_path / "data" / "secrets.env").read_text().splitlines()
            )
            secrets.append(kept)
            token = {"Authorization": f"Bearer {kept['api_token']}"}
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/residents", headers=token)
            assert len(answer.json()["residents"]) > 350
            code, seconds = up.stop()
            assert (code, seconds < 3) == (0, True), up.errors()
            assert up.family() == []
    assert secrets[0] == secrets[1]
    told = (tmp_path / "data" / "terminals.csv").read_text()
    assert "gateway" not in told
    assert secrets[0]["mqtt_gateway_password"] not in told, "it opens every topic"
    for name in ("secrets.env", "terminals.csv"):
        assert (tmp_path / "data" / name).stat().st_mode & 0o077 == 0


def test_up_says_which_port_is_taken(tmp_path: Path) -> None:
    """A port in use is named, with what to do. The first administrator is told all the same: the
    next start has made them already."""
    require("mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = once(tmp_path, "up", "--port", port, "--mqtt-port", str(free_port()))
        assert run.returncode == 2
        assert f"port {port} is in use" in run.stderr
        assert "--port" in run.stderr
        assert "admin  /  " in run.stdout
        run = once(tmp_path, "up", "--port", str(free_port()), "--mqtt-port", port)
        assert run.returncode == 2
        assert f"port {port} is already in use" in run.stderr


def test_db_upgrade_makes_the_schema_and_says_so(tmp_path: Path) -> None:
    """From nothing to the newest revision; a second time changes nothing."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    first = once(tmp_path, "db", "upgrade", XUNLOU_DATABASE_URL=url)
    assert re.fullmatch(r"database: empty → \d{4}\n", first.stdout), first.stderr
    tables = sqlite3.connect(tmp_path / "x.db").execute("select name from sqlite_master").fetchall()
    assert ("resident",) in tables
    again = once(tmp_path, "db", "upgrade", XUNLOU_DATABASE_URL=url)
    assert again.returncode == 0


@pytest.mark.parametrize(
    ("command", "environment", "advice"),
    [
        ("serve", {}, "XUNLOU_SECRET"),
        ("serve", {"XUNLOU_SECRET": "x" * 20}, "XUNLOU_GATEWAY_TOKEN"),
        ("serve", {"XUNLOU_SECRET": "x" * 20, "XUNLOU_GATEWAY_TOKEN": "t"}, "xunlou db upgrade"),
        ("serve", {"XUNLOU_PORT": "many"}, "XUNLOU_PORT"),
        ("gateway", {}, "XUNLOU_GATEWAY_TOKEN"),
    ],
)
def test_a_missing_setting_is_named(
    tmp_path: Path, command: str, environment: dict[str, str], advice: str
) -> None:
    """A part that can't start says which setting it wants, in one line, with exit code 2."""
    run = once(tmp_path, command, **environment)
    assert run.returncode == 2
    assert advice in run.stderr
    assert "Traceback" not in run.stderr


def test_the_doctor_says_what_to_do_about_each(tmp_path: Path) -> None:
    """On a bare machine: database, SMS and all the rest, each with advice; exit code 1."""
    run = once(tmp_path, "doctor", XUNLOU_DATABASE_URL=f"sqlite:///{tmp_path / 'none.db'}")
    assert run.returncode == 1
    for word in ("broker", "database", "sms", "clock", "time zone"):
        assert word in run.stdout
    assert "xunlou db upgrade" in run.stdout
    assert "TWILIO_ACCOUNT_SID" in run.stdout
    demo_time = once(tmp_path, "doctor", XUNLOU_CLOCK="1,2,3")
    assert "unset XUNLOU_CLOCK" in demo_time.stdout


def test_the_doctor_finds_a_watched_house_healthy(tmp_path: Path) -> None:
    """Broker, database, notes, SMS account, clock, zone and community of a running edition are in
    order."""
    require("mosquitto")
    with running(tmp_path, "demo", *FREE, "--sos-per-hour", "0", "--start", "now",
                 "--speed", "1") as demo:  # fmt: skip
        demo.until_printed("Ctrl-C")
        sim = next(
            Path(f"/proc/{pid}/environ").read_bytes().decode()
            for pid in demo.family()
            if b"gateway" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        settings = dict(line.split("=", 1) for line in sim.split("\0") if "=" in line)
        wanted = {k: v for k, v in settings.items() if k.startswith(("XUNLOU_", "TWILIO_"))}
        run = once(tmp_path, "doctor", **{**wanted, "XUNLOU_CLOCK": ""})
        assert run.returncode == 0, run.stdout
        assert run.stdout.count("ok  ") == 7
        wrong = once(tmp_path, "doctor", **{**wanted, "TWILIO_AUTH_TOKEN": "wrong",
                                            "XUNLOU_MQTT_PASSWORD": "wrong"})  # fmt: skip
        assert "does not let gateway in: wrong name or password" in wrong.stdout
        assert "check TWILIO_ACCOUNT_SID" in wrong.stdout
        demo.stop()


def test_accounts_from_the_shell(tmp_path: Path) -> None:
    """Made, listed, reset, closed and opened; a token made and revoked; what is wrong is said in
    one line. Passwords and tokens are printed once and stand nowhere else."""
    url = {"XUNLOU_DATABASE_URL": f"sqlite:///{tmp_path / 'x.db'}", "XUNLOU_SECRET": "x" * 20,
           "XUNLOU_ARGON2_MEMORY_KIB": "32"}  # fmt: skip
    assert once(tmp_path, "db", "upgrade", **url).returncode == 0
    made = once(tmp_path, "account", "add", "mai", "--role", "administrator", **url)
    printed = re.search(r"mai  /  ([a-z-]+)", made.stdout)
    assert printed is not None, made.stderr
    token = once(tmp_path, "account", "token", "figures", "--right", "report", **url)
    secret = token.stdout.split()[0]
    assert secret.startswith("xl_")
    listed = once(tmp_path, "account", "list", **url).stdout
    assert re.search(r"mai +administrator +all", listed)
    assert "figures" in listed
    last = once(tmp_path, "account", "close", "mai", **url)
    assert (last.returncode, "last administrator" in last.stderr) == (2, True)
    nowhere = once(tmp_path, "account", "add", "b1", "--scope", "building", "--place", "9", **url)
    assert "no building '9'" in nowhere.stderr
    again = once(tmp_path, "account", "reset", "mai", **url)
    assert printed[1] not in again.stdout
    kept = (tmp_path / "x.db").read_bytes()
    for word in (printed[1], secret):
        assert word.encode() not in kept
