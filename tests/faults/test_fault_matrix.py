"""What breaks, and what holds: each cell presses for help, breaks something, looks from outside.

In each: no acknowledged event is lost, both stewards are told, at most one SMS too many a crash, no
receipt before its commit, and the house recovers by itself within the time stated in the cell.

`make faults` plays the long version: every pair of parts, each killed or hung, at moments that no
run has had before (FAULTS_SEED repeats one).
"""

import asyncio
import contextlib
import itertools
import os
import random
import resource
import sqlite3

import pytest

from tests.faults.house import House
from tests.leaks import leaks

pytestmark = pytest.mark.asyncio(loop_scope="module")
SEED = os.environ.get("FAULTS_SEED", "314")
LONG = bool(os.environ.get("FAULTS_LONG"))
PARTS = ("server", "gateway", "mosquitto")
PAIRS = [
    f"{how} {one}, {how_too} {other}"
    for one, other in itertools.combinations(PARTS, 2)
    for how, how_too in itertools.product(("kill", "stop"), repeat=2)
    if LONG or (how, how_too) == ("kill", "kill")
]
NO_LEASE = """CREATE TRIGGER no_lease BEFORE UPDATE ON message WHEN NEW.state = 'sending'
BEGIN SELECT RAISE(ABORT, 'test: no lease'); END"""
NO_RECORD = """CREATE TRIGGER no_record BEFORE UPDATE ON message
WHEN NEW.state IN ('sent', 'delivered') BEGIN SELECT RAISE(ABORT, 'test: no record'); END"""


async def test_nothing_broken(house: House) -> None:
    """The measure of all other cells: both stewards of four buildings are told in seconds."""
    async with house.cell("nothing", within_s=10) as cell:
        cell.press(4)


@pytest.mark.parametrize("part", PARTS)
async def test_killed_at_random_moments(house: House, part: str) -> None:
    """Three times kill -9 somewhere in the half second after two presses."""
    moments = random.Random(f"{SEED}:{part}")
    async with house.cell(f"kill -9 {part}, 3 random moments", crashes=3, within_s=40) as cell:
        for _ in range(3):
            child = house.supervisor.children[part]
            await house.until(lambda c=child: c.pid is not None, f"{part} runs")
            starts = child.starts
            cell.press(2)
            await asyncio.sleep(moments.uniform(0.0, 0.5))
            house.kill(part)
            await house.restarted(part, starts)
            await asyncio.sleep(moments.uniform(1.0, 1.5))
        cell.healed()


async def test_killed_before_the_lease(house: House) -> None:
    """Committed and not yet leased: the next server finds the messages and sends each once."""
    async with house.cell("kill -9 server, message queued", within_s=40) as cell:
        house.change(NO_LEASE)
        cell.press(2)
        await house.until(lambda: len(cell.codes()) == 2, "the alerts are stored")
        starts = house.supervisor.children["server"].starts
        house.kill("server")
        house.change("DROP TRIGGER no_lease")
        cell.healed()
        await house.restarted("server", starts)


async def test_killed_after_the_lease_before_the_send(house: House) -> None:
    """Leased, and the provider never read it: looked up, not found, sent, without waiting for the
    lease to run out, because on SQLite nobody else can be sending."""
    async with house.cell("kill -9 server, leased, not sent", crashes=1, within_s=12) as cell:
        await house.provider.set("hang")
        taken = house.provider.taken
        cell.press(1)
        await house.until(lambda: house.provider.taken >= taken + 2, "both are being sent")
        starts = house.supervisor.children["server"].starts
        house.kill("server")
        await house.provider.set("pass")
        await house.restarted("server", starts)
        await house.until_ready()
        cell.healed()


async def test_killed_after_the_send_before_the_record(house: House) -> None:
    """The provider has it and we have not noted it: looked up, found, and not sent again."""
    async with house.cell("kill -9 server, sent, not recorded", within_s=40) as cell:
        house.change(NO_RECORD)
        cell.press(1)
        await house.until(lambda: len(cell.told()) == 2, "the provider has both")
        starts = house.supervisor.children["server"].starts
        house.kill("server")
        house.change("DROP TRIGGER no_record")
        cell.healed()
        await house.restarted("server", starts)


async def test_killed_after_the_record(house: House) -> None:
    """Recorded as sent and never heard of again: no second SMS before the ladder's own time."""
    async with house.cell("kill -9 server, sent, no delivery report", within_s=40) as cell:
        house.exchange.faults.set("blackhole", number=None, count=2, error_code=0, ms=0)
        cell.press(1)
        await house.until(lambda: cell.messages("sent") == 2, "both are recorded")
        starts = house.supervisor.children["server"].starts
        house.kill("server")
        cell.healed()
        await house.restarted("server", starts)
        await house.until_ready()


@pytest.mark.parametrize("pair", PAIRS)
async def test_two_parts_break_within_a_second(house: House, pair: str) -> None:
    """While people press and check in, two parts are killed or hang, the second while the first is
    on its knees: every event of every terminal is stored once and has its receipt."""
    moments = random.Random(f"{SEED}:{pair}")
    blows = [words.split() for words in pair.split(", ")]
    async with house.cell(f"{pair} ({SEED})", crashes=2, within_s=60) as cell:
        starts = {}
        for _, part in blows:
            child = house.supervisor.children[part]
            await house.until(child.answers.is_set, f"{part} has answered its supervisor")
            starts[part] = child.starts
        for how, part in blows:
            cell.press(1)
            cell.check_in(10)
            await asyncio.sleep(moments.uniform(0.0, 0.5))
            (house.kill if how == "kill" else house.stop)(part)
        cell.press(1)
        cell.healed()
        for part, before in starts.items():
            await house.restarted(part, before, within_s=40)


@pytest.mark.parametrize("part", PARTS)
async def test_hung(house: House, part: str) -> None:
    """SIGSTOP: it holds its sockets and answers nothing. That is noticed, and it is restarted."""
    async with house.cell(f"SIGSTOP {part}", crashes=1, within_s=60) as cell:
        child = house.supervisor.children[part]
        starts = child.starts
        await house.until(child.answers.is_set, f"{part} has answered its supervisor")
        house.stop(part)
        cell.press(2)
        cell.healed()
        await house.restarted(part, starts, within_s=40)


async def test_the_provider_is_down(house: House) -> None:
    """Connections refused for six seconds; nothing is doubled."""
    async with house.cell("provider down 6 s", within_s=30) as cell:
        await house.provider.set("cut")
        cell.press(2)
        await asyncio.sleep(6)
        await house.provider.set("pass")
        cell.healed()


@pytest.mark.parametrize(
    ("kind", "count", "ms"),
    [("503", 12, 0), ("429", 12, 0), ("slow_ms", 4, 4000), ("timeout_after_accept", 4, 0)],
)
async def test_the_provider_is_ill(house: House, kind: str, count: int, ms: int) -> None:
    """Errors, slowness, and answers that never come although the text was taken."""
    async with house.cell(f"provider {kind} x{count}", within_s=60) as cell:
        house.exchange.faults.set(kind, number=None, count=count, error_code=0, ms=ms)
        cell.press(2)


async def test_the_disk_is_full(house: House) -> None:
    """No byte more can be written: no receipt is given and readiness says so; with space again,
    everything goes on without a restart."""
    async with house.cell("disk full 6 s", within_s=40) as cell:
        server = house.pid("server")
        free = resource.prlimit(server, resource.RLIMIT_FSIZE)
        resource.prlimit(server, resource.RLIMIT_FSIZE, (0, free[1]))
        try:
            cell.press(2)
            await asyncio.sleep(6)
            assert len(cell.untold()) >= 2, "nothing may be acknowledged from a full disk"
            assert not await house.ready()
        finally:
            resource.prlimit(server, resource.RLIMIT_FSIZE, free)
        cell.healed()


async def test_the_database_is_locked_by_another_program(house: House) -> None:
    """Somebody's tool holds the write lock for eight seconds, longer than a gateway waits."""
    async with house.cell("database locked 8 s", within_s=30) as cell:
        with contextlib.closing(sqlite3.connect(house.database, isolation_level=None)) as tool:
            tool.execute("BEGIN IMMEDIATE")
            cell.press(2)
            await asyncio.sleep(8)
            assert len(cell.untold()) >= 2
            tool.execute("ROLLBACK")
        cell.healed()


async def test_the_line_between_gateway_and_server_is_cut(house: House) -> None:
    """The gateway acknowledges nothing meanwhile, and empties its hands when the line is back."""
    async with house.cell("gateway-server cut 6 s", within_s=30) as cell:
        await house.upstream.set("cut")
        cell.press(2)
        await asyncio.sleep(6)
        assert len(cell.untold()) >= 2
        await house.upstream.set("pass")
        cell.healed()


async def test_the_line_between_gateway_and_server_hangs(house: House) -> None:
    """Taken and never answered: the time-out ends each try, and the last one gets through."""
    async with house.cell("gateway-server hangs 8 s", within_s=30) as cell:
        await house.upstream.set("hang")
        cell.press(2)
        await asyncio.sleep(8)
        await house.upstream.set("pass")
        cell.healed()


@pytest.mark.parametrize("hours", [2, -3])
async def test_the_clock_is_another_after_a_restart(house: House, hours: int) -> None:
    """Messages wait for the provider, the server dies, and comes back with a clock that is hours
    off: nobody waits for hours, and a new press is told as well."""
    async with house.cell(f"clock {hours:+} h at a restart", crashes=1, within_s=40) as cell:
        house.exchange.faults.set("503", number=None, count=1000, error_code=0, ms=0)
        cell.press(1)
        await house.until(lambda: cell.messages("queued") == 2, "both wait")
        starts = house.supervisor.children["server"].starts
        house.move_clock(hours)
        house.kill("server")
        house.exchange.faults.clear()
        cell.press(1)
        cell.healed()
        await house.restarted("server", starts)


async def test_a_flood_waits_in_the_broker_and_an_sos_is_not_behind_it(house: House) -> None:
    """The gateway is gone while thousands of check-ins pile up in the broker; when it is back, the
    press among them is told first, and every one of them is stored."""
    flood = 3000
    async with house.cell(f"broker holds {flood} check-ins", within_s=40) as cell:
        count = "SELECT count(*) FROM signal"
        before = house.sql(count)[0][0]
        house.stop("gateway")
        await asyncio.to_thread(house.publish_checkins, flood)
        cell.press(1)
        house.resume("gateway")
        cell.healed()
        await house.until(lambda: house.sql(count)[0][0] == before + flood + 1, "all stored", 60)


async def test_nobody_is_in_the_logs_the_metrics_or_the_errors(house: House) -> None:
    """After all that: every log, the metrics of both programs, and pages of errors, searched for
    every name, number and way in of the register."""
    texts = [p.read_text() for p in (house.place.directory / "log").iterdir()]
    assert sum(text.count('"level": "WARNING"') for text in texts) > 0, "nothing was broken"
    headers = {"Authorization": "Bearer metrics-token"}
    texts.append((await house.api.get("/metrics", headers=headers)).text)
    for path in ("/nowhere", "/s/wrong", "/api/v1/alerts/999999"):
        answer = await house.api.get(path)
        assert answer.status_code >= 400, path
        texts.append(answer.text)
    for text in texts:
        assert leaks(text, house.community) == []
