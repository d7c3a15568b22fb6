"""The page behind the link in a steward's SMS: looking is free, the way in is for who goes."""

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from town import GZ, HEAD, SECOND, Town, a_town, page_in

from server import tables as t
from server.service import steward_page
from server.service.effects import LINK_LIFE
from server.service.house import digest_of
from server.store import alerts

RESIDENT, HEADS_NAME, SECONDS_NAME = "何桂芳", "邝彩霞", "罗少芬"
KEY_HOLDER = "黎美珠"
WAY_IN = "铁门"


async def looked(town: Town, path: str) -> str:
    """What the page says."""
    answer = await town.phones.get(f"{town.url}{path}")
    assert answer.status_code == 200, answer.status_code
    return answer.text


async def tapped(town: Town, path: str, action: str, **form: object) -> httpx.Response:
    """A button on the page; no redirect is followed."""
    answer = await town.phones.post(f"{town.url}{path}/{action}", data=form)
    await town.settled()
    return answer


async def asked(town: Town) -> str:
    """A press; the page that the second steward's SMS leads to, before anybody has accepted."""
    await town.press()
    path = page_in(await town.expect_sms(SECOND, "SOS"))
    await town.expect_sms(HEAD, "求助")
    return path


async def going(town: Town) -> str:
    """A press that the building head has accepted; the page in their confirmation."""
    await asked(town)
    await town.reply(HEAD, "1")
    path = page_in(await town.expect_sms(HEAD, "已记您"))
    await town.forget_sms()
    return path


async def opened(town: Town) -> list[str]:
    """To whom a way in was opened, in order; nobody has looked in anybody's name."""
    kinds = {e["kind"] for e in await town.journal()}
    assert "access_looked_at" not in kinds
    return [e["data"]["by"] for e in await town.journal() if e["kind"] == "access_opened"]


@pytest.mark.parametrize("accepted", [False, True])
async def test_looking_changes_nothing(town: Town, *, accepted: bool) -> None:
    """Robots and curious fingers open links, before accepting and after: the alert, the messages
    and the record of events stay as they were, however often the page is opened."""
    path = await (going if accepted else asked)(town)
    alert, journal = await town.sos(), await town.journal()
    for _ in range(3):
        assert (WAY_IN in await looked(town, path)) is accepted
        await town.phones.head(f"{town.url}{path}")
    assert await town.sos() == alert
    assert await town.journal() == journal
    await town.no_more_sms()


async def test_before_accepting_no_name_and_no_way_in(town: Town) -> None:
    """Who has not said "I am going" sees the door, the age and the need, and neither name, way in,
    nor key holder; after it all three, and that it stands open to them is on record."""
    path = await asked(town)
    text = await looked(town, path)
    assert "301" in text
    assert not [w for w in (RESIDENT, WAY_IN, KEY_HOLDER) if w in text]
    assert await opened(town) == []
    assert (await tapped(town, path, "accept")).status_code == 303
    assert await opened(town) == [SECONDS_NAME]
    text = await looked(town, path)
    assert [w for w in (RESIDENT, WAY_IN, KEY_HOLDER) if w not in text] == []
    assert await opened(town) == [SECONDS_NAME]


async def test_a_way_in_is_opened_once_to_each_who_goes(town: Town) -> None:
    """However they say it, and not again with what they say later; who said that they can't, and
    then goes after all, has it opened anew."""
    path = await asked(town)
    await tapped(town, path, "accept")
    await tapped(town, path, "accept")
    await tapped(town, path, "on_scene")
    assert await opened(town) == [SECONDS_NAME]
    await town.reply(HEAD, "1")
    assert await opened(town) == [SECONDS_NAME, HEADS_NAME]
    await tapped(town, path, "decline")
    await tapped(town, path, "accept")
    assert await opened(town) == [SECONDS_NAME, HEADS_NAME, SECONDS_NAME]
    await tapped(town, path, "resolve:safe")
    assert await opened(town) == [SECONDS_NAME, HEADS_NAME, SECONDS_NAME]


async def test_who_comes_to_the_door_without_a_word_has_it_opened_too(town: Town) -> None:
    """"Nobody opens" from somebody who has not accepted is "at the door": the way in is theirs."""
    path = await asked(town)
    await tapped(town, path, "no_answer")
    assert await opened(town) == [SECONDS_NAME]
    assert WAY_IN in await looked(town, path)


async def test_the_errand_by_taps(town: Town) -> None:
    """Accept, at the door, safe, each by one tap; each tap twice is as good as once; the head hears
    that somebody goes and how it ended, once each."""
    path = await asked(town)
    for action, state in (("accept", "accepted"), ("on_scene", "on_scene"),
                          ("resolve:safe", "resolved")):  # fmt: skip
        for _ in range(2):
            await tapped(town, path, action)
        assert (await town.sos())["state"] == state
    alert = await town.sos()
    assert (alert["outcome"], alert["resolved_by"]) == ("safe", SECONDS_NAME)
    (going_, ended) = await town.phone(HEAD)
    assert "前往" in going_
    assert "已了结" in ended
    await town.expect_sms(SECOND, "Noted")
    await town.no_more_sms()
    assert [c["cmd"] for c in await town.commands()] == ["help_coming", "resolved"]


async def test_two_taps_in_the_same_moment(town: Town) -> None:
    """Two taps at once make one promise."""
    path = await asked(town)
    answers = await asyncio.gather(*(tapped(town, path, "accept") for _ in range(3)))
    assert {a.status_code for a in answers} == {303}
    assert len((await town.sos())["responders"]) == 1
    await town.expect_sms(SECOND, "Noted")
    await town.expect_sms(HEAD, SECONDS_NAME)
    await town.no_more_sms()


async def test_cannot_go(town: Town) -> None:
    """A tap on "can't" calls the next at once and leaves this steward in peace."""
    path = await asked(town)
    await tapped(town, path, "decline")
    await town.expect_sms("+8610012000101", "求助")
    await town.expect_sms("+8610011000200", "求助")
    await town.expect_sms("+8610011000309", "求助")
    await town.expect_sms(HEAD, "求助")
    await town.no_more_sms()


async def test_nobody_opens(town: Town) -> None:
    """At the door and nobody opens: those with a key are called now; the steward stays at the door
    and can still say how it ended."""
    path = await going(town)
    await tapped(town, path, "no_answer")
    assert (await town.sos())["state"] == "on_scene"
    await town.expect_sms("+8610011000200", "求助")
    await town.expect_sms("+8610012000101", "求助")
    await tapped(town, path, "resolve:ambulance")
    assert (await town.sos())["outcome"] == "ambulance"


async def test_the_other_steward_sees_who_goes(town: Town) -> None:
    """While the head is on the way the other's page says who goes, gives no way in, and may still
    join; closing it is not theirs."""
    path = await asked(town)
    await town.reply(HEAD, "1")
    text = await looked(town, path)
    assert HEADS_NAME in text
    assert RESIDENT not in text
    assert WAY_IN not in text
    assert f"{path}/accept" in text
    assert "resolve" not in text
    await tapped(town, path, "accept")
    assert RESIDENT in await looked(town, path)
    assert (await town.sos())["responder"]["name"] == HEADS_NAME
    await town.reply(HEAD, "2")
    assert (await town.sos())["state"] == "on_scene"
    text = await looked(town, path)
    assert "you are at the door" not in text, "that is the head, not this one"
    assert f'first" formaction="{path}/on_scene"' in text


@pytest.mark.parametrize(("hours", "status"), [(11.9, 200), (12.1, 410)])
async def test_a_link_of_an_open_alert_lasts_twelve_hours(
    town: Town, hours: float, status: int
) -> None:
    """A link works through the shift; after twelve hours it opens nothing, and a tap on an old page
    changes nothing."""
    path = await going(town)
    await town.reply(HEAD, "2")
    town.hand.at_s += hours * 3600
    answer = await town.phones.get(f"{town.url}{path}")
    assert answer.status_code == status
    assert (RESIDENT in answer.text) is (status == 200)
    await tapped(town, path, "resolve:safe")
    assert ((await town.sos())["state"] == "resolved") is (status == 200)


async def test_who_accepts_after_twelve_hours_is_sent_no_dead_link(town: Town) -> None:
    """The link of the first SMS has ended and is not renewed: the confirmation says how to answer
    and leads nowhere. Who is told now for the first time has a link that works."""
    path = await asked(town)
    await town.reply(HEAD, "1")
    await town.reply(HEAD, "2")
    town.hand.at_s += 12.1 * 3600
    await town.forget_sms()
    await town.reply(SECOND, "1")
    text = await town.expect_sms(SECOND, "Noted: you go to", "Reply 2 at the door")
    assert "http" not in text
    assert (await town.phones.get(f"{town.url}{path}")).status_code == 410
    assert await opened(town) == [HEADS_NAME], "nothing was opened to the second"


async def test_who_cannot_go_is_known_by_more_than_a_name(town: Town) -> None:
    """Two contacts may have one name: only the one who said so has declined."""
    path = await asked(town)
    person = t.table(t.Person)
    await town.sql(lambda c: c.execute(update(person).values(name="陈姐")))
    await tapped(town, path, "decline")
    others = re.findall(r'<li><b>陈姐</b> <span class="fact">(.*?)</span>',
                        await looked(town, await head_page(town)))  # fmt: skip
    assert others.count("去不了") == 1
    assert len(others) > 1


async def head_page(town: Town) -> str:
    """The page of the building's head, whose first SMS had no room for its link."""
    alert, head = await town.sos(), await town.person(HEAD)
    token = town.runtime.house.token(alert["id"], head)
    row = (digest_of(token), alert["id"], head, "steward", town.runtime.clock.now() + LINK_LIFE)
    await town.sql(lambda c: alerts.add_links(c, [row]))
    return f"/s/{token}"


async def test_a_buttons_address_after_a_refusal_leads_back_to_the_page(town: Town) -> None:
    """Without a script the browser stands at the button's address after a 409: loading that again
    is the page, and nothing is done."""
    _, path = await a_worklist(town)
    assert (await tapped(town, path, "resolve:safe")).status_code == 409
    answer = await town.phones.get(f"{town.url}{path}/resolve:safe")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert (await town.phones.get(f"{town.url}/s/short/accept")).status_code == 404


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize("status", [405, 500])
async def test_an_error_under_a_link_is_the_stewards_own_page(
    town: Town, monkeypatch: pytest.MonkeyPatch, status: int, accept: str
) -> None:
    """In their letters, with the way back and 120, handed on to nobody and listed nowhere; and it
    is no sign that a tap was heard."""
    path = await asked(town)
    method = "GET"
    if status == 405:
        method = "PUT"
    else:
        def crash(*_: object) -> None:
            raise RuntimeError("of this test")

        monkeypatch.setattr(steward_page, "_content", crash)
    answer = await town.phones.request(method, f"{town.url}{path}", headers={"accept": accept})
    assert answer.status_code == status
    assert "没有打开,请再试" in answer.text
    assert f'href="{path}"' in answer.text
    assert 'href="tel:120"' in answer.text
    assert "steward.css" in answer.text
    assert "data-xunlou" not in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "noindex" in answer.headers["x-robots-tag"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_the_way_in_is_gone_with_the_end(town: Town) -> None:
    """Once it is over the page says so and shows no home any more; two hours later it is gone."""
    path = await going(town)
    await tapped(town, path, "resolve:safe")
    text = await looked(town, path)
    assert not [w for w in (RESIDENT, WAY_IN, KEY_HOLDER) if w in text]
    town.hand.at_s += 2 * 3600 + 1
    assert (await town.phones.get(f"{town.url}{path}")).status_code == 410


@pytest.mark.parametrize("token", ["A" * 22, "short", "x" * 500, "../../wall", "%00" * 9])
async def test_a_link_nobody_was_sent(town: Town, token: str) -> None:
    """A guessed link opens nothing, and pressing its buttons does nothing."""
    assert (await town.phones.get(f"{town.url}/s/{token}")).status_code in (404, 303, 307)
    assert (await town.phones.post(f"{town.url}/s/{token}/accept")).status_code in (404, 405)


async def test_an_action_that_is_none(town: Town) -> None:
    """A button that the page never had is not found and changes nothing."""
    path = await going(town)
    alert = await town.sos()
    assert (await tapped(town, path, "resolve:nonsense")).status_code == 404
    assert await town.sos() == alert


async def test_the_page_is_kept_nowhere(town: Town) -> None:
    """The page of a home is stored by no browser, listed by no robot, framed by no other site, and
    its address is handed to nobody; also where a link opens nothing."""
    path = await going(town)
    for where in (path, "/s/" + "A" * 22):
        headers = (await town.phones.get(f"{town.url}{where}")).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "noindex" in headers["x-robots-tag"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("kind", ["sos", "fall", "missed"])
async def test_the_first_sms_leads_to_the_page_before_accepting(tmp_path: Path, kind: str) -> None:
    """In Chinese too, where the address of links is short: the page says what the SMS left out,
    and one tap accepts. The digits are there for a telephone that opens no page."""
    async with a_town(tmp_path, link_url="https://xunlou.com") as town:
        if kind == "missed":
            await town.gateway_lives()
            await town.watch_until(datetime(2026, 3, 14, 19, 6, tzinfo=GZ))
        else:
            await town.press(kind)
        first = next(sms for sms in await town.phone(HEAD) if "https://" in sms)
        words = {"sos": "11栋3楼301求助!1去0不去", "fall": "11栋3楼301跌倒!1去0不去",
                 "missed": "11栋未报:"}[kind]  # fmt: skip
        assert words in first
        assert kind != "missed" or "01。回1去" in first, "the door, and the digit"
        assert "https://xunlou.com/s/" in first
        path = page_in(first)
        text = await looked(town, path)
        assert f"{path}/accept" in text
        assert ("84" in text and "独居" in text) is (kind != "missed")
        assert not [w for w in (RESIDENT, WAY_IN, KEY_HOLDER) if w in text]
        (alert,) = [
            a for a in await town.alerts(kind="missed" if kind == "missed" else "sos", building=11)
            if a["code"] in first
        ]
        assert alert["state"] == "open"
        await tapped(town, path, "accept")
        (alert,) = [
            a for a in await town.alerts(kind="missed" if kind == "missed" else "sos", building=11)
            if a["code"] in first
        ]
        assert alert["state"] == "accepted"


async def the_list(town: Town) -> dict[str, Any]:
    """The round's worklist of building 11; class A have alerts of their own beside it."""
    (worklist,) = [
        a for a in await town.alerts(kind="missed", building=11) if a["resident_id"] is None
    ]
    return worklist


async def a_worklist(town: Town) -> tuple[dict[str, Any], str]:
    """The evening's worklist of building 11, which its head has accepted, and the page of it."""
    await town.gateway_lives()
    await town.watch_until(datetime(2026, 3, 14, 19, 5, tzinfo=GZ) + timedelta(minutes=1))
    worklist = await the_list(town)
    await town.forget_sms()
    await town.reply(HEAD, f"1 {worklist['code']}")
    return worklist, page_in(await town.expect_sms(HEAD, "已记您去11栋"))


async def test_ticking_off_a_worklist(town: Town) -> None:
    """On the round's page a steward ticks the doors that are well; the others stay on the list,
    and a tick twice is one tick. Without a tick nothing is closed, and the page asks for it."""
    worklist, path = await a_worklist(town)
    text = await looked(town, path)
    assert RESIDENT not in text
    assert WAY_IN not in text
    assert text.count("没有音讯") + text.count("没有过音讯") == len(worklist["items"])
    assert re.search(r"\d+ 岁", text), "whom to expect behind the door"
    assert await opened(town) == []
    ids = [i["resident_id"] for i in worklist["items"]]
    for outcome in ("safe", "ambulance", "false_alarm"):
        refused = await tapped(town, path, f"resolve:{outcome}")
        assert refused.status_code == 409
        assert "请先勾选" in refused.text
    worklist = await the_list(town)
    assert {i["state"] for i in worklist["items"]} == {"open"}, "no tick, no flat closed"
    for _ in range(2):
        await tapped(town, path, "resolve:safe", resident_id=[str(i) for i in ids[:2]])
    worklist = await the_list(town)
    done = [i["resident_id"] for i in worklist["items"] if i["state"] == "safe"]
    assert (sorted(done), worklist["state"]) == (sorted(ids[:2]), "accepted")
    await tapped(town, path, "resolve:safe", resident_id=[str(i) for i in ids])
    worklist = await the_list(town)
    assert worklist["state"] == "resolved"


async def test_whom_to_expect_is_for_who_goes(town: Town) -> None:
    """Who was on a worklist and can't go after all sees its doors alone: no age, nothing of who
    lives alone or since when nobody heard of them."""
    worklist, path = await a_worklist(town)
    assert re.search("岁.*音讯", await looked(town, path), re.DOTALL)
    await tapped(town, path, "decline")
    text = await looked(town, path)
    assert worklist["items"][0]["label"] in text
    assert not re.search("岁|独居|音讯", text)
