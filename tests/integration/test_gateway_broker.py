"""The generated Mosquitto: who gets in, what they may say, how files are kept, how it ends."""

import asyncio
import os
import pwd
import stat
import tempfile
from pathlib import Path

import pytest
from gateway_kit import BROKER_USERS, ServerDouble, Terminal, gateway_running, make_settings
from parts import require

from xunlou.amqtt_broker import allowed
from xunlou.broker import (
    AMQTT_WARNING,
    AmqttBroker,
    Broker,
    BrokerError,
    find_mosquitto,
    login_works,
    make_broker,
)
from xunlou.broker_files import hash_password, write_broker_files
from xunlou.ports import free_port

T = "gd-11-301"


async def test_only_the_right_password_gets_in(broker: Broker) -> None:
    """Hashes made in Python are what Mosquitto checks: right in; wrong, unknown, empty out."""
    assert await login_works(broker.port, T, BROKER_USERS[T])
    assert not await login_works(broker.port, T, BROKER_USERS["gd-11-302"])
    assert not await login_works(broker.port, "gd-99-999", "anything")
    assert not await login_works(broker.port, T, "")


def test_our_hash_has_the_form_of_mosquittos_own(tmp_path: Path) -> None:
    """Same scheme, iterations, salt and hash length as mosquitto_passwd writes."""
    theirs = tmp_path / "theirs"
    program = require("mosquitto_passwd")
    assert os.system(f"{program} -b -c {theirs} someone word") == 0
    kind, iterations, salt, digest = theirs.read_text().strip().split(":")[1].split("$")[1:]
    ours = hash_password("word").split("$")[1:]
    assert ours[:2] == [kind, iterations]
    assert [len(part) for part in ours[2:]] == [len(salt), len(digest)]


async def test_a_terminal_can_neither_speak_nor_listen_for_another(broker: Broker) -> None:
    """301 publishes as 302 and sends itself a command: nothing of it arrives anywhere."""
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)),
        Terminal("gd-11-302", broker.port) as other,
        Terminal(T, broker.port) as terminal,
    ):
        forged = b'{"boot":1,"seq":1}'
        await terminal.send("xunlou/v1/t/gd-11-302/evt/sos", forged)
        await terminal.send("xunlou/v1/t/gd-11-302/cmd", b'{"cmd_id":"x","cmd":"reboot","exp":1}')
        await terminal.send(f"xunlou/v1/t/{T}/cmd", b'{"cmd_id":"x","cmd":"reboot","exp":1}')
        await terminal.send("xunlou/v1/srv/state", b'{"s":"lost","since":0}')
        spying = Terminal("gd-11-302", broker.port, user=T)
        async with spying:
            await other.press(5)
            await other.until(lambda: other.receipts() == [(3, 5)], "the receipt")
            await terminal.press(6)
            await terminal.until(lambda: terminal.receipts() == [(3, 6)], "the receipt")
        assert sorted(double.stored) == [(T, 3, 6), ("gd-11-302", 3, 5)]
        assert spying.receipts() == []
        assert all(topic == "xunlou/v1/srv/state" or body["cmd"] == "receipt"
                   for topic, body in terminal.heard + other.heard)  # fmt: skip


async def test_files_are_private_and_the_listener_is_local(broker: Broker) -> None:
    """0600 in a 0700 directory, no password in the clear, nothing on other addresses."""
    assert stat.S_IMODE(broker.data_dir.stat().st_mode) == 0o700
    for name in ("mosquitto.conf", "passwords", "acl"):
        path = broker.data_dir / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert all(word not in path.read_text() for word in BROKER_USERS.values())
    table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in table if row[3] == "0A"]
    assert [ip for ip, port in listening if int(port, 16) == broker.port] == ["0100007F"]
    v6 = Path("/proc/net/tcp6")
    if v6.exists():
        assert f":{broker.port:04X} " not in v6.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch accounts")
async def test_as_root_the_broker_runs_under_its_own_account_where_it_can() -> None:
    """A reachable data directory: not root, the files its own, and still a child that dies."""
    require("mosquitto")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chmod(name, 0o755)
        running = Broker(Path(name) / "broker", free_port(), BROKER_USERS)
        await running.start()
        try:
            assert running.warnings == []
            assert running.pid is not None
            owner = Path(f"/proc/{running.pid}").stat().st_uid
            assert owner == pwd.getpwnam("mosquitto").pw_uid
        finally:
            await running.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch accounts")
async def test_as_root_in_a_closed_directory_it_stays_root_and_says_so(tmp_path: Path) -> None:
    """Where Mosquitto's account can't get in, it works all the same, with a warning."""
    require("mosquitto")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    running = Broker(closed / "broker", free_port(), BROKER_USERS)
    await running.start()
    try:
        assert "root" in running.warnings[0]
    finally:
        await running.stop()


def test_a_user_name_cannot_break_out_of_its_line(tmp_path: Path) -> None:
    """Names with `+`, a colon or a line break are refused before a file is written."""
    for name in ("+", "a:b", "a\nb", "", "A"):
        with pytest.raises(ValueError, match="user name"):
            write_broker_files(tmp_path / "x", 1883, {name: "word"})
    assert not (tmp_path / "x").exists()


async def test_a_taken_port_is_said_plainly(broker: Broker, tmp_path: Path) -> None:
    """A second broker on the port says so at once instead of talking to the first."""
    second = Broker(tmp_path / "second", broker.port, BROKER_USERS)
    with pytest.raises(BrokerError, match="already in use"):
        await second.start()


def test_amqtt_is_chosen_only_without_mosquitto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """make_broker takes Mosquitto where it is, the stand-in otherwise."""
    monkeypatch.setattr("xunlou.broker.find_mosquitto", lambda: None)
    assert isinstance(make_broker(tmp_path, 1883, BROKER_USERS), AmqttBroker)
    monkeypatch.setattr("xunlou.broker.find_mosquitto", lambda: "/usr/sbin/mosquitto")
    assert isinstance(make_broker(tmp_path, 1883, BROKER_USERS), Broker)


async def test_on_amqtt_a_press_makes_the_round_trip(tmp_path: Path) -> None:
    """The stand-in, MQTT 3.1.1: press, receipt, a command; and a press made while we were away."""
    pytest.importorskip("amqtt")
    broker = AmqttBroker(tmp_path, free_port(), BROKER_USERS)
    await broker.start()
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, mqtt_protocol="3.1.1")
    try:
        assert broker.warnings == [AMQTT_WARNING]
        assert not await login_works(broker.port, T, "wrong")
        async with double.serving(), Terminal(T, broker.port) as terminal:
            async with gateway_running(settings):
                await terminal.press(1)
                await terminal.press(2, "checkin")
                await terminal.until(lambda: len(set(terminal.receipts())) == 2, "receipts")
                payload = {"cmd_id": "c-1", "cmd": "prompt", "exp": 4102444800000}
                double.commands = [{"cmd_id": "c-1", "t": T, "payload": payload}]
                double.changed()
                await double.until(lambda: double.done == ["c-1"], "the command")
            await terminal.press(3)
            async with gateway_running(settings):
                await terminal.until(lambda: (3, 3) in terminal.receipts(), "the third receipt")
    finally:
        await broker.stop()


def test_amqtts_rules_are_the_access_lists() -> None:
    """Own topics only, both ways; the gateway ours and nothing outside."""
    publish, subscribe = "publish", "subscribe"
    cases = [
        (T, f"xunlou/v1/t/{T}/evt/sos", publish, True),
        (T, f"xunlou/v1/t/{T}/cmd", publish, False),
        (T, "xunlou/v1/t/gd-11-302/evt/sos", publish, False),
        (T, "xunlou/v1/srv/state", publish, False),
        (T, "xunlou/v1/srv/state", subscribe, True),
        (T, f"xunlou/v1/t/{T}/cmd", subscribe, True),
        (T, "#", subscribe, False),
        (T, "xunlou/v1/t/+/cmd", subscribe, False),
        ("gateway", "xunlou/v1/t/+/evt/#", subscribe, True),
        ("gateway", "$SYS/broker", subscribe, False),
    ]
    for user, topic, action, expected in cases:
        assert allowed(user, topic, action) is expected, (user, topic, action)  # type: ignore[arg-type]


def test_mosquitto_is_found_outside_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """/usr/sbin is not on an ordinary user's PATH; the broker is found there all the same."""
    require("mosquitto")
    if not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("mosquitto lives elsewhere on this machine")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_mosquitto() == "/usr/sbin/mosquitto"


async def test_the_supervised_broker_leaves_no_process_behind(tmp_path: Path) -> None:
    """After stop() the pid is gone and the port is free."""
    require("mosquitto")
    running = Broker(tmp_path / "b", free_port(), BROKER_USERS)
    await running.start()
    pid = running.pid
    assert pid is not None
    await running.stop()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", running.port)
