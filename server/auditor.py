"""Watches the watchman: outside the sweep, is anything overdue that should long have been done?

While all is well it pings an address outside the house (XUNLOU_DEADMAN_URL), whose owner raises
the alarm when the pings stop: a dead server can't say that it is dead. When something is stuck it
rings the bell itself; if that does not help, it texts whoever is on shift past the outbox, and the
pings stop too.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from server.channels.lines import Lines
from server.core import sight as core
from server.core.words import Fault
from server.database import Database
from server.runtime import WriteProbe
from server.service import raising, sight
from server.service.house import House
from server.store import overdue, rosters
from server.store import sight as gateways

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)
EVERY_S = 20.0
PATIENCE = timedelta(seconds=60)
"""So long may a due thing wait before somebody must know (real time)."""
ROUND_PATIENCE = timedelta(minutes=5)
"""So long may a worklist's message wait: at a round thousands wait for one sender's pace."""
AGAIN = timedelta(minutes=10)
"""The duty phones are not texted about the same trouble more often (real time)."""
PING_TIMEOUT_S = 10.0
KNOWN_FOR = timedelta(minutes=30)
"""So long do we rely on a rota that can't be read any more (real time): then shifts may have
changed, and everybody of the duty is texted."""
AUDIT_WITHIN_S = 20.0
"""An audit that takes longer is itself the trouble: a locked database answers nobody."""
WRITTEN_WITHIN_S = 10.0
"""So long may a write wait before people are called: a big import takes a few seconds."""
WORDS = "【巡楼】系统可能卡住:{what}。请看值班屏,并用电话核实。Xunlou is stuck: check."
DATABASE = "database"
"""It can't be read in time, or it can't be written: no press could be stored."""
LOOP = "loop"
"""The event loop, in which the auditor itself runs."""
NAMED = {
    overdue.STEPS: "求助", overdue.ROUNDS: "巡楼", overdue.MESSAGES: "短信",
    DATABASE: "数据库", "audit": "自检", LOOP: "服务器",
}  # fmt: skip
"""What is stuck, in the duty's words."""
SEGMENT = 70
"""Characters of one SMS that holds Chinese; a second segment may come late or not at all."""


def words(stuck: Sequence[str]) -> str:
    """The SMS to the duty: one segment, whatever is stuck."""
    return WORDS.format(what="、".join(NAMED[name] for name in stuck))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit found. `stuck` names what is overdue after the repair; `blind`: the chain of
    the canaries is broken somewhere; `repaired`: something was overdue and no longer is."""

    stuck: tuple[str, ...] = ()
    blind: bool = False
    repaired: bool = False

    @property
    def well(self) -> bool:
        """Whether the outside may be told that all is well."""
        return not self.stuck and not self.blind


@dataclass(slots=True)
class Auditor:
    """Audits every 20 s until stopped. `ring` is the sweep's bell."""

    database: Database
    house: House
    lines: Lines
    ring: Callable[[], Awaitable[None]]
    deadman_url: str = field(default="", repr=False)
    every_s: float = EVERY_S
    within_s: float = AUDIT_WITHIN_S
    probe: WriteProbe = field(default_factory=lambda: WriteProbe(patience_s=WRITTEN_WITHIN_S))
    """Whether a press could be stored: one that is not leaves no trace for `_look` to find."""
    _duty: list[str] = field(default_factory=list)
    _everybody: list[str] = field(default_factory=list)
    _known_at: datetime | None = None
    """When we last could ask who has the duty."""
    _texted_at: datetime | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Audit again and again; an audit that fails is itself a reason not to ping."""
        try:
            # Who has the duty, should we be stuck before the first audit; a database that hangs
            # must not keep us from that.
            async with asyncio.timeout(self.within_s):
                await self._ask_whom()
                await self._look()
        except Exception:
            log.exception("who has the duty could not be looked up yet; the audits go on")
        async with self._pinging() as client:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self.every_s)
                    return
                verdict = await self.audit()
                if verdict.well and client is not None:
                    await self._ping(client)

    @contextlib.asynccontextmanager
    async def _pinging(self) -> "AsyncIterator[httpx.AsyncClient | None]":
        if not self.deadman_url:
            yield None
            return
        import httpx  # six MiB, of no use to a house without such an address

        async with httpx.AsyncClient(timeout=PING_TIMEOUT_S) as client:
            yield client

    async def audit(self) -> Verdict:
        """Look, repair, look again, and tell people what the repair did not mend."""
        found = Verdict(("audit",))
        try:
            async with asyncio.timeout(self.within_s):
                await self._ask_whom()
                found = await self._look()
                if await self.probe.look(self.database) is None:
                    verdict = await self._repaired(found)
                else:  # neither a fault nor a step could be written
                    verdict = Verdict((*found.stuck, DATABASE), found.blind)
        except TimeoutError:
            # What hangs is named if we got so far as to see it.
            log.error("the audit hangs: the database or the sweep does not answer")
            verdict = Verdict(found.stuck or (DATABASE,))
        except Exception:
            # Whatever it is, people must hear of it: an auditor that can't look is an alarm.
            log.exception("the audit failed")
            verdict = Verdict(("audit",))
        if verdict.stuck:
            await asyncio.to_thread(self.tell_duty, verdict.stuck)
        return verdict

    async def _repaired(self, found: Verdict) -> Verdict:
        """Ring the bell where something is overdue, and say what is left; keep the fault."""
        if not found.stuck:
            await self._settle(found)
            return found
        log.error("overdue: %s; ringing the bell", ", ".join(found.stuck))
        await self.ring()
        after = await self._look()
        verdict = Verdict(after.stuck, after.blind, repaired=not after.stuck)
        await self._settle(verdict)
        return verdict

    async def _ask_whom(self) -> None:
        """Every telephone of the duty, by itself and first: whatever else can't be read then,
        somebody can be texted."""
        try:
            self._everybody = await self.database.read(rosters.duty_phones)
        except Exception:
            log.exception("the telephones of the duty can't be read")

    async def _look(self) -> Verdict:
        clock = self.database.clock
        now, second = clock.now(), timedelta(seconds=1) * clock.speed

        def look(conn: Connection) -> tuple[Verdict, list[str]]:
            stuck = overdue.stuck(
                conn, now - PATIENCE * clock.speed, now - ROUND_PATIENCE * clock.speed
            )
            # Nobody is judged while we are blind, so then a round is late on purpose.
            waits = overdue.judging_waits(conn)
            named = tuple(s for s in stuck if not (waits and s == overdue.ROUNDS))
            # Looked at, and not only read: what could not be written says nothing of an outage.
            seen = core.look(gateways.gateways(conn), now, sight.limits(second))
            blind = overdue.blind(conn) or seen.blind is not None or bool(seen.impaired)
            found = Verdict(named, blind)
            try:
                return found, rosters.phones_on_duty(conn, now)
            except Exception:
                log.exception("whose shift it is can't be read; all of the duty would be texted")
                return found, self._everybody

        found, self._duty = await self.database.read(look)
        self._known_at = now
        return found

    async def _settle(self, verdict: Verdict) -> None:
        """Open the fault that staff see, or close it."""
        house = self.house
        if verdict.stuck:
            what = ", ".join(verdict.stuck)
            await self.database.write(
                lambda tx: raising.fault(tx, house, Fault.STUCK, "server", detail=what)
            )
        else:
            is_open = await self.database.read(
                lambda c: overdue.fault_open(c, raising.subject(Fault.STUCK, "server"))
            )
            if is_open:
                await self.database.write(
                    lambda tx: raising.fault_over(tx, house, Fault.STUCK, ["server"])
                )

    def tell_duty(self, stuck: Sequence[str]) -> None:
        """Past the outbox, which may be what is stuck; at most every ten minutes. Blocks, and may
        be called from any thread: the event loop may be what is stuck (server/watchdog.py)."""
        clock = self.database.clock
        now = clock.now()
        if self._texted_at is not None and now < self._texted_at + AGAIN * clock.speed:
            return
        body = words(stuck)
        known = self._known_at is not None and now < self._known_at + KNOWN_FOR * clock.speed
        for phone in self._duty if known else self._everybody:
            if self.lines.text(phone, body):
                self._texted_at = now  # else the next audit, 20 s on, tries again
            else:
                log.error("the duty phone could not be texted")

    async def _ping(self, client: "httpx.AsyncClient") -> None:
        import httpx

        try:
            (await client.get(self.deadman_url)).raise_for_status()
        except httpx.HTTPError as error:
            # The address may hold a secret: name the error, not the address.
            log.warning("the dead-man address did not answer: %s", type(error).__name__)
