"""A press on its way to the server and its receipt on the way back, with everything well."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import (
    BROKER_USERS,
    ServerDouble,
    Tap,
    Terminal,
    Watch,
    gateway_running,
    make_settings,
)  # fmt: skip
from parts import require

from xunlou.broker import Broker

GOLDEN = Path(__file__).parent.parent / "golden"
T = "gd-11-301"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("event_type", ["sos", "checkin"])
async def test_a_press_is_stored_then_receipted_then_acked(
    broker: Broker, protocol: str, event_type: str
) -> None:
    """The order that keeps people safe: POST, answer, receipt, PUBACK; in both lanes."""
    double = ServerDouble()
    async with (
        double.serving(),
        Tap(broker.port, double.timeline) as tap,
        gateway_running(make_settings(double.url, tap.port, mqtt_protocol=protocol)) as counters,
        Terminal(T, broker.port) as terminal,
    ):
        await terminal.until(lambda: terminal.states()[-1:] == ["online"], "the state is online")
        double.timeline.clear()
        await terminal.press(17, event_type, ts=1760000000000, bat=87, mains=True)
        await terminal.until(lambda: terminal.receipts() == [(3, 17)], "the receipt")
        lane = "sos" if event_type == "sos" else "bulk"

        def steps() -> list[str]:
            # The other lane acks its copy of an SOS whenever it likes; and on 3.1.1 the SOS lane
            # hears, and acks, its own word on the state topic before there is any press.
            own = [step for step in double.timeline if not step.startswith(other)]
            return own[own.index("post") :]

        other = "bulk" if lane == "sos" else "sos"
        await double.until(lambda: steps()[-1] == f"{lane} puback", "the PUBACK")
        assert steps() == ["post", "answer", f"{lane} receipt", f"{lane} puback"]
        [signal] = double.signals
        assert signal.pop("held_ms") >= 0
        assert signal == {
            "t": T, "type": event_type, "boot": 3, "seq": 17,
            "ts": 1760000000000, "bat": 87, "mains": True,
        }  # fmt: skip
        assert counters.receipts == 1


async def test_every_golden_message_reaches_the_server_as_what_it_is(broker: Broker) -> None:
    """Each kind arrives in a list of its own; unknown fields stay behind."""
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)),
        Terminal(T, broker.port) as terminal,
    ):
        golden = {
            name: json.loads((GOLDEN / f"{name}.json").read_text())
            for name in ("events", "heartbeats", "statuses", "cmd_acks")
        }
        for examples in golden.values():
            for example in examples:
                await terminal.send(example["topic"], json.dumps(example["payload"]).encode())
        await double.until(
            lambda: (
                len(double.stored) == len({e["payload"]["seq"] for e in golden["events"]})
                and len(double.statuses) == len(golden["statuses"])
                and len(double.cmd_acks) == len(golden["cmd_acks"])
                and bool(double.heartbeats)
            ),
            "all golden messages",
        )
        assert [s["s"] for s in double.statuses] == ["online"] * 4 + ["lost"]
        assert [a["result"] for a in double.cmd_acks] == ["received", "shown", "failed", "expired"]
        assert not double.rejects
        assert all("colour" not in signal for signal in double.signals)


async def test_a_duplicate_gets_a_fresh_receipt_and_no_second_effect(broker: Broker) -> None:
    """Three sendings of one press: each receipted with its own cmd_id, stored once."""
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port) as terminal,
    ):
        for attempt in (1, 2, 2):
            await terminal.press(17, attempt=attempt)
        await terminal.until(lambda: len(terminal.receipts()) == 3, "three receipts")
        cmd_ids = {body["cmd_id"] for topic, body in terminal.heard if topic.endswith("/cmd")}
        assert len(cmd_ids) == 3
        assert list(double.stored) == [(T, 3, 17)]
        assert counters.duplicates == 2


async def test_out_of_order_events_pass_as_they_come(broker: Broker) -> None:
    """The gateway judges no sequence: an old buffered event after a new one is passed on."""
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)),
        Terminal(T, broker.port) as terminal,
    ):
        for seq in (30, 12, 29):
            await terminal.press(seq, "checkin", buffered=seq == 12)
        await terminal.until(lambda: len(terminal.receipts()) == 3, "three receipts")
        assert [signal["seq"] for signal in double.signals] == [30, 12, 29]


async def test_an_unknown_terminal_is_acked_without_a_receipt(broker: Broker) -> None:
    """`quarantined` tells the terminal nothing, and does not block the queue either."""
    double = ServerDouble()
    double.unknown = {T}
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port) as stranger,
        Terminal("gd-11-302", broker.port) as known,
    ):
        await stranger.press(1)
        await known.press(1)
        await known.until(lambda: known.receipts() == [(3, 1)], "the known one's receipt")
        await double.until(lambda: counters.pubacks >= 4, "both acked in both sessions")
        assert counters.quarantined == 1
        assert stranger.receipts() == []


async def test_an_sos_overtakes_a_full_bulk_queue(broker: Broker) -> None:
    """1,500 check-ins wait behind a slow server; the SOS is answered while all of them wait."""
    double = ServerDouble()
    open_bulk = asyncio.Event()

    async def slow_for_routine(body: dict[str, Any]) -> None:
        if any(signal["type"] == "checkin" for signal in body.get("signals", [])):
            await open_bulk.wait()

    double.hold = slow_for_routine
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port) as busy,
        Terminal("gd-11-302", broker.port) as needy,
    ):
        for seq in range(1500):
            busy._client.publish(
                f"xunlou/v1/t/{T}/evt/checkin", json.dumps({"boot": 1, "seq": seq}), qos=1
            )
        await double.until(lambda: counters.received >= 1500, "the gateway holds the check-ins")
        await needy.press(1)
        await needy.until(lambda: needy.receipts() == [(3, 1)], "the SOS's receipt", 3)
        assert list(double.stored) == [("gd-11-302", 3, 1)]
        open_bulk.set()
        await double.until(lambda: len(double.stored) == 1501, "the rest", 20)
        assert max(double.batches) <= 500


async def test_a_hung_sos_post_does_not_hold_up_the_next_persons(broker: Broker) -> None:
    """While one SOS POST hangs at the server, another terminal's SOS is answered."""
    double = ServerDouble()
    release = asyncio.Event()

    async def hang_for_first(body: dict[str, Any]) -> None:
        if any(signal["t"] == T for signal in body.get("signals", [])):
            await release.wait()

    double.hold = hang_for_first
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)),
        Terminal(T, broker.port) as first,
        Terminal("gd-11-302", broker.port) as second,
    ):
        await first.press(1)
        await double.until(lambda: double.tries == 1, "the first POST hangs")
        await second.press(1)
        await second.until(lambda: second.receipts() == [(3, 1)], "the second's receipt", 3)
        release.set()
        await first.until(lambda: first.receipts() == [(3, 1)], "the first's receipt")


async def test_a_press_from_the_command_line_tool_is_carried(broker: Broker) -> None:
    """mosquitto_pub, a client of another make, is heard like any terminal."""
    program = require("mosquitto_pub")
    double = ServerDouble()
    async with double.serving(), gateway_running(make_settings(double.url, broker.port)):
        process = await asyncio.create_subprocess_exec(
            program, "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-i", f"{T}-cli",
            "-u", T, "-P", BROKER_USERS[T], "-t", f"xunlou/v1/t/{T}/evt/sos",
            "-m", '{"boot":3,"seq":17}',
        )  # fmt: skip
        assert await process.wait() == 0
        await double.until(lambda: (T, 3, 17) in double.stored, "the press")


async def test_commands_go_down_and_are_reported_done_after_the_brokers_ack(
    broker: Broker,
) -> None:
    """Each golden command reaches its terminal word for word; then, and only then, done."""
    golden = json.loads((GOLDEN / "commands.json").read_text())
    commands = [e["payload"] for e in golden if e["payload"]["cmd"] != "receipt"]
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)),
        Terminal(T, broker.port) as terminal,
    ):
        double.commands = [{"cmd_id": c["cmd_id"], "t": T, "payload": c} for c in commands]
        double.commands += [
            {"cmd_id": "c-bad", "t": "+", "payload": {"cmd_id": "c-bad", "cmd": "reboot"}},
            {"cmd_id": "c-worse", "t": T, "payload": "reboot"},
        ]
        double.changed()
        await terminal.until(
            lambda: sum(topic.endswith("/cmd") for topic, _ in terminal.heard) == len(commands),
            "all commands",
        )
        heard = {body["cmd_id"]: body for topic, body in terminal.heard if topic.endswith("/cmd")}
        assert heard == {c["cmd_id"]: c for c in commands}
        await double.until(lambda: len(double.done) >= len(commands), "done")
        assert sorted(double.done) == sorted(c["cmd_id"] for c in commands)


async def test_a_wrong_token_acks_nothing_and_is_retried(broker: Broker) -> None:
    """401: the press waits, un-acked, until the token fits; terminals read `lost` meanwhile."""
    double = ServerDouble()
    settings = make_settings(double.url, broker.port, gateway_token="wrong")
    async with double.serving(), Terminal(T, broker.port) as terminal:
        async with gateway_running(settings) as counters:
            await terminal.press(17)
            await double.until(lambda: counters.retries >= 2, "tries with the wrong token")
            assert terminal.receipts() == []
        async with gateway_running(make_settings(double.url, broker.port)):
            await terminal.until(lambda: terminal.receipts() == [(3, 17)], "the receipt")
        assert "online" in terminal.states()


async def test_watch_itself_fails_when_nothing_happens() -> None:
    """The helper these tests lean on does fail: a wait that is never met is an AssertionError."""
    with pytest.raises(AssertionError, match="not within"):
        await Watch().until(lambda: False, "never", 0.05)
