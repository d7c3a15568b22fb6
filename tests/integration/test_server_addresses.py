"""120 knows no "building 11": the address that is read out, as staff keep it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from town import Town, a_town

OLD = "广东省广州市天河区榕影路188号广氮小区,救护车走东门"
NEW = {
    "address": " 广东省广州市天河区榕影路190号 ", "address_en": "190 Rongying Road",
    "reason": "改号",
}  # fmt: skip
LANE = {"address": "广东省广州市天河区石榕巷9号", "reason": "门开在巷里"}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """The town after the press of the woman in building 11."""
    async with a_town(tmp_path) as town:
        await town.press()
        yield town


async def said(town: Town, lang: str = "zh") -> str:
    """What is read out to 120 of the open SOS, by the desk and by the steward alike."""
    emergency = (await town.sos())["emergency"]
    assert emergency["no_street"] is False
    return str(emergency["read_out"][lang])


async def test_the_sample_knows_its_roads(town: Town) -> None:
    """From the province to the gate; a house on the next road has another address."""
    assert (await said(town)).startswith(OLD)
    known = (await town.api.get("/api/v1/addresses")).json()
    assert known["community"]["address"] == OLD
    assert all("9号" in b["address"] for b in known["buildings"])


async def test_staff_keep_the_addresses_true(town: Town) -> None:
    """The road was renumbered, and the door of building 11 is in the lane: each change is at once
    in what is read out, and in the journal with who and why; empty, and the community's holds."""
    (await town.api.put("/api/v1/addresses", json=NEW)).raise_for_status()
    assert (await said(town)).startswith("广东省广州市天河区榕影路190号,")
    assert (await said(town, "en")).startswith("190 Rongying Road, ")
    (await town.api.put("/api/v1/addresses/11", json=LANE)).raise_for_status()
    assert (await said(town)).startswith("广东省广州市天河区石榕巷9号,")
    back = {"address": "", "reason": "又从大门进"}
    (await town.api.put("/api/v1/addresses/11", json=back)).raise_for_status()
    assert (await said(town)).startswith("广东省广州市天河区榕影路190号,")
    noted = [e["data"]["why"] for e in await town.journal() if e["kind"] == "address_set"]
    assert noted == ["改号", "门开在巷里", "又从大门进"]


async def test_an_address_that_can_not_be(town: Town) -> None:
    """None in Chinese, no such house, no reason: refused in words, and the old one stands."""
    put = town.api.put
    empty = await put("/api/v1/addresses", json={"address": " ", "reason": "整理"})
    assert empty.status_code == 409
    assert "120" in empty.json()["detail"]
    assert (await put("/api/v1/addresses/999", json=LANE)).status_code == 404
    assert (await put("/api/v1/addresses", json={"address": "路"})).status_code == 422
    assert (await said(town)).startswith(OLD)
