"""The broker's door for terminals outside this machine: our own authority, certificates that are
renewed in time, and terminals that let nobody else in its place. Real Mosquitto, real openssl."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_kit import (
    BROKER_USERS,
    ServerDouble,
    Terminal,
    gateway_running,
    make_settings,
)
from parts import require
from pydantic import ValidationError

from firmware_sim.clock import ScaledClock
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker as Where
from firmware_sim.manifest import TerminalEntry
from firmware_sim.wire import Kind
from gateway.app import run
from gateway.counters import Counters
from xunlou import broker_tls
from xunlou.broker import Broker, login_works
from xunlou.broker_tls import Tls, TlsError, ends_in_days, ensure
from xunlou.conformance.exam import Bench, Examiner
from xunlou.doctor import check_certificate
from xunlou.ports import free_port

ME = "gd-11-301"


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker with both doors. It has the bridges' account, so clients choose their ids, as they
    do at the network edition's port 8884."""
    require("mosquitto")
    tls = Tls(tmp_path / "tls", free_port(), ("127.0.0.1",))
    running = Broker(tmp_path / "broker", free_port(), BROKER_USERS, tls=tls)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def fleet_at(broker: Broker, ca: Path) -> Fleet:
    """One simulated terminal that speaks TLS."""
    assert broker.tls is not None
    terminals = [TerminalEntry(ME, BROKER_USERS[ME], 11, "301", 3)]
    where = Where("127.0.0.1", broker.tls.port, ca=str(ca))
    return Fleet(terminals, where, ScaledClock(), connects_per_s=100)


def shown(tls: Tls, name: str = "127.0.0.1") -> bytes:
    """The certificate that the broker shows to whoever comes now, and asks for it by this name."""
    context = ssl.create_default_context(cafile=str(tls.authority))
    with (
        socket.create_connection(("127.0.0.1", tls.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    assert found is not None
    return found


async def test_a_terminal_speaks_over_tls_with_who_it_knows_alone(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The right authority: connected, and the broker takes its press. Another authority, or a name
    that the certificate does not bear: not a byte of MQTT, and so no password, leaves it."""
    assert broker.tls is not None
    other = Tls(tmp_path / "other", 1, ("127.0.0.1",))
    await asyncio.to_thread(ensure, other)
    good, stranger = fleet_at(broker, broker.tls.authority), fleet_at(broker, other.authority)
    await good.start()
    await stranger.start()
    try:
        await good.until(lambda: good.connected == 1, 20)
        good.press(ME, Kind.SOS)
        await good.until(lambda: good.summary().figures.pubacks >= 1, 20)
        async with asyncio.timeout(20):
            while "certificate verify failed" not in caplog.text:
                await asyncio.sleep(0.02)
        assert stranger.connected == 0
        assert good.connected == 1
    finally:
        await good.stop()
        await stranger.stop()
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await asyncio.to_thread(shown, broker.tls, "broker.example.org")


async def test_the_gateway_comes_in_by_tls(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A gateway on another machine: a press and its receipt, fifty check-ins in one lump, and
    nothing at all for a broker of another authority."""
    assert broker.tls is not None
    double = ServerDouble()
    async with double.serving():
        secure = {"mqtt_ca": str(broker.tls.authority)}
        settings = make_settings(double.url, broker.tls.port, **secure)
        async with gateway_running(settings) as counters, Terminal(ME, broker.port) as terminal:
            await terminal.press(1)
            await terminal.until(lambda: terminal.receipts() == [(3, 1)], "the receipt")
            for seq in range(2, 52):
                await terminal.press(seq, "checkin")
            await terminal.until(lambda: len(terminal.receipts()) == 51, "all receipts")
            assert counters.receipts == 51
        stored = len(double.signals)
        other = Tls(tmp_path / "other", 1, ("127.0.0.1",))
        ensure(other)
        wary = make_settings(double.url, broker.tls.port, mqtt_ca=str(other.authority))
        counters, stop = Counters(), asyncio.Event()
        running = asyncio.create_task(run(wary, stop, counters))
        async with Terminal(ME, broker.port) as terminal:
            await terminal.press(90)
            async with asyncio.timeout(30):
                while caplog.text.count("CERTIFICATE_VERIFY_FAILED") < 2:
                    await asyncio.sleep(0.02)
            assert terminal.receipts() == []
        stop.set()
        await running
        assert (counters.reconnects, len(double.signals)) == (0, stored)


def test_an_authority_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    """A path that leads nowhere, or to something else, with the setting's own words."""
    (tmp_path / "note.pem").write_text("the certificate is in the safe")
    for name in ("nowhere.pem", "note.pem"):
        with pytest.raises(ValidationError, match="no readable file of a certificate authority"):
            make_settings("http://127.0.0.1:1", 8883, mqtt_ca=str(tmp_path / name))


async def test_the_door_speaks_tls_only_and_asks_for_a_password(broker: Broker) -> None:
    """Plain MQTT gets no answer at the TLS door; over TLS a wrong password gets a no; the
    examination of real terminals comes in by the same door."""
    tls = broker.tls
    assert tls is not None
    assert not await login_works(tls.port, ME, BROKER_USERS[ME])
    assert await login_works(broker.port, ME, BROKER_USERS[ME])
    wrong = [TerminalEntry(ME, "wrong", 11, "301", 3)]
    fleet = Fleet(wrong, Where("127.0.0.1", tls.port, ca=str(tls.authority)), ScaledClock())
    await fleet.start()
    try:
        await fleet.until(lambda: any("refused" in f for f in fleet.faults), 20)
        assert fleet.connected == 0
    finally:
        await fleet.stop()

    async def nobody(_what: str) -> None:
        """Nobody is asked anything."""

    bench = Bench("127.0.0.1", tls.port, "gateway", BROKER_USERS["gateway"], lambda: 0,
                  ca=str(tls.authority))  # fmt: skip
    async with Examiner(bench, ME, nobody)._connected():
        pass


async def test_a_certificate_is_renewed_while_lines_stay_open(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing while it is good; near its end another one is made, the broker shows it to whoever
    comes, terminals trust it as before, and nobody who is connected is cut off."""
    tls = broker.tls
    assert tls is not None
    first = await asyncio.to_thread(shown, tls)
    assert await asyncio.to_thread(broker.renew) is False
    fleet = fleet_at(broker, tls.authority)
    await fleet.start()
    try:
        await fleet.until(lambda: fleet.connected == 1, 20)
        monkeypatch.setattr(broker_tls, "RENEW_BEFORE_DAYS", broker_tls.SERVER_DAYS + 1)
        assert await asyncio.to_thread(broker.renew) is True
        async with asyncio.timeout(20):
            while await asyncio.to_thread(shown, tls) == first:
                await asyncio.sleep(0.05)
        assert fleet.connected == 1
        assert not any("line" in fault for fault in fleet.faults)
    finally:
        await fleet.stop()
    key = broker.data_dir / "server.key"
    assert key.stat().st_mode & 0o077 == 0
    assert not (broker.data_dir / "ca.key").exists(), "the broker never has the authority's key"


def test_the_authority_stays_and_names_are_checked(tmp_path: Path) -> None:
    """Other names make another certificate under the same authority; what is no name is refused;
    only this machine's own names open no door to others."""
    first = Tls(tmp_path / "tls", 8883, ("10.0.0.5", "broker.example.org"))
    assert ensure(first) is True
    authority, certificate = first.authority.read_text(), first.certificate.read_text()
    assert ensure(first) is False
    second = Tls(tmp_path / "tls", 8883, ("10.0.0.6",))
    assert ensure(second) is True
    assert second.authority.read_text() == authority
    assert second.certificate.read_text() != certificate
    assert (first.bind, Tls(tmp_path, 1, ("localhost",)).bind) == ("", "127.0.0.1")
    for wrong in ("", "a b", "x\nlistener 1", "UPPER", "host:8883", "-x", "DNS:evil,IP"):
        with pytest.raises(TlsError, match="no host name"):
            Tls(tmp_path, 8883, (wrong,))
    for path in (tmp_path / "tls").iterdir():
        if path.suffix == ".key":
            assert path.stat().st_mode & 0o077 == 0
    assert (tmp_path / "tls").stat().st_mode & 0o077 == 0


def test_doctor_tells_of_a_certificate_that_nobody_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No door: nothing to say. Good: how long. Near its end: something keeps it from renewal. An
    authority near its end: visits have to be planned."""
    tls = Tls(tmp_path, 8883, ("10.0.0.5",))
    assert check_certificate(tmp_path).ok
    ensure(tls)
    found = check_certificate(tmp_path)
    assert (found.ok, "397 days" in found.found) == (True, True)
    left = {tls.certificate: 29.0, tls.authority: 5000.0}
    monkeypatch.setattr(broker_tls, "ends_in_days", lambda path: left[path])
    assert "renews it by itself" in check_certificate(tmp_path).advice
    left.update({tls.certificate: 200.0, tls.authority: 300.0})
    assert "plan the visits" in check_certificate(tmp_path).advice
    tls.certificate.write_text("no certificate")
    monkeypatch.setattr(broker_tls, "ends_in_days", ends_in_days)
    assert not check_certificate(tmp_path).ok
