"""One seed, one story: builds the town, lets it live, and says what was found."""

import os
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from server import migrate
from server.core import rounds
from server.core.messages import Ways
from server.database import Database
from server.service.house import House
from server.store import people as people_store
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


class Ground:
    """A database file that every seed starts afresh from; one per process, for its compiled SQL."""

    def __init__(self) -> None:
        base = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
        self._folder = tempfile.TemporaryDirectory(prefix="xunlou-sim-", dir=base)
        folder = Path(self._folder.name)
        self._empty = folder / "empty.db"
        migrate.upgrade(f"sqlite:///{self._empty}")
        self.path = folder / "town.db"
        self.database = Database(f"sqlite:///{self.path}", World(0, plan(0).start).clock())
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

    def close(self) -> None:
        """Remove the file."""
        self.database.close()
        self._folder.cleanup()


def _old_codes(path: Path, now_ms: int) -> None:
    """Closed alerts of last week whose codes the coming ones would be given first."""
    db = sqlite3.connect(path)
    for n in range(1, OLD_ALERTS + 1):
        code = str(1000 + (n + OLD_ALERTS) * 7919 % 9000)
        db.execute(
            "INSERT INTO alert (id, subject, kind, state, code, detail, fall, test, late,"
            " opened_at, step, repeats, responders, presses, cancelled_by_resident, outcome, note,"
            " resolved_at, resolved_by, version) VALUES (?, ?, 'sos', 'resolved', ?, '', 0, 0, 0,"
            " ?, 1, 0, '[]', 1, 0, 'safe', '', ?, 'operator', 3)",
            (n, f"old:{n}", code, now_ms - 7 * 86_400_000, now_ms - 6 * 86_400_000),
        )
    db.commit()
    db.close()


def live(seed: int, ground: Ground, days: int = 1, verbose: bool = False) -> Found:
    """Run one seed to its end, or to the first violation."""
    p = plan(seed, days)
    world = World(seed, p.start, verbose)
    database = ground.fresh()
    database.clock = world.clock()
    database.transact(lambda tx: load(tx.conn, p.community, tx.now))
    _old_codes(ground.path, to_ms(p.start))
    house = House("https://x.example", b"a key of the simulation", ways=Ways())
    provider = Provider(world, p)
    servers = Servers(world, p, database, ground.path, house, provider)
    with database.reader.begin() as conn:
        facts = people_store.community(conn)
    assert facts is not None
    servers.plans = facts.plans
    gateway = Gateway(world, p, servers)
    people = People(world, p, servers)
    homes = Homes(world, p, gateway)
    checks = Checks(world, p, ground.path, servers, provider, people, gateway, homes)
    provider.deliver, provider.status = people.receive, people.status
    provider.rings = people.ringing
    world.tell("plan", str({k: getattr(p, k) for k in p.__slots__ if k not in
                            ("community", "personas")}))  # fmt: skip
    violation = None
    try:
        for process in servers.processes:
            servers.boot(process)
        homes.live(servers.plans)
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
        for process in servers.processes:
            process.on_crash = None
            process.crash("the end")
        servers.raw.close()
        checks.db.close()
    return Found(
        seed, world.events, checks.commits, len(provider.sent), servers.crashes, violation,
        tuple(world.story),
    )  # fmt: skip


def _troubles(world, p, servers, provider, gateway) -> None:  # type: ignore[no-untyped-def]
    rng = world.rng
    for at in moments(rng, p.crashes_a_day, p.days):
        world.after(at, rng.choice(servers.processes).crash, "any moment")
    for at in moments(rng, p.stalls_a_day, p.days):
        world.after(at, servers.stall, rng.choice(servers.processes), rng.uniform(2, 300))
    for at in moments(rng, p.jumps_a_day, p.days):
        world.after(at, servers.jump, rng.choice((1.0, 20.0, 120.0)))
    for at in moments(rng, p.provider_outages_a_day, p.days):
        world.after(at, provider.outage)
    deadlines = [
        o.deadline.timestamp() - world.now_s
        for day in range(p.days)
        for plan_ in servers.plans
        for o in [rounds.occurrence(plan_, p.start.date() + timedelta(days=day), p.zone)]
    ]
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
