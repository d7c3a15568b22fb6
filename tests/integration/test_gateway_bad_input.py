"""What breaks the contract is shown to staff with its reason, and disturbs nobody."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import ServerDouble, Terminal, gateway_running, make_settings

from gateway import lane
from xunlou.broker import Broker

BAD = json.loads((Path(__file__).parent.parent / "golden" / "bad.json").read_text())
T = "gd-11-301"


def raw_of(example: dict[str, Any]) -> bytes:
    """The bytes of a bad example, however it is written down."""
    if "payload" in example:
        return json.dumps(example["payload"]).encode()
    if "raw_b64" in example:
        return base64.b64decode(example["raw_b64"])
    return str(example["raw"]).encode()


async def test_every_golden_bad_message_is_quarantined_and_blocks_nothing(broker: Broker) -> None:
    """Each gives one reject with its reason and bytes, is acked, and the next press is heard."""
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port, user="gateway") as anyone,
        Terminal(T, broker.port) as terminal,
    ):
        for example in BAD:
            await anyone.send(
                example["topic"], raw_of(example), retain=example.get("retain", False)
            )
        await double.until(lambda: len(double.rejects) >= len(BAD), "all rejects")
        told = sorted(
            (reject["topic"], reject["reason"], base64.b64decode(reject["payload_b64"]))
            for reject in double.rejects
        )
        assert told == sorted((e["topic"], e["reason"], raw_of(e)) for e in BAD)
        assert not double.stored
        assert counters.rejects == len(BAD)
        await terminal.press(17)
        await terminal.until(lambda: terminal.receipts() == [(3, 17)], "the receipt")
    async with double.serving(), gateway_running(make_settings(double.url, broker.port)):
        async with Terminal(T, broker.port) as terminal:
            await terminal.press(18)
            await terminal.until(lambda: (3, 18) in terminal.receipts(), "the receipt")
        assert len(double.rejects) == len(BAD), "acked: none comes a second time"


async def test_a_payload_of_eight_kib_is_seen_by_staff_cut_at_four(broker: Broker) -> None:
    """Oversize up to the broker's own bound reaches quarantine, its first 4 KiB kept."""
    double = ServerDouble()
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)),
        Terminal(T, broker.port) as terminal,
    ):
        await terminal.send(f"xunlou/v1/t/{T}/evt/sos", b"x" * 8000)
        await double.until(lambda: len(double.rejects) == 1, "the reject")
        assert double.rejects[0]["reason"] == "oversize"
        assert base64.b64decode(double.rejects[0]["payload_b64"]) == b"x" * 4096


@pytest.mark.parametrize("event_type", ["sos", "checkin"])
async def test_one_entry_the_server_refuses_does_not_block_the_others(
    broker: Broker, event_type: str
) -> None:
    """422 for a batch of 40: halved down to the one at fault, which becomes a `refused` reject."""
    double = ServerDouble()
    double.refuse = lambda body: any(s["seq"] == 13 for s in body.get("signals", []))
    double.status = 503
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port, batch_wait_ms=200)) as counters,
        Terminal(T, broker.port) as terminal,
    ):
        for seq in range(40):
            terminal._client.publish(
                f"xunlou/v1/t/{T}/evt/{event_type}", json.dumps({"boot": 3, "seq": seq}), qos=1
            )
        await double.until(lambda: counters.received >= 40, "all held")
        double.status = 200
        await terminal.until(lambda: len(set(terminal.receipts())) == 39, "39 receipts", 15)
        await double.until(lambda: len(double.rejects) == 1, "the reject")
        assert double.rejects[0]["reason"] == "refused"
        assert json.loads(base64.b64decode(double.rejects[0]["payload_b64"]))["seq"] == 13
        assert {key[2] for key in double.stored} == set(range(40)) - {13}


@pytest.mark.parametrize("kind", ["sos", "checkin"])
async def test_one_entry_the_server_breaks_on_does_not_block_the_others(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """500 for every batch with one event in it, as a bug of ours would answer: the others are
    stored; that one is tried again and again, alone, and is stored when the server is mended."""
    monkeypatch.setattr(lane, "ASIDE_S", 0.2)
    monkeypatch.setattr(lane, "URGENT_ASIDE_S", 0.2)
    double = ServerDouble()
    double.breaks = lambda body: any(s["seq"] == 13 for s in body.get("signals", []))
    double.status = 503  # until all of them wait
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port) as terminal,
    ):
        for seq in range(1, 31):
            await terminal.press(seq, kind)
        await double.until(lambda: counters.received >= 30, "all wait")
        double.status = 200
        others = {(3, seq) for seq in range(1, 31) if seq != 13}
        await terminal.until(lambda: set(terminal.receipts()) == others, "the others' receipts")
        await double.until(lambda: counters.laid_aside >= 2, "it is tried again")
        assert set(terminal.receipts()) == others
        double.breaks = lambda _body: False
        await terminal.until(lambda: (3, 13) in terminal.receipts(), "its own receipt")
        assert sorted(double.stored) == [(T, 3, seq) for seq in range(1, 31)]


async def test_a_server_that_breaks_on_everything_takes_no_batch_apart(broker: Broker) -> None:
    """500 to whatever is asked, the empty question too: that is an outage, and what waited together
    goes out together when it is over."""
    double = ServerDouble()
    double.breaks = lambda _body: True
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port) as terminal,
    ):
        for seq in range(1, 21):
            await terminal.press(seq, "checkin")
        await double.until(lambda: counters.retries >= 12, "it has tried often enough")
        double.breaks = lambda _body: False
        await terminal.until(lambda: len(terminal.receipts()) == 20, "all receipts")
        assert counters.laid_aside == 0
        assert len(double.batches) < 15


async def test_a_reject_that_is_itself_refused_is_put_down(broker: Broker) -> None:
    """A server that refuses even the report of it must not block the lane for ever."""
    double = ServerDouble()
    double.refuse = lambda body: bool(body.get("rejects"))
    async with (
        double.serving(),
        gateway_running(make_settings(double.url, broker.port)) as counters,
        Terminal(T, broker.port) as terminal,
    ):
        await terminal.send(f"xunlou/v1/t/{T}/evt/sos", b"nonsense")
        await terminal.press(17)
        await terminal.until(lambda: terminal.receipts() == [(3, 17)], "the receipt")
        await double.until(lambda: counters.lost_rejects == 1, "counted")
        assert double.rejects == []
        assert sorted(double.stored) == [(T, 3, 17)]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_retained_press_is_a_replay_and_opens_nothing(
    broker: Broker, protocol: str
) -> None:
    """A press the broker remembers from before our subscription is rejected on either protocol."""
    double = ServerDouble()
    async with double.serving():
        async with Terminal(T, broker.port) as terminal:
            await terminal.send(f"xunlou/v1/t/{T}/evt/sos", b'{"boot":3,"seq":17}', retain=True)
        async with gateway_running(make_settings(double.url, broker.port, mqtt_protocol=protocol)):
            await double.until(lambda: len(double.rejects) >= 1, "the reject")
        assert {reject["reason"] for reject in double.rejects} == {"retained"}
        assert not double.stored
