"""The live feed on a real port: what happens is on the wall within a second, and nothing is lost
between two looks."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from town import API_TOKEN, Town

from server import feed
from server.store import journal

WITHIN_S = 1.0


@dataclass
class Event:
    """One server-sent event."""

    kind: str
    data: dict[str, Any]
    id: int | None


class Stream:
    """An open stream, read event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def next(self) -> Event:
        """The next event. Raises StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        while True:
            line = await anext(self._lines)
            if not line and "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                return Event(fields["event"], json.loads(fields["data"]), number)
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.strip()

    async def end(self) -> None:
        """Read until the server ends the stream."""
        async for _ in self._lines:
            pass

    async def until(self, kind: str, timeout_s: float = 5.0) -> Event:
        """The next event of this kind."""
        async with asyncio.timeout(timeout_s):
            while (event := await self.next()).kind != kind:
                pass
        return event

    async def change_with(self, entry: str) -> Event:
        """The next change in which this happened."""
        while True:
            event = await self.until("change")
            if entry in [e["kind"] for e in event.data["entries"]]:
                return event


@contextlib.asynccontextmanager
async def listening(town: Town, after: int | None = None) -> AsyncIterator[Stream]:
    """A listener whose stream is open."""
    query = {} if after is None else {"after": str(after)}
    async with town.api.stream("GET", "/api/v1/stream", params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer)
        first = await stream.next()
        assert first.kind == "heartbeat", "a listener hears at once that we live"
        yield stream


async def seq(town: Town) -> int:
    """The journal's last number."""
    return int((await town.api.get("/api/v1/snapshot")).json()["seq"])


async def test_a_press_is_on_every_wall_at_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two walls are open; somebody presses; the commit itself brings it to both (the look of every
    second is an hour away), with the window, the building, the alert and the counts as they now
    are. How soon, `tests.bench.wall` measures."""
    monkeypatch.setattr(feed, "LOOK_S", 3600.0)
    async with listening(town) as one, listening(town) as two:
        await town.press("checkin")
        await one.change_with("signal")  # from here on it waits for that hour
        await town.press()
        seen = [await s.change_with("alert_opened") for s in (one, two)]
        alert = await town.sos()
        for event in seen:
            (card,) = (a for a in event.data["alerts"] if a["id"] == alert["id"])
            assert (card["kind"], card["resident"]) == ("sos", "何桂芳")
            assert "sos" in event.data["flats"].values()
            assert event.data["buildings"][str(alert["building_id"])] == "sos"
            assert event.data["counts"]["sos"] == 1
            assert event.id == event.data["seq"] == event.data["entries"][-1]["seq"]


async def test_the_end_of_an_alert_is_shown_once(town: Town) -> None:
    """A resolved alert comes once more, as resolved, so that the wall can take it away."""
    await town.press()
    alert = await town.sos()
    await town.settled()
    async with listening(town, await seq(town)) as stream:
        await town.act(alert["id"], "resolve", outcome="safe")
        event = await stream.change_with("resolved")
    (card,) = event.data["alerts"]
    assert (card["state"], card["actions"]) == ("resolved", [])
    assert event.data["counts"]["sos"] == 0


async def test_heartbeats(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing happens the wall still hears that we live, and how fresh the terminals' side
    is; only so can it tell calm from blindness."""
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(feed, "LOOK_S", 0.05)
    await town.gateway_lives()
    async with listening(town) as stream:
        event = await stream.until("heartbeat", timeout_s=10)
    assert event.data["speed"] == 1.0
    assert event.data["ingest_lag_ms"] == 0
    assert event.data["canary_age_s"] is None, "this gateway sends none"
    assert event.data["blind_since"] is None
    assert event.data["now_ms"] == int(town.hand.at_s * 1000)


async def test_resuming_replays_just_what_was_missed(town: Town) -> None:
    """A wall that lost its line names the last number it saw and gets all that came after, each
    entry once and in order, before anything new."""
    await town.press()
    await town.settled()
    before = await seq(town)
    await town.act((await town.sos())["id"], "accept")
    await town.press("checkin", "gd-11-304")
    missed = [e["seq"] for e in await town.journal() if e["seq"] > before]
    got: list[int] = []
    async with listening(town, before) as stream:
        while len(got) < len(missed):
            got += [e["seq"] for e in (await stream.until("change")).data["entries"]]
        assert got == missed
        await town.press("checkin", "gd-11-303")
        event = await stream.until("change")
        assert event.data["entries"][0]["seq"] == missed[-1] + 1


@pytest.mark.parametrize("where", ["ahead", "far behind"])
async def test_a_gap_is_told_never_hidden(
    town: Town, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wall that is too far behind, or ahead of us (we were restored from a backup), is told to
    load everything anew; then it goes on with what is new."""
    monkeypatch.setattr(feed, "MOST_BEHIND", 1)
    await town.press()
    await town.settled()
    after = await seq(town) + 1000 if where == "ahead" else 0
    async with listening(town, after) as stream:
        assert (await stream.next()).kind == "reset"
        await town.press("checkin", "gd-11-303")
        await stream.change_with("signal")


async def test_a_stop_ends_every_stream_at_once(town: Town) -> None:
    """The server stops: open walls are let go within a second, and do not hold it up."""
    async with listening(town) as stream:
        stopped = time.monotonic()
        town.runtime.stop.set()
        async with asyncio.timeout(WITHIN_S):
            await stream.end()
        assert time.monotonic() - stopped < WITHIN_S


async def test_the_snapshot_and_its_number_agree(town: Town) -> None:
    """What the snapshot shows is true for its number: while presses keep coming, snapshot plus the
    changes after its number is the whole truth. Its view is taken after its number (only so can
    PostgreSQL skip nothing): what came in between is told twice, which changes nothing."""
    terminals = [f"gd-11-{flat}" for flat in ("301", "303", "304", "501", "503", "504")]
    pressing = asyncio.gather(*(town.press(terminal=t) for t in terminals))
    snapshots = [(await town.api.get("/api/v1/snapshot")).json() for _ in range(5)]
    await pressing
    await town.settled()
    everything = {a["id"] for a in await town.alerts(kind="sos")}
    assert len(everything) == len(terminals)
    journal = await town.journal()
    for snapshot in snapshots:
        shown = {a["id"] for a in snapshot["alerts"]}
        later = {
            e["alert_id"] for e in journal
            if e["seq"] > snapshot["seq"] and e["kind"] == "alert_opened"
        }  # fmt: skip
        assert shown | later == everything
        assert snapshot["counts"]["sos"] == len(shown)


async def test_a_wall_that_never_reads_holds_up_nobody(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One wall's computer has gone to sleep with its line open. Every other wall hears all there
    is while that line fills up; the sleeper is told to begin anew, and costs a bounded queue."""
    monkeypatch.setattr(feed, "QUEUE", 8)
    address = httpx.URL(town.url)
    sleeper = socket.socket()
    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sleeper.connect((address.host, address.port))
    sleeper.sendall(
        f"GET /api/v1/stream HTTP/1.1\r\nHost: {address.host}\r\n"
        f"Authorization: Bearer {API_TOKEN}\r\n\r\n".encode()
    )
    words = "x" * 200_000
    async with listening(town) as wall:
        async with asyncio.timeout(60):
            while len(town.runtime.feed._listeners) < 2:
                await asyncio.sleep(0.01)
            slow = next(iter(town.runtime.feed._listeners))
            for n in range(60):
                await town.runtime.database.write(
                    lambda tx, n=n: journal.note(tx, "noise", n=n, words=words)  # type: ignore[misc]
                )
                event = await wall.change_with("noise")
                assert n in [e["data"].get("n") for e in event.data["entries"]]
        assert any(listener.lost for listener in town.runtime.feed._listeners)
        assert slow.queue.qsize() <= 8
        await town.press()
        await wall.change_with("alert_opened")
    sleeper.settimeout(30)
    await asyncio.to_thread(until_reset, sleeper)
    sleeper.close()


def until_reset(sleeper: socket.socket) -> None:
    """Read on until the stream says that the snapshot has to be loaded again."""
    tail = b""
    while b"event: reset" not in tail:
        more = sleeper.recv(1 << 16)
        assert more, "the stream ended without a word"
        tail = tail[-20:] + more
