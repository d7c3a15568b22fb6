"""One seed, one story: builds the town, lets it live, and says what was found."""

import gc
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from server import migrate
from server.core import rounds
from server.core.messages import Ways
from server.database import Database
from server.service.house import House
from server.tables import to_ms
from tests.simulation.checks import Checks
from tests.simulation.engine import Violation, World
from tests.simulation.homes import Gateway, Homes
from tests.simulation.people import People
from tests.simulation.plan import moments, plan
from tests.simulation.provider import Provider
from tests.simulation.servers import Servers, fast
from xunlou.seed import load

CALM_S = 2 * 3600
"""Two hours without faults at the end: whatever is still open must come to rest."""
OLD_ALERTS = 30
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one seed."""

    seed: int
    events: int
    commits: int
    sms: int
    crashes: int
    violation: str | None
    story: tuple[str, ...]
    faults: tuple[tuple[str, int], ...] = ()
    """What went wrong, by kind, and how often."""
    worst: tuple[tuple[str, float], ...] = ()
    """What was done latest of each kind, s after the ring that had to do it."""


class Ground:
    """A database file that every seed starts afresh from; one per process, for its compiled SQL."""

    def __init__(self) -> None:
        base = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
        self._collected = gc.get_threshold()
        gc.freeze()  # what is imported stays; and a day makes few circles of its own
        gc.set_threshold(20_000, 20, 20)
        self._folder = tempfile.TemporaryDirectory(prefix="xunlou-sim-", dir=base)
        folder = Path(self._folder.name)
        self._empty = folder / "empty.db"
        migrate.upgrade(f"sqlite:///{self._empty}")
        self.path = folder / "town.db"
        self.database = Database(f"sqlite:///{self.path}", World(0, plan(0).start).clock())
        self.fails: Callable[[], bool] = lambda: False
        """Whether the disk refuses the commit that is asked of it now."""
        self.database.writer.dialect.do_commit = self._commit  # type: ignore[method-assign]
        fast(self.database.writer)
        fast(self.database.reader)

    def fresh(self) -> Database:
        """The same engines on an empty database."""
        self.database.writer.dispose()
        self.database.reader.dispose()
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._empty, self.path)
        return self.database

    def _commit(self, connection: Any) -> None:
        if self.fails():
            raise sqlite3.OperationalError("disk I/O error")
        connection.commit()

    def close(self) -> None:
        """Remove the file."""
        self.database.close()
        gc.set_threshold(*self._collected)
        self._folder.cleanup()


def _old_codes(path: Path, now_ms: int) -> None:
    """Closed alerts of last week whose codes the coming ones would be given first."""
    db, day = sqlite3.connect(path), 86_400_000
    for n in range(1, OLD_ALERTS + 1):
        code = str(1000 + (n + OLD_ALERTS) * 7919 % 9000)
        db.execute(
            "INSERT INTO alert (id, subject, kind, state, code, detail, fall, test, late,"
            " opened_at, step, repeats, responders, presses, cancelled_by_resident, outcome, note,"
            " resolved_at, resolved_by, version) VALUES (?, ?, 'sos', 'resolved', ?, '', 0, 0, 0,"
            " ?, 1, 0, '[]', 1, 0, 'safe', '', ?, 'operator', 3)",
            # Half of them had been open for weeks: their codes rest from the end on.
            (n, f"old:{n}", code, now_ms - (7 if n % 2 else 60) * day, now_ms - 6 * day),
        )
    db.commit()
    db.close()


def _telephones(path: Path) -> None:
    """Every resident has one, and each round rings those still awaited ten minutes before it is
    due."""
    db = sqlite3.connect(path)
    db.execute("UPDATE resident SET phone = '+86102' || printf('%09d', id)")
    for community, found in db.execute("SELECT id, rounds FROM community").fetchall():
        plans = json.loads(found)
        for plan_ in plans:
            hour, minute = (int(n) for n in plan_["due"].split(":"))
            minutes = hour * 60 + minute - 10
            plan_["call_at"] = f"{minutes // 60:02}:{minutes % 60:02}"
        db.execute("UPDATE community SET rounds = ? WHERE id = ?", (json.dumps(plans), community))
    db.commit()
    db.close()


def live(seed: int, ground: Ground, days: int = 1, verbose: bool = False) -> Found:
    """Run one seed to its end, or to the first violation."""
    p = plan(seed, days)
    world = World(seed, p.start, verbose)
    database = ground.fresh()
    database.clock = world.clock()
    database.transact(lambda tx: load(tx.conn, p.community, tx.now))
    if p.neighbours is not None:
        beside = p.neighbours
        database.transact(lambda tx: load(tx.conn, beside, tx.now, beside=1))
        world.fault("two communities")
    _old_codes(ground.path, to_ms(p.start))
    if p.rings_residents:
        _telephones(ground.path)
    house = House("https://x.example", b"a key of the simulation", ways=Ways())
    provider = Provider(world, p)
    servers = Servers(world, p, database, ground.path, house, provider)
    ground.fails = servers.commit_fails
    servers.settle()
    gateway = Gateway(world, p, servers)
    people = People(world, p, servers)
    homes = Homes(world, p, gateway)
    checks = Checks(world, p, ground.path, servers, provider, people, gateway, homes)
    provider.deliver, provider.status = people.receive, people.status
    provider.rings = people.ringing
    world.tell("plan", str({k: getattr(p, k) for k in p.__slots__ if k not in
                            ("community", "neighbours", "personas")}))  # fmt: skip
    violation = None
    try:
        for process in servers.processes:
            servers.boot(process)
        homes.live(servers.communities)
        people.absences()
        _troubles(world, p, servers, provider, gateway)
        world.after(900, people.desk)
        world.after(10, checks.on_time)
        world.run(p.start.timestamp() + days * 86400 - CALM_S)
        _calm(world, servers, provider, gateway, homes)
        world.run(p.start.timestamp() + days * 86400)
        checks.at_rest()
    except Violation as found:
        violation = str(found)
        world.tell("VIOLATION", violation)
    finally:
        ground.fails = lambda: False
        for process in servers.processes:
            if process.alive:
                process.down()
        servers.raw.close()
        checks.db.close()
    return Found(
        seed, world.events, checks.commits, len(provider.sent), servers.crashes, violation,
        tuple(world.story), tuple(sorted(world.faults.items())),
        tuple(sorted(checks.timing.worst.items())),
    )  # fmt: skip


def _troubles(world, p, servers, provider, gateway) -> None:  # type: ignore[no-untyped-def]
    rng = world.rng
    deadlines = [
        o.deadline.timestamp() - world.now_s
        for day in range(p.days)
        for facts in servers.communities
        for plan_ in facts.plans
        for o in [rounds.occurrence(plan_, p.start.date() + timedelta(days=day), facts.zone)]
    ]
    for at in moments(rng, p.crashes_a_day, p.days):
        world.after(at, servers.kill, rng.choice(servers.processes))
    upgrades = Random(f"restarts:{p.seed}")
    for at in moments(upgrades, p.restarts_a_day, p.days):
        world.after(at, servers.restart, upgrades.choice(servers.processes))
    for at in moments(rng, p.stalls_a_day, p.days):
        world.after(at, servers.stall, rng.choice(servers.processes), rng.uniform(2, 300))
    for at in moments(rng, p.jumps_a_day, p.days):
        world.after(at, servers.jump, rng.choice((1.0, 20.0, 120.0)))
    if p.rings_residents and p.provider_outages_a_day:  # while the residents' telephones ring
        rings = Random(f"rings:{p.seed}")
        for deadline in deadlines:
            if rings.random() < 0.4:
                world.after(deadline - 900 - rings.random() * 60, provider.outage)
    if len(servers.processes) == 1:  # with several a clock alone proves nothing, and none follows
        back = Random(f"back:{p.seed}")
        for at in moments(back, p.jumps_a_day / 2, p.days):
            world.after(at, servers.jump, back.choice((-1.0, -20.0, -120.0, -900.0)))
    if len({(p.start + timedelta(hours=h)).utcoffset() for h in range(24 * p.days)}) > 1:
        world.fault("a night of the clock")
    hurts = Random(f"outages:{p.seed}")
    for moment in moments(rng, p.provider_outages_a_day, p.days):
        # Half of them just when a round is judged and its messages are to leave.
        at = hurts.choice(deadlines) - 20 if hurts.random() < 0.5 else moment
        world.after(at, provider.outage)
    if p.days > 1 and p.gateway_outages_a_day:  # one has lasted 23 hours: whole rounds pass unseen
        long = Random(f"long outage:{p.seed}")
        at, hours = long.random() * (p.days - 1) * 86400, long.uniform(8, 26)
        world.after(at, gateway.outage, hours * 3600)
    for moment in moments(rng, p.gateway_outages_a_day, p.days):
        at, long_s = moment, rng.choice((30, 90, 600, 1800))
        if rng.random() < 0.5:  # where it hurts: over a deadline
            at = rng.choice(deadlines) - rng.random() * long_s
        world.after(at, gateway.outage, long_s)


def _calm(world, servers, provider, gateway, homes) -> None:  # type: ignore[no-untyped-def]
    """From now on nothing breaks, and everybody can be reached again."""
    world.tell("calm", "nothing breaks any more")
    world.calm = True
    provider.down_until_s = 0.0
    for terminal in homes.terminals:
        world.after(world.between(1, 60), homes._online, terminal)
    if not gateway.up:
        gateway._back()
