"""A terminal that presses without end (broken, or in the wrong hands) stands before nobody else's
press: real Mosquitto, the real gateway, the real server."""

import json
from pathlib import Path

from gateway_kit import BROKER_USERS, Terminal, free_port, gateway_running, make_settings
from parts import require
from sqlalchemy import func, select
from test_hostile_terminal import Client
from town import GATEWAY_TOKEN, HEAD, SECOND, Town, a_town

from server import tables as t
from xunlou.broker import Broker

FLOODING, OTHER = "gd-11-301", "gd-11-303"
FLOOD = 10_000
HEARD_WITHIN_S = 5.0
"""As in test_hostile_terminal.py; from when the broker has the press to its receipt."""


async def presses_stored(town: Town) -> int:
    """Events of the flooding terminal in the database."""
    signal = t.table(t.Signal)
    count = select(func.count()).where(signal.c.terminal_id == FLOODING)
    return int(await town.sql(lambda c: c.execute(count).scalar_one()))


async def test_a_flood_of_presses_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Ten thousand presses of one terminal stand before a neighbour's: hers is stored and has its
    receipt within five seconds, and both stewards their SMS. The flood is one alert that counts
    each press, none is lost, and the stewards are told of it once."""
    require("mosquitto")
    broker = Broker(tmp_path / "broker", free_port(), BROKER_USERS)
    await broker.start()
    try:
        async with a_town(tmp_path) as town:
            settings = make_settings(town.url, broker.port, gateway_token=GATEWAY_TOKEN)
            async with (
                gateway_running(settings) as counters,
                Client(broker, FLOODING).connected() as hostile,
                Terminal(OTHER, broker.port) as her,
            ):
                topic = f"xunlou/v1/t/{FLOODING}/evt/sos"
                for seq in range(1, FLOOD + 1):
                    hostile.mqtt.publish(topic, json.dumps({"boot": 9, "seq": seq}), 1)
                await her.press(1)
                await her.until(lambda: her.receipts() == [(3, 1)], "her receipt", HEARD_WITHIN_S)
                assert counters.sent < FLOOD, "she was heard in the midst of it"
                await her.until(lambda: counters.sent == FLOOD + 1, "the whole flood", 120)
                assert counters.retries == 0, "no POST was too much for the server"
            presses = {a["terminal_id"]: a["presses"] for a in await town.alerts(kind="sos")}
            assert presses == {FLOODING: FLOOD, OTHER: 1}
            assert await presses_stored(town) == FLOOD
            for steward in (HEAD, SECOND):
                # Without the link: a port may have her flat's number in it.
                texts = [text.partition("http")[0] for text in await town.phone(steward)]
                assert sorted("301" in text for text in texts) == [False, True], texts
            await town.no_more_sms()
    finally:
        await broker.stop()


async def test_many_presses_in_one_breath_say_what_they_would_one_by_one(tmp_path: Path) -> None:
    """In one batch: each counts, a fall among them is kept, what was taken back between them is
    said, a test stays a test, and a neighbour's press is her own."""
    async with a_town(tmp_path) as town:
        kinds = ("sos", "sos", "fall", "sos", "sos", "sos_cancel", "sos", "sos", "sos")
        events = [town.event(kind) for kind in kinds]
        events.insert(4, town.event("sos", OTHER))
        tried = next(r["terminal_id"] for r in (await town.residents(12)).values())
        events += [town.event("sos", tried, test=True) for _ in range(3)]
        assert set(await town.signals(*events)) == {"stored"}
        found = {a["terminal_id"]: a for a in await town.alerts(kind="sos")}
        told = {
            terminal: (a["presses"], a["fall"], a["cancelled_by_resident"], a["test"])
            for terminal, a in found.items()
        }
        assert told == {
            FLOODING: (8, True, True, False), OTHER: (1, False, False, False),
            tried: (3, False, False, True),
        }  # fmt: skip
        entries = [e for e in await town.journal() if e["kind"] == "signal"]
        assert len(entries) == len(events), "each is written down"
