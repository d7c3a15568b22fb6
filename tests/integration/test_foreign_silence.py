"""A button of another maker is called silent when it is, and not because it has nothing to say."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from foreign_kit import Foreign
from sqlalchemy import insert
from town import GZ, Town, a_town

from server import tables as t

EVENING = datetime(2026, 3, 14, 20, 30, tzinfo=GZ)
LONG = {"object": {"battery": 97, "button_event": {"status": "long press"}}}
WORDS: dict[str, tuple[str, Any]] = {
    "gd-11-301": ("zigbee2mqtt/sos-301", {"action": "", "battery": 87}),
    "gd-11-402": ("shellies/shellybutton1-402/sensor/battery", 64),
    "gd-11-601": ("application/3f9/device/24e124535b316056/event/up", {"object": {"battery": 97}}),
    "gd-11-602": ("v3/care@ttn/devices/ws101-602/up", {"uplink_message": {}}),
}
"""A word of each family that tells of no absence by itself."""
WILLS: dict[str, tuple[str, Any, Any]] = {
    "z2m-11": ("zigbee2mqtt/bridge/state", {"state": "online"}, {"state": "offline"}),
    "gd-11-401": ("shelly-401/online", b"true", b"false"),
    "gd-11-501": ("tele/flat-501/LWT", b"Online", b"Offline"),
    "gd-11-502": ("flat-502/status", b"online", b"offline"),
}


async def enrolled(town: Town, *ids: str) -> None:
    """Foreign devices are terminals in the register, each with the silence of a new one."""
    rows = [
        {"id": i, "resident_id": None, "state": "active", "status": "unknown", "boot": 0,
         "firmware": "", "heartbeat_s": 900}
        for i in ids
    ]  # fmt: skip
    have = {r["terminal_id"] for r in (await town.residents()).values()}
    rows = [r for r in rows if r["id"] not in have]
    await town.sql(lambda c: c.execute(insert(t.table(t.Terminal)), rows) if rows else None)


async def silent(town: Town) -> list[str]:
    """Terminals that are called silent now."""
    found = await town.alerts(kind="fault", state="unresolved")
    return sorted(f["terminal_id"] for f in found if f["fault"] == "offline")


async def test_a_button_that_says_nothing_for_hours_is_not_called_silent(tmp_path: Path) -> None:
    """Each family that sleeps until it is pressed, from the evening to the morning. (After how long
    each is called silent stands in docs/devices.md, and is tested there.)"""
    async with a_town(tmp_path, EVENING) as town:
        await enrolled(town, *WORDS)
        foreign = Foreign(town)
        for topic, payload in WORDS.values():
            await foreign.says(topic, payload)
        await foreign.passes(9, step_s=3 * 3600)
        assert await silent(town) == []


async def test_a_terminal_entered_after_its_first_word_is_not_called_silent(
    tmp_path: Path,
) -> None:
    """The fitter presses, sees the fault, enters the terminal and presses again: the server must
    hear of its habit although it was told of it before it knew the terminal."""
    async with a_town(tmp_path, EVENING) as town:
        foreign = Foreign(town)
        topic = "v3/care@ttn/devices/ws101-602/up"
        await foreign.says(topic, {"uplink_message": {"frm_payload": "/y4D"}})
        await enrolled(town, "gd-11-602")
        await town.watch(90)
        await foreign.says(topic, {"uplink_message": {"frm_payload": "/y4D"}})
        await foreign.passes(6, step_s=3 * 3600)
        assert await silent(town) == []


@pytest.mark.parametrize("terminal", list(WILLS))
async def test_what_a_will_guards_is_silent_after_its_will_alone(
    tmp_path: Path, terminal: str
) -> None:
    """It said once, when it connected, that it is there; hours later it is well. Then the broker
    speaks its will, and two minutes later it is called silent; back, it is well again."""
    async with a_town(tmp_path, EVENING) as town:
        await enrolled(town, terminal)
        foreign = Foreign(town)
        topic, here, gone = WILLS[terminal]
        await foreign.says(topic, here, retained=True)
        await foreign.passes(2)
        assert await silent(town) == []
        await foreign.says(topic, gone)
        await foreign.passes(0.05, step_s=180)
        assert await silent(town) == [terminal]
        await foreign.passes(1)
        assert await silent(town) == [terminal], "the roll is not called for one that is gone"
        await foreign.says(topic, here)
        assert await silent(town) == []
