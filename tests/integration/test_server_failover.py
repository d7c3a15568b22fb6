"""The first provider is gone: the second carries on, staff know, and the first is taken back."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr
from town import HEAD, SECOND, Hand, Town, a_town, bound, lay_out, phone_book, serving

from firmware_sim.phones import PhonesConfig
from firmware_sim.phones import create_app as create_phones
from tests.town import MARCH_14

OTHER_ACCOUNT, OTHER_SENDER = "AC" + "1" * 32, "+8610000000009"
DUTY = "+8610000000101"


@dataclass
class Two:
    """A town with two providers, and the second one's phones."""

    town: Town
    second: httpx.AsyncClient

    async def by_second(self, number: str) -> list[str]:
        """What this phone got by the second provider."""
        found = await self.second.get(f"/phones/{number}/messages")
        return [m["body"] for m in found.raise_for_status().json()["messages"]]

    async def pass_time(self, seconds: int) -> None:
        """Let time pass as it does, not in one leap."""
        for _ in range(seconds // 10):
            await self.town.move(10)


@contextlib.asynccontextmanager
async def two_providers(folder: Path) -> AsyncIterator[Two]:
    """Two stand-ins with accounts, numbers and tokens of their own."""
    hand = Hand(MARCH_14)
    _, community = lay_out(folder, hand)
    sock, url = bound()
    more = {
        "TWILIO_BACKUP_ACCOUNT_SID": OTHER_ACCOUNT,
        "TWILIO_BACKUP_AUTH_TOKEN": SecretStr("another-token"),
        "TWILIO_BACKUP_FROM_NUMBER": OTHER_SENDER,
        "TWILIO_BACKUP_API_BASE_URL": url,
    }
    async with a_town(folder, hand=hand, **more) as town:
        phones = create_phones(
            PhonesConfig(
                account_sid=OTHER_ACCOUNT, auth_token="another-token", from_number=OTHER_SENDER,
                webhook_base=town.url, clock=hand, phones=phone_book(community),
                sent_delay_s=0.0, delivered_delay_s=0.0, calls_wait=True,
            )
        )  # fmt: skip
        async with serving(phones, sock), httpx.AsyncClient(base_url=url) as client:
            yield Two(town, client)


async def test_down_for_a_minute_and_the_second_carries_on(tmp_path: Path) -> None:
    """Nothing gets through for a minute; then both stewards have their SOS by the second provider,
    its receipts are believed, staff see which provider is down. When the first answers again, the
    next SOS goes by it, and the fault is over."""
    async with two_providers(tmp_path) as two:
        town = two.town
        await town.fault("down", count=10_000)
        await town.press()
        await two.pass_time(50)
        assert await two.by_second(HEAD) == []
        await two.pass_time(30)
        assert len([m for m in await two.by_second(HEAD) if "求助" in m]) == 1
        assert len([m for m in await two.by_second(SECOND) if "SOS" in m]) == 1
        (fault,) = await town.alerts(kind="fault", state="unresolved")
        assert (fault["fault"], "sms:main" in fault["detail"]) == ("sms_provider", True)
        told = (await town.sos())["told"]
        assert {m["state"] for m in told} == {"delivered"}
        await town.no_more_sms()
        (await town.phones.delete("/faults")).raise_for_status()
        await two.pass_time(20)
        await town.over("sms_provider")
        assert await town.faults() == []
        await town.press(terminal="gd-11-303")
        await town.expect_sms(HEAD, "303")
        assert not [m for m in await two.by_second(HEAD) if "303" in m]


async def test_an_account_that_is_closed_loses_no_message(tmp_path: Path) -> None:
    """The first account refuses us altogether (a wrong token): the same message goes by the second
    at once, without waiting a minute for a provider that is well and does not want us."""
    async with two_providers(tmp_path) as two:
        await two.town.fault("refused", count=100, error_code=20003)
        await two.town.press()
        await two.town.settled()
        assert [m for m in await two.by_second(HEAD) if "求助" in m]


async def test_the_blame_is_the_second_ones_own(tmp_path: Path) -> None:
    """The first does not want us and the second is down: staff read which of them is down, and when
    it is back the ladder's next words go by it."""
    async with two_providers(tmp_path) as two:
        town = two.town
        await town.fault("refused", count=10_000, error_code=20003)
        await two.second.post("/faults", json={"kind": "down", "count": 10_000})
        await town.press()
        await two.pass_time(80)
        found = await town.alerts(kind="fault", state="unresolved")
        details = {f["detail"].split()[0] for f in found if f["fault"] == "sms_provider"}
        assert details == {"sms:backup", "20003"}, "one is down, and one does not want us"
        (await two.second.delete("/faults")).raise_for_status()
        await two.pass_time(170)
        assert [m for m in await two.by_second(DUTY) if "求助" in m]


async def test_without_a_second_provider_the_telephone_rings(town: Town) -> None:
    """SMS are down and calls are not: after a minute the stewards are rung instead."""
    await town.fault("no_texts", count=10_000)
    await town.press()
    for _ in range(9):
        await town.move(10)
    await town.rings(HEAD)
    await town.rings(SECOND)
    assert "sms_provider" in await town.faults()
    await town.pick_up(HEAD)
    await town.key(HEAD, "1")
    assert (await town.sos())["state"] == "accepted"
