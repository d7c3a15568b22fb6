"""The power comes back: five thousand terminals dial in the same second, and people press for help
meanwhile, for whom nobody has come in the dark."""

import asyncio
import contextlib
import sqlite3
import time
from typing import Any

import httpx

from tests.bench.kit import House, Load, a_house
from tests.faults.house import TEN
from tests.parts import require

CROWD, PRESSES = 5_000, 8
WITHIN_S = 60.0


class Presser:
    """Somebody's terminal: it dials with all the others, presses, and hears its receipt."""

    def __init__(self, house: House, terminal: str) -> None:
        self.terminal, self.receipts = terminal, 0
        self._client = house.client(terminal)
        self._client.on_message = self._heard
        self._client.subscribe(f"xunlou/v1/t/{terminal}/cmd", qos=1)
        topic = f"xunlou/v1/t/{terminal}/evt/sos"
        self._client.publish(topic, b'{"boot":9,"seq":1,"ts_ok":false,"attempt":1}', qos=1)

    def _heard(self, _client: object, _data: object, message: Any) -> None:
        self.receipts += b'"receipt"' in message.payload

    def end(self) -> None:
        """Hang up."""
        self._client.loop_stop()
        self._client.disconnect()


def asked(house: House, query: str) -> Any:
    """What the database's file says, as committed."""
    file = house.place.directory / "xunlou.db"
    with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
        return connection.execute(query).fetchone()[0]


async def seen(house: House) -> int:
    """How many SOS the API shows."""
    headers = {"Authorization": f"Bearer {house.place.keys.api_token}"}
    async with httpx.AsyncClient(base_url=house.place.url, headers=headers) as api:
        answer = await api.get("/api/v1/alerts", params={"kind": "sos"})
    return len(answer.raise_for_status().json()["alerts"])


async def until(house: House, query: str, wanted: int) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(WITHIN_S):
        while await asyncio.to_thread(asked, house, query) != wanted:
            await asyncio.sleep(0.05)


async def test_all_come_back_at_once_and_who_presses_is_heard(table: list[dict[str, Any]]) -> None:
    """Every check-in is stored and has its receipt, and every press is with both stewards, once."""
    require("mosquitto")
    row: dict[str, Any] = {"fault": f"{CROWD} terminals dial at once", "held": False,
                           "crashes": 0, "within_s": WITHIN_S}  # fmt: skip
    table.append(row)
    clock = f"{time.time()},{TEN.timestamp()},1"  # between the rounds
    async with a_house(extra_terminals=CROWD, clock=clock) as house:
        crowd = [t for t in house.terminals if t.startswith("extra-")]
        flats = [t for t in house.terminals if not t.startswith("extra-")]
        each = {t.rpartition("-")[0]: t for t in flats}  # one a building
        pressing = list(each.values())[:PRESSES]
        assert len(pressing) == PRESSES
        order = {"kind": "checkin", "each": 1, "terminals": crowd, "within_s": WITHIN_S}
        calm = await Load.start(house, boot=1, stay_s=WITHIN_S, **order)
        assert (await calm.ended())["receipts"] == CROWD
        await calm.stop()  # all of them at once, without a word
        began = time.monotonic()
        coming = asyncio.create_task(Load.start(house, boot=2, **order))
        pressers = await asyncio.gather(
            *(asyncio.to_thread(Presser, house, terminal) for terminal in pressing)
        )
        try:
            storm = await coming
            back = await storm.ended()
            await house.sink.until(2 * PRESSES, WITHIN_S)
            unsettled = "SELECT count(*) FROM message WHERE state IN ('queued', 'sending')"
            await until(house, unsettled, 0)
            async with asyncio.timeout(WITHIN_S):
                while not all(p.receipts for p in pressers):
                    await asyncio.sleep(0.05)
            row["recovered_s"] = round(time.monotonic() - began, 1)
        finally:
            for presser in pressers:
                presser.end()
        row |= {
            "pressed": 2 * CROWD + PRESSES,
            "stored": asked(house, "SELECT count(*) FROM signal"),
            "receipted": CROWD + back["receipts"] + sum(min(p.receipts, 1) for p in pressers),
            "alarms": asked(house, "SELECT count(*) FROM alert WHERE kind = 'sos'"),
            "told": asked(house, "SELECT count(*) / 2 FROM message WHERE state = 'sent'"),
            "seen": await seen(house),
            "extra_sms": house.sink.count - 2 * PRESSES,
        }  # fmt: skip
    assert row["pressed"] == row["stored"] == row["receipted"]
    assert row["alarms"] == row["told"] == row["seen"] == PRESSES
    assert row["extra_sms"] == 0
    row["held"] = True
