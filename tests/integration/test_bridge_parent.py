"""A bridge that is away explains the silence of those that hang on it, and hides no press."""

from datetime import datetime
from pathlib import Path
from typing import Any

from foreign_kit import Foreign
from sqlalchemy import select, update
from test_foreign_silence import enrolled, silent
from town import GRANNY, GZ, HEAD, Town, a_town

from server import tables as t

EVENING = datetime(2026, 3, 14, 20, 30, tzinfo=GZ)
BRIDGE = "zigbee2mqtt/bridge/state"
CHILD = "gd-11-303"
HOUR = 3600


async def hang(town: Town, *ids: str, hb_s: int = 900) -> None:
    """These say that they hang on the bridge."""
    said = [{"t": i, "s": "online", "boot": 1, "hb_s": hb_s, "via": "z2m-11"} for i in ids]
    await town.signals(statuses=said)


async def bridge(town: Town, s: str, boot: int = 1) -> None:
    """The bridge's word, or its will."""
    await town.signals(statuses=[{"t": "z2m-11", "s": s, "boot": boot, "hb_s": 600}])


async def the_bridges_fault(town: Town) -> dict[str, Any]:
    """The one fault there is."""
    (fault,) = await town.alerts(kind="fault", state="unresolved")
    assert (fault["fault"], fault["terminal_id"]) == ("offline", "z2m-11")
    return dict(fault)


async def test_a_bridge_that_is_away_is_one_fault_and_hides_no_press(tmp_path: Path) -> None:
    """Two days away, with all behind it silent: one fault, that names them. When it is back a press
    of one of them calls her stewards; the other, still silent, becomes a fault of its own."""
    async with a_town(tmp_path, EVENING, buildings=11) as town:
        await enrolled(town, "z2m-11")
        # Two days hold four rounds, which are not what this is about.
        await town.sql(lambda c: c.execute(update(t.table(t.Resident)).values(next_due_at=None)))
        foreign = Foreign(town)
        await foreign.says(BRIDGE, {"state": "online"})
        await foreign.says("zigbee2mqtt/sos-301", {"action": "", "battery": 87})
        await foreign.says("zigbee2mqtt/sos-303", {"action": "", "battery": 87})
        await foreign.says(BRIDGE, {"state": "offline"})
        await foreign.passes(0.05, step_s=180)
        fault = await the_bridges_fault(town)
        assert fault["detail"] == "2: gd-11-301, gd-11-303"
        await foreign.passes(52, step_s=26 * HOUR)
        assert await silent(town) == ["z2m-11"]
        lost = [e["data"] for e in await town.journal() if e["kind"] == "device_lost"]
        assert sorted((d["terminal"], d["suppressed_by"]) for d in lost) == [
            (GRANNY, "offline"), (CHILD, "offline"),
        ]  # fmt: skip
        await town.forget_sms()
        await foreign.says(BRIDGE, {"state": "online"})
        assert await silent(town) == []
        await foreign.says("zigbee2mqtt/sos-301", {"action": "emergency", "battery": 86})
        await town.expect_sms(HEAD, "301")
        await foreign.passes(0.15, step_s=540)
        assert await silent(town) == []
        await foreign.passes(0.05, step_s=180)
        assert await silent(town) == [CHILD]


async def test_who_is_due_while_its_bridge_is_in_doubt_waits_for_that(tmp_path: Path) -> None:
    """The bridge's will was spoken, and it has two minutes to come back. Who is due meanwhile is
    judged after it: explained if it stays away, alone if it is there."""
    async with a_town(tmp_path, EVENING, buildings=11) as town:
        await enrolled(town, "z2m-11")
        await bridge(town, "online")
        await hang(town, GRANNY, CHILD, hb_s=60)
        await town.watch(100)
        await bridge(town, "lost")
        await town.watch(60)
        assert await silent(town) == []
        await bridge(town, "online")
        await town.watch(90)
        assert await silent(town) == [GRANNY, CHILD]
        await hang(town, GRANNY, CHILD, hb_s=60)
        await town.watch(100)
        await bridge(town, "lost")
        await town.watch(60)
        await town.watch(120)
        assert await silent(town) == ["z2m-11"]


async def test_those_behind_a_bridge_do_not_make_a_dark_building(tmp_path: Path) -> None:
    """All but one of a building hang on a bridge that is away. The one falls silent: it is a fault
    of its own, and no sign of the building's network."""
    async with a_town(tmp_path, EVENING, buildings=11) as town:
        await enrolled(town, "z2m-11")
        ids = sorted(r["terminal_id"] for r in (await town.residents()).values()
                     if r["terminal_id"])  # fmt: skip
        *behind, one = ids
        await bridge(town, "online")
        await hang(town, *behind)
        await town.signals(statuses=[{"t": one, "s": "online", "boot": 1, "hb_s": 3600}])
        await bridge(town, "lost")
        await town.watch(180)
        await town.watch(HOUR)
        assert await silent(town) == ["z2m-11"]
        await town.watch(1.5 * HOUR)
        assert await town.faults() == ["offline", "offline"]
        assert await silent(town) == sorted([one, "z2m-11"])


async def test_a_bridges_fault_closed_by_hand_is_told_again(tmp_path: Path) -> None:
    """A click brings no bridge back: those behind it would be heard by nobody, and nobody would
    know. Out of service it explains nothing any more."""
    async with a_town(tmp_path, EVENING, buildings=11) as town:
        await enrolled(town, "z2m-11")
        await bridge(town, "online")
        await hang(town, GRANNY, CHILD)
        await bridge(town, "lost")
        await town.watch(180)
        await town.watch(HOUR)
        fault = await the_bridges_fault(town)
        assert (await town.act(fault["id"], "resolve", outcome="other")).status_code == 200
        assert await town.faults() == []
        await town.watch(601)
        await the_bridges_fault(town)
        path = "/api/v1/terminals/z2m-11/state"
        answer = await town.api.post(path, json={"state": "revoked", "reason": "tests"})
        assert answer.status_code == 200, answer.text
        await town.watch(601)
        assert await silent(town) == [GRANNY, CHILD]


async def test_the_will_of_a_bridge_that_nobody_entered_reaches_staff(tmp_path: Path) -> None:
    """A bridge in the devices' file and not in the register: its end is told to somebody all the
    same. One that was taken out of service is known about."""
    async with a_town(tmp_path, EVENING, buildings=11) as town:
        await bridge(town, "online")
        assert await town.faults() == []
        await bridge(town, "lost")
        await bridge(town, "lost")
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert (fault["fault"], fault["detail"]) == ("unknown_terminal_lost", "z2m-11")
        kept = t.table(t.Quarantine)
        rows = await town.runtime.database.read(lambda c: c.execute(select(kept)).mappings().all())
        assert [(r["topic"], r["reason"], r["count"]) for r in rows] == [
            ("xunlou/v1/t/z2m-11/status", "unknown_terminal", 2)
        ]
        await enrolled(town, "gd-old")
        path = "/api/v1/terminals/gd-old/state"
        await town.api.post(path, json={"state": "revoked", "reason": "tests"})
        await town.signals(statuses=[{"t": "gd-old", "s": "lost", "boot": 1}])
        assert await town.faults() == ["unknown_terminal_lost"]
