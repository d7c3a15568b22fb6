"""The Twilio stand-in, driven by the official client over real sockets.

If the official client and validator can't tell it from the provider, the server's channel
can be tested against it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from firmware_sim.phones import PhoneEntry, PhonesConfig, create_app

SID, TOKEN = "AC" + "0" * 32, "secret-of-the-simulation"
OURS = "+8610000000001"
LIANG, CHEN, DUTY = "+8610011000101", "+8610011000102", "+8610000000101"
BOOK = (
    PhoneEntry(LIANG, "梁玉珍", "steward", 11),
    PhoneEntry(CHEN, "陈国强", "steward", 11),
    PhoneEntry(DUTY, "值班室", "duty", None),
)
ALERT = "【巡楼】求助 11栋3楼301，请回1表示我去。代码{code}"


@asynccontextmanager
async def serve(app: FastAPI) -> AsyncIterator[str]:
    """The app on a free port of the loopback address; yields its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[config.bind_socket()]))
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@dataclass
class Post:
    """A post the receiver got, with what the official validator thinks of it."""

    path: str
    form: dict[str, str]
    valid: bool
    token: str


@dataclass
class Receiver:
    """Plays the server's webhooks: keeps every post, answers as told."""

    posts: list[Post] = field(default_factory=list)
    url: str = ""
    answer: str = "<Response/>"
    status: int = 200
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/webhooks/twilio/{kind}")
        async def hook(request: Request, kind: str) -> Response:
            form = {k: str(v) for k, v in (await request.form()).items()}
            signature = request.headers["X-Twilio-Signature"]
            valid = RequestValidator(TOKEN).validate(
                f"{self.url}{request.url.path}", form, signature
            )
            token = request.headers["I-Twilio-Idempotency-Token"]
            async with self.arrived:
                self.posts.append(Post(kind, form, valid, token))
                self.arrived.notify_all()
            return Response(self.answer, self.status, media_type="text/xml")

        return app

    async def wait_for(self, ready: Callable[[list[Post]], bool]) -> list[Post]:
        """The posts, once they satisfy the condition; fails after 5 s."""
        async with asyncio.timeout(5), self.arrived:
            await self.arrived.wait_for(lambda: ready(self.posts))
        return self.posts

    def statuses(self, sid: str) -> list[str]:
        return [
            p.form["MessageStatus"]
            for p in self.posts
            if p.form["MessageSid"] == sid and p.path == "status"
        ]


@dataclass
class Bench:
    """Phones, the official client, a browser's view and the server's webhooks."""

    url: str
    client: Client
    web: httpx.AsyncClient
    receiver: Receiver
    app: FastAPI

    async def sms(self, body: str = "hello", to: str = LIANG, **extra: Any) -> Any:
        extra.setdefault("from_", OURS)
        extra.setdefault("status_callback", f"{self.receiver.url}/webhooks/twilio/status")
        return await asyncio.to_thread(self.client.messages.create, to=to, body=body, **extra)

    async def settled(self, sid: str, count: int = 2) -> list[str]:
        await self.receiver.wait_for(lambda _: len(self.receiver.statuses(sid)) >= count)
        return self.receiver.statuses(sid)

    async def fault(self, **switch: Any) -> None:
        answer = await self.web.post("/faults", json=switch)
        assert answer.status_code == 201, answer.text

    async def texts(self, number: str) -> list[str]:
        answer = await self.web.get(f"/phones/{number}/messages")
        return [m["body"] for m in answer.json()["messages"]]


@asynccontextmanager
async def bench(**changes: Any) -> AsyncIterator[Bench]:
    receiver = Receiver()
    async with serve(receiver.app()) as receiver_url:
        receiver.url = receiver_url
        config = PhonesConfig(
            account_sid=SID,
            auth_token=TOKEN,
            from_number=OURS,
            webhook_base=receiver_url,
            clock=time.time,
            phones=BOOK,
            sent_delay_s=0.0,
            delivered_delay_s=0.0,
            tick_s=0.01,
        )
        app = create_app(replace(config, **changes))
        async with serve(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as web:
            client = Client(SID, TOKEN, http_client=TwilioHttpClient(timeout=5))
            client.api.base_url = url
            yield Bench(url, client, web, receiver, app)


@pytest.fixture
async def phones() -> AsyncIterator[Bench]:
    async with bench() as one:
        yield one


async def test_a_text_is_accepted_sent_delivered_and_told_with_valid_signatures(
    phones: Bench,
) -> None:
    """The client gets a full resource; both callbacks come in order and validate."""
    message = await phones.sms("求助 11栋3楼301 代码4031")
    assert message.sid.startswith("SM")
    assert len(message.sid) == 34
    assert (message.status, message.num_segments, message.direction) == (
        "queued",
        "1",
        "outbound-api",
    )
    assert (message.from_, message.to, message.account_sid) == (OURS, LIANG, SID)
    assert message.error_code is None
    assert message.date_sent is None
    assert abs(message.date_created - datetime.now(UTC)) < timedelta(seconds=10)

    assert await phones.settled(message.sid) == ["sent", "delivered"]
    assert all(post.valid for post in phones.receiver.posts)
    form = phones.receiver.posts[0].form
    assert form == {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": "sent",
        "SmsStatus": "sent",
        "To": LIANG,
        "From": OURS,
        "AccountSid": SID,
        "ApiVersion": "2010-04-01",
    }
    fetched = await asyncio.to_thread(phones.client.messages(message.sid).fetch)
    assert fetched.status == "delivered"
    assert fetched.date_sent is not None
    assert await phones.texts(LIANG) == ["求助 11栋3楼301 代码4031"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "12345"}, 21211),
        ({"to": "+86"}, 21211),
        ({"body": "x" * 1601}, 21617),
        ({"body": ""}, 21602),
        ({"from_": ""}, 21603),
        ({"from_": "+8610099999999"}, 21606),
        ({"to": OURS}, 21266),
        ({"status_callback": "not a url"}, 21609),
        ({"messaging_service_sid": "MGnone"}, 21701),
    ],
)
async def test_a_wrong_request_is_refused_with_the_providers_code(
    phones: Bench, changes: dict[str, str], code: int
) -> None:
    """The client raises its own exception with status and code, and no text is kept."""
    with pytest.raises(TwilioRestException) as caught:
        await phones.sms(**changes)
    assert (caught.value.status, caught.value.code) == (400, code)
    listed = (await phones.web.get("/phones?active=true")).json()
    assert listed["phones"] == []


async def test_wrong_credentials_get_401_in_the_providers_shape(phones: Bench) -> None:
    """A wrong token, another account, or none at all."""
    path = f"/2010-04-01/Accounts/{SID}/Messages.json"
    for auth in (None, (SID, "wrong"), ("AC" + "1" * 32, TOKEN)):
        answer = await phones.web.get(path, auth=auth)
        assert answer.status_code == 401
        assert answer.json() == {
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
        }
    other = await phones.web.get(path.replace(SID, "AC" + "1" * 32), auth=(SID, TOKEN))
    assert other.status_code == 401


async def test_a_message_sent_by_a_service_gets_its_sender_later(phones: Bench) -> None:
    """Accepted without a sender or a count; both are there once it is sent."""
    service = "MG" + "a" * 32
    message = await phones.sms(from_="", messaging_service_sid=service)
    assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
    await phones.settled(message.sid)
    assert phones.receiver.posts[0].form["MessagingServiceSid"] == service
    assert phones.receiver.posts[0].form["From"] == OURS
    fetched = await asyncio.to_thread(phones.client.messages(message.sid).fetch)
    assert (fetched.from_, fetched.num_segments) == (OURS, "1")


async def test_the_list_filters_and_pages_as_the_client_expects(phones: Bench) -> None:
    """By To, by day and by moment, over several pages, newest first; 404 for a stranger."""
    sids = [(await phones.sms(f"text {n}")).sid for n in range(7)]
    await phones.sms("other phone", to=CHEN)
    for sid in sids:
        await phones.settled(sid)

    listing = phones.client.messages
    everything = await asyncio.to_thread(listing.list, page_size=3)
    assert len(everything) == 8
    to_liang = await asyncio.to_thread(listing.list, to=LIANG, page_size=2)
    assert [m.sid for m in to_liang] == sids[::-1]
    now = datetime.now(UTC)
    assert (
        len(
            await asyncio.to_thread(
                listing.list, to=CHEN, date_sent_after=now - timedelta(minutes=1)
            )
        )
        == 1
    )
    assert await asyncio.to_thread(listing.list, date_sent_after=now + timedelta(minutes=1)) == []
    assert await asyncio.to_thread(listing.list, date_sent_before=now - timedelta(days=1)) == []
    assert len(await asyncio.to_thread(listing.list, date_sent=now)) == 8
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(listing("SM" + "0" * 32).fetch)
    assert (caught.value.status, caught.value.code) == (404, 20404)


async def test_an_answer_reaches_the_server_signed_with_all_parameters(phones: Bench) -> None:
    """The person types 1; the server's TwiML comes back to the phone as a text."""
    phones.receiver.answer = "<Response><Message>收到，谢谢</Message></Response>"
    answer = await phones.web.post(f"/phones/{LIANG}/send", json={"body": "1 我去"})
    assert answer.status_code == 201
    assert answer.json()["webhook"] == "200"
    (post,) = phones.receiver.posts
    assert post.valid
    assert post.path == "inbound"
    sid = post.form["MessageSid"]
    expected = {
        "SmsMessageSid": sid,
        "SmsSid": sid,
        "SmsStatus": "received",
        "AccountSid": SID,
        "From": LIANG,
        "To": OURS,
        "Body": "1 我去",
        "NumMedia": "0",
        "NumSegments": "1",
        "ApiVersion": "2010-04-01",
        "FromCity": "",
    }
    assert expected.items() <= post.form.items()
    await _until(lambda: phones.texts(LIANG), lambda t: t == ["1 我去", "收到，谢谢"])
    listed = await asyncio.to_thread(phones.client.messages.list, from_=LIANG)
    assert [(m.direction, m.status) for m in listed] == [("inbound", "received")]


async def _until(ask: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """The answer, once it is good; fails after 5 s."""
    async with asyncio.timeout(5):
        while not good(answer := await ask()):
            await asyncio.sleep(0.01)
    return answer


async def test_stop_bars_the_number_and_start_lets_it_back(phones: Bench) -> None:
    """The word goes to the server with OptOutType; the carrier confirms; 21610 until START."""
    await phones.web.post(f"/phones/{LIANG}/send", json={"body": "Stop"})
    assert phones.receiver.posts[0].form["OptOutType"] == "STOP"
    assert phones.receiver.posts[0].valid
    with pytest.raises(TwilioRestException) as caught:
        await phones.sms()
    assert (caught.value.status, caught.value.code) == (400, 21610)
    assert (await phones.sms(to=CHEN)).status == "queued"
    await _until(lambda: phones.texts(LIANG), lambda t: "unsubscribed" in t[-1])

    await phones.web.post(f"/phones/{LIANG}/send", json={"body": "START"})
    assert phones.receiver.posts[-1].form.get("OptOutType") == "START" or any(
        p.form.get("OptOutType") == "START" for p in phones.receiver.posts
    )
    assert (await phones.sms()).status == "queued"


@pytest.mark.parametrize("ending", ["undelivered", "failed"])
async def test_a_lost_text_is_told_with_its_error_code_and_never_reaches_the_phone(
    phones: Bench, ending: str
) -> None:
    """undelivered comes after sent, failed before it; both carry ErrorCode."""
    await phones.fault(kind=ending, number=LIANG, error_code=30005)
    message = await phones.sms()
    expected = ["sent", "undelivered"] if ending == "undelivered" else ["failed"]
    assert await phones.settled(message.sid, len(expected)) == expected
    assert phones.receiver.posts[-1].form["ErrorCode"] == "30005"
    assert phones.receiver.posts[-1].valid
    fetched = await asyncio.to_thread(phones.client.messages(message.sid).fetch)
    assert (fetched.status, fetched.error_code) == (ending, 30005)
    assert await phones.texts(LIANG) == []


async def test_503_and_429_refuse_once_and_keep_nothing(phones: Bench) -> None:
    """After the counted refusals the same request is accepted, and there is one text."""
    await phones.fault(kind="503")
    await phones.fault(kind="429")
    codes = []
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            await phones.sms()
        codes.append((caught.value.status, caught.value.code))
    assert codes == [(503, 20503), (429, 20429)]
    await phones.settled((await phones.sms()).sid)
    assert len(await phones.texts(LIANG)) == 1


async def test_accepted_then_timed_out_can_be_found_by_looking_up(phones: Bench) -> None:
    """The caller hears nothing, the text is delivered, the list shows it."""
    await phones.fault(kind="timeout_after_accept")
    phones.client.http_client.timeout = 0.5
    with pytest.raises(Exception, match=r"(?i)timed out"):
        await phones.sms("only once")
    await phones.receiver.wait_for(lambda posts: len(posts) >= 2)
    phones.client.http_client.timeout = 5
    found = await asyncio.to_thread(
        phones.client.messages.list,
        to=LIANG,
        date_sent_after=datetime.now(UTC) - timedelta(minutes=1),
    )
    assert [(m.body, m.status) for m in found] == [("only once", "delivered")]


async def test_callbacks_can_be_doubled_and_disordered(phones: Bench) -> None:
    """`delivered` before `sent`, each twice: the server has to bear it."""
    await phones.fault(kind="duplicate_callbacks")
    await phones.fault(kind="out_of_order")
    message = await phones.sms()
    statuses = await phones.settled(message.sid, 4)
    assert statuses == ["delivered", "delivered", "sent", "sent"]


async def test_a_black_hole_swallows_a_text_and_says_nothing(phones: Bench) -> None:
    """Accepted, and then neither a callback nor a text; the next one is normal."""
    await phones.fault(kind="blackhole")
    lost = await phones.sms("lost")
    await phones.settled((await phones.sms("next")).sid)
    assert phones.receiver.statuses(lost.sid) == []
    assert await phones.texts(LIANG) == ["next"]


async def test_a_fault_out_of_bounds_is_refused_and_delete_clears_all(phones: Bench) -> None:
    """422 says what to do; DELETE says how many there were."""
    answer = await phones.web.post("/faults", json={"kind": "earthquake"})
    assert answer.status_code == 422
    assert "undelivered" in answer.json()["detail"]
    await phones.fault(kind="slow_ms", ms=1, count=5)
    assert len((await phones.web.get("/faults")).json()["faults"]) == 1
    assert (await phones.web.delete("/faults")).json() == {"cleared": 1}
    assert (await phones.web.get("/faults")).json() == {"faults": []}


async def test_a_post_to_a_dead_server_is_tried_twice_and_the_phone_says_so() -> None:
    """No connection: two tries, then the text stays on the phone marked as not received."""
    async with bench(webhook_base="http://127.0.0.1:9") as phones:
        answer = await phones.web.post(f"/phones/{LIANG}/send", json={"body": "1"})
        assert answer.json()["webhook"] == "no connection"
        assert "没有送到服务器" in (await phones.web.get("/")).text


async def test_an_error_of_the_server_is_not_retried(phones: Bench) -> None:
    """As with the provider: an answer of 500 loses the post."""
    phones.receiver.status = 500
    answer = await phones.web.post(f"/phones/{LIANG}/send", json={"body": "1"})
    assert answer.json()["webhook"] == "500"
    assert len(phones.receiver.posts) == 1


async def test_automatic_stewards_answer_an_alert_in_virtual_time() -> None:
    """With a clock a thousand times faster: someone goes, arrives, reports; on their own phone."""
    start = time.time()
    clock = lambda: start + (time.time() - start) * 1000  # noqa: E731
    async with bench(auto_answer=True, clock=clock, speed=1000) as phones:
        # Ten alerts to both stewards: the chance that all twenty are refusals is nil.
        for code in range(4000, 4010):
            await phones.sms(ALERT.format(code=code), to=LIANG)
            await phones.sms(ALERT.format(code=code), to=CHEN)

        def third_word(posts: list[Post]) -> bool:
            return any(p.form.get("Body", "").startswith("3 ") for p in posts)

        posts = await phones.receiver.wait_for(third_word)
        done = next(p.form for p in posts if p.form.get("Body", "").startswith("3 "))
        code, number = done["Body"].split()[1], done["From"]
        words = [
            p.form["Body"]
            for p in posts
            if p.form.get("From") == number and p.form.get("Body", "").endswith(code)
        ]
        assert words == [f"1 {code}", f"2 {code}", f"3 {code}"]


async def test_the_page_shows_phones_with_texts_and_finds_the_others(phones: Bench) -> None:
    """Only active phones at first; a search finds a silent one; the frame is always there."""
    await phones.settled((await phones.sms("看 http://127.0.0.1:8000/s/abc <b>")).sid)
    page = (await phones.web.get("/")).text
    assert "模拟 · 不会发送真短信" in page
    assert "梁玉珍" in page
    assert "陈国强" not in page
    assert 'href="http://127.0.0.1:8000/s/abc"' in page
    assert "<b>" not in page.split('class="bubble theirs"')[1].split("</p>")[0]
    found = (await phones.web.get("/", params={"q": "国强"})).text
    assert "陈国强" in found
    assert "模拟 · 不会发送真短信" in found
    assert "陈国强" in (await phones.web.get("/", params={"q": "11栋"})).text
    assert "值班室" not in (await phones.web.get("/", params={"q": "11"})).text


async def test_updates_bring_each_change_once_and_survive_a_restart(phones: Bench) -> None:
    """After a sequence number only what changed; a page from another run is told to reload."""
    await phones.settled((await phones.sms()).sid)
    first = (await phones.web.get("/updates", params={"run": "another"})).json()
    assert first["cards"] == []
    run = first["run"]
    news = (await phones.web.get("/updates", params={"run": run, "after": 0})).json()
    assert [card["key"] for card in news["cards"]] == [LIANG.lstrip("+")]
    again = {"run": run, "after": news["seq"]}
    assert (await phones.web.get("/updates", params=again)).json()["cards"] == []
    await phones.web.post(f"/phones/{LIANG}/read")
    after_reading = (await phones.web.get("/updates", params=again)).json()
    assert "has-unread" in news["cards"][0]["html"]
    assert "has-unread" not in after_reading["cards"][0]["html"]


async def test_a_phone_nobody_has_is_404_and_a_plain_form_works(phones: Bench) -> None:
    """An unknown number is named; a browser without scripts can still answer."""
    missing = await phones.web.post("/phones/+8610099000000/send", json={"body": "1"})
    assert missing.status_code == 404
    answer = await phones.web.post(f"/phones/{LIANG[1:]}/reply", data={"body": "1"})
    assert answer.status_code == 303
    assert phones.receiver.posts[0].form["Body"] == "1"
