"""The Twilio stand-in's calls, driven by the official client over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.test_twilio_fake import LIANG, OURS, Bench, bench

ASKS = (
    '<Response><Gather action="{url}/webhooks/twilio/key" numDigits="1"><Say>11 floor 3</Say>'
    "</Gather><Say>Goodbye</Say><Hangup/></Response>"
)


@pytest.fixture
async def line() -> AsyncIterator[Bench]:
    """Phones that ring until somebody acts."""
    async with bench(calls_wait=True) as one:
        one.receiver.answer = ASKS.format(url=one.receiver.url)
        yield one


async def place(line: Bench, **more: Any) -> Any:
    """A call to Liang, through the official client; it rings when this returns."""
    call = await asyncio.to_thread(
        line.client.calls.create, to=LIANG, from_=OURS,
        url=f"{line.receiver.url}/webhooks/twilio/voice",
        status_callback=f"{line.receiver.url}/webhooks/twilio/ended",
        status_callback_event=["ringing", "answered", "completed"],
        machine_detection="Enable", timeout=25, **more,
    )  # fmt: skip
    await line.receiver.wait_for(lambda posts: any(p.path == "ended" for p in posts))
    return call


async def act(line: Bench, verb: str, digit: str = "") -> dict[str, Any]:
    """What Liang does with the telephone."""
    answer = await line.web.post(f"/phones/{LIANG}/call", json={"verb": verb, "digit": digit})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_call_is_placed_answered_and_a_key_is_told(line: Bench) -> None:
    """Ringing, words fetched with who picked up, the key, the end: each post signed, in order."""
    call = await place(line)
    assert (call.sid[:2], len(call.sid), call.status) == ("CA", 34, "queued")
    assert (await act(line, "answer"))["said"] == ["11 floor 3"]
    line.receiver.answer = "<Response><Say>Noted</Say><Hangup/></Response>"
    ended = await act(line, "key", "1")
    assert (ended["status"], ended["keys"], ended["said"][-1]) == ("completed", ["1"], "Noted")
    posts = line.receiver.posts
    assert [(p.path, p.form["CallStatus"]) for p in posts] == [
        ("ended", "ringing"), ("ended", "in-progress"), ("voice", "in-progress"),
        ("key", "in-progress"), ("ended", "completed"),
    ]  # fmt: skip
    assert all(p.valid and p.form["CallSid"] == call.sid for p in posts)
    assert posts[2].form["AnsweredBy"] == posts[4].form["AnsweredBy"] == "human"
    assert posts[3].form["Digits"] == "1"
    fetched = await asyncio.to_thread(line.client.calls(call.sid).fetch)
    assert (fetched.status, fetched.answered_by) == ("completed", "human")
    listed = await asyncio.to_thread(line.client.calls.list, to=LIANG, limit=50)
    assert [c.sid for c in listed] == [call.sid]


async def test_the_list_of_calls_has_pages(line: Bench) -> None:
    """The official client walks them all, newest first, each once; a filter stays a filter."""
    placed = [(await place(line)).sid for _ in range(5)]
    found = await asyncio.to_thread(line.client.calls.list, to=LIANG, page_size=2)
    assert [c.sid for c in found] == placed[::-1]
    assert await asyncio.to_thread(line.client.calls.list, to=OURS, page_size=2) == []


@pytest.mark.parametrize(
    ("verb", "status"), [("busy", "busy"), ("no-answer", "no-answer"), ("failed", "failed"),
                         ("hang_up", "busy"), ("machine", "in-progress")],
)  # fmt: skip
async def test_a_call_that_reaches_nobody(line: Bench, verb: str, status: str) -> None:
    """Refused, let ring, cut off, or taken by a machine: the provider says which."""
    await place(line)
    call = await act(line, verb)
    assert call["status"] == status
    assert call["answered_by"] == ("machine_start" if verb == "machine" else None)


async def test_a_call_rings_out_by_itself() -> None:
    """Nobody acts: after its own time-out it is a missed call."""
    async with bench(rings_s=0.2) as line:
        await place(line)
        posts = await line.receiver.wait_for(lambda posts: len(posts) >= 2)
        assert posts[-1].form["CallStatus"] == "no-answer"


async def test_the_page_shows_a_ringing_telephone_and_answers_it(line: Bench) -> None:
    """Buttons to answer, to be a machine, to decline; then the words and the keys; without scripts
    too. A telephone that does not ring can't be answered."""
    early = await line.web.post(f"/phones/{LIANG}/call", json={"verb": "answer"})
    assert early.status_code == 409
    await place(line)
    page = (await line.web.get("/")).text
    assert "来电响铃" in page
    for verb in ("answer", "machine", "hang_up"):
        assert f'value="{verb}"' in page
    form = await line.web.post(f"/phones/{LIANG}/call/form", data={"verb": "answer"})
    assert form.status_code == 303
    page = (await line.web.get("/")).text
    assert "11 floor 3" in page
    assert 'value="key1"' in page
    line.receiver.answer = "<Response><Say>Noted</Say></Response>"
    await line.web.post(f"/phones/{LIANG}/call/form", data={"verb": "key1"})
    assert "Noted" in (await line.web.get("/")).text


async def test_words_that_are_none_end_the_call(line: Bench) -> None:
    """A server that answers nonsense leaves the person with a dead line, as at the provider."""
    line.receiver.answer = "<!DOCTYPE x><Response/>"
    await place(line)
    call = await act(line, "answer")
    assert (call["status"], call["said"]) == ("completed", [])
