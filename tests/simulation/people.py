"""Stewards, duty and staff: they answer in time, late, never, wrongly, twice, or opt out.

Every act is written into `World`-wide ledgers before it is carried out, so that the invariants can
ask whether a person really said what the database claims.
"""

import re
from collections import defaultdict
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from server.core import alerts as core
from server.core.words import Outcome
from server.database import Tx
from server.service import absences, acting, answering, calls, receipts, steward_page
from tests.simulation.engine import World
from tests.simulation.plan import Plan, moments
from tests.simulation.servers import Servers

CODE = re.compile(r"(?:代码|code )([0-9]{4,6})")
LINK = re.compile(r"/s/([A-Za-z0-9_-]{22})")
LATE = {"silent": "steward never answers", "slow": "steward answers late",
        "wrong": "steward answers wrongly", "twice": "steward answers twice",
        "declines": "steward can't go", "careless": "steward never comes"}  # fmt: skip
CALLS = ("求助", "跌倒", "SOS", "FALL", "未报平安", "without a check-in")
YES = ("1", " 1 ", "１", "收到", "ok.", "1")
RUBBISH = ("???", "什么", "在吗", "12", "7 7777")


class People:
    """Everybody with a telephone, and the operator at the desk."""

    def __init__(self, world: World, plan: Plan, servers: Servers) -> None:
        self.world, self.plan, self.servers = world, plan, servers
        self.closed_by: set[str] = set()
        """Names of people who ever said that something is over."""
        self.names = {p.phone: p.name for p in self._everybody()}
        self.stopped: set[str] = set()
        """Telephones whose STOP has reached us."""
        self._last_word: dict[str, str] = {}
        self._answered: set[tuple[str, str]] = set()
        self._serial = 0
        self.lost: defaultdict[str, int] = defaultdict(int)

    def _everybody(self) -> Any:
        for community in self.plan.communities:
            for building in community.buildings:
                yield from (s.person for s in building.stewards)
                yield from (f.resident.key_holder.person for f in building.flats
                            if f.resident and f.resident.key_holder)  # fmt: skip
            yield from community.duty

    def receive(self, phone: str, body: str) -> None:
        """An SMS arrives on a phone."""
        world = self.world
        match = CODE.search(body)
        if match is None or not any(word in body for word in CALLS) or "已" in body[:12]:
            return
        code, key = match[1], (phone, match[1])
        persona = self.plan.personas.get(phone, "slow")
        if world.calm:
            persona = "prompt"
        if persona in LATE:
            world.fault(LATE[persona])
        if key in self._answered or persona == "silent":
            return
        self._answered.add(key)
        link = LINK.search(body)
        wait = {"prompt": (10, 90), "slow": (120, 900)}.get(persona, (15, 300))
        at = world.between(*wait)
        if persona == "stops" and world.rng.random() < self.plan.stops:
            world.after(at, self.stop, phone)
            return
        if persona == "declines" and world.rng.random() < 0.6:
            world.after(at, self.say, phone, f"0 {code}")
            return
        if persona == "wrong":
            world.after(at * 0.5, self.say, phone, world.rng.choice((*RUBBISH, "1 0000")))
        first = f"1 {code}" if world.rng.random() < 0.7 else world.rng.choice(YES)
        if link and world.rng.random() < 0.25:
            world.after(at, self.page, phone, link[1], "accept")
        else:
            world.after(at, self.say, phone, first)
            if persona == "twice":
                world.after(at + world.between(0, 5), self.say, phone, first)
        if persona == "careless" and world.rng.random() < 0.5:
            return  # says yes and never comes
        at += world.between(60, 600)
        if world.rng.random() < 0.8:
            world.after(at, self.say, phone, f"2 {code}")
        at += world.between(60, 900)
        if link and world.rng.random() < 0.25:
            word = world.rng.choice(("resolve:safe", "resolve:ambulance", "no_answer"))
            world.after(at, self.page, phone, link[1], word)
        else:
            world.after(at, self.say, phone, f"3 {code}")

    def say(self, phone: str, body: str) -> None:
        """A person sends an SMS; the provider calls us, sometimes twice, again after an error."""
        self._serial += 1
        if body.strip()[:1] == "3":
            self.closed_by.add(self.names[phone])
        self.world.tell("people", f"{self.names[phone]} says {body!r}")
        self._last_word[phone] = body
        if body == "START":
            self.stopped.discard(phone)
        sms = answering.Sms(f"IN{self._serial:06}", phone, body)
        self.world.after(self.world.between(0.2, 5), self._inbound, sms, 3)
        if self.world.chance(self.plan.callback_twice):
            self.world.fault("reply twice")
            self.world.after(self.world.between(0.2, 60), self._inbound, sms, 1)

    def stop(self, phone: str) -> None:
        """STOP; the provider refuses from this moment on. Some come back."""
        self.servers.provider.stopped.add(phone)
        self.world.fault("STOP")
        self.say(phone, "STOP")
        if self.world.rng.random() < 0.7:
            self.world.after(self.world.between(600, 14400), self.start, phone)

    def start(self, phone: str) -> None:
        """START again."""
        self.servers.provider.stopped.discard(phone)
        self.say(phone, "START")

    def _call(self, name: str, use_case: Any, done: Any, failed: Any) -> None:
        alive = self.servers.alive
        process = self.world.rng.choice(alive or self.servers.processes)
        process.request(
            lambda: process.database.write(use_case, urgent=True), name, done, failed
        )

    def _inbound(self, sms: answering.Sms, tries: int) -> None:
        house = self.servers.house

        def again() -> None:
            if tries > 1:
                self.world.after(self.world.between(10, 60), self._inbound, sms, tries - 1)
            else:
                self.lost[sms.phone] += 1
                self.world.tell("provider", f"gives up on {sms.provider_id}")

        def taken(_result: None) -> None:
            if sms.body == self._last_word[sms.phone] == "STOP":
                self.stopped.add(sms.phone)

        self._call("a reply", lambda tx: answering.take_reply(tx, house, sms), taken, again)

    def status(self, message_id: int, state: str, error: str | None, tries: int = 2) -> None:
        """The provider's word on a message."""
        house = self.servers.house
        word = receipts.PROVIDER_STATES[state]

        def again() -> None:
            if tries > 1:
                self.world.after(15, self.status, message_id, state, error, tries - 1)

        self._call(
            "a receipt", lambda tx: receipts.take_delivery(tx, house, message_id, word, error),
            lambda _r: None, again,
        )  # fmt: skip

    def ringing(self, phone: str, message_id: int) -> None:
        """A telephone rings: some pick up and press a key, some have a machine, some are out."""
        world, house = self.world, self.servers.house
        persona = "prompt" if world.calm else self.plan.personas.get(phone, "slow")
        what = {"silent": "no-answer", "slow": "machine"}.get(persona, "person")
        if what == "person" and world.rng.random() < 0.3 and not world.calm:
            what = world.rng.choice(("busy", "no-answer", "failed", "machine"))
        by = {"person": "human", "machine": "machine_start"}.get(what, "")
        world.tell("people", f"{self.names.get(phone)} on the telephone: {what}")
        if what == "person":
            digit = "0" if persona == "declines" else world.rng.choice(("1", "1", "9", "5"))
            world.fault("a key in a call")
            self._serial += 1
            sid = f"KEY{self._serial:06}"
            at = world.between(5, 30)
            world.after(at, self._on_call, "words",
                        lambda tx: calls.answered(tx, house, message_id, by))
            key = partial(self._on_call, "a key", lambda tx: calls.pressed(
                tx, house, message_id, sid, 1, digit))
            world.after(at + 8, key)
            if world.chance(self.plan.callback_twice):
                world.after(at + 9, key)
        elif what == "machine":
            world.fault("answering machine")
            world.after(20, self._on_call, "words",
                        lambda tx: calls.answered(tx, house, message_id, by))
        if world.chance(self.plan.callback_lost):
            return
        end = receipts.call_ended("completed" if by else what, by)
        assert end is not None
        world.after(world.between(40, 60), self._on_call, "the end of a call",
                    lambda tx: receipts.take_delivery(tx, house, message_id, *end))

    def _on_call(self, name: str, use_case: Any) -> None:
        self._call(name, use_case, lambda _r: None, lambda: None)

    def absences(self) -> None:
        """Plan who goes away: those who are told for hours, residents for a day or two. Staff enter
        it, and some come back before the time."""
        world, rng = self.world, Random(f"absences:{self.plan.seed}")
        told = self.servers.raw.execute("SELECT DISTINCT person_id FROM assignment WHERE role <>"
                                        " 'duty' ORDER BY 1").fetchall()  # fmt: skip
        homes = self.servers.raw.execute("SELECT id FROM resident ORDER BY id").fetchall()
        for at in moments(rng, self.plan.away_a_day, self.plan.days):
            (person,), (home,) = rng.choice(told), rng.choice(homes)
            hours = rng.uniform(1, 12)
            world.after(at, self._away, person, hours)
            if rng.random() < 0.3:
                world.after(at + rng.random() * hours * 3600, self._back, person)
            if rng.random() < 0.5:
                later = at + rng.random() * 3600
                world.after(later, self._leaves_home, home, rng.uniform(4, 40))
                if rng.random() < 0.3:
                    world.after(later + rng.random() * 40000, self._comes_home, home)

    def _away(self, person: int, hours: float) -> None:
        self.world.tell("desk", f"person {person} is away for {hours:.1f} h")
        self.world.fault("steward away")
        self._call("an absence", lambda tx: absences.person_away(
            tx, self.servers.house, person, tx.now + timedelta(hours=hours), who="desk", why="away"
        ), lambda _r: None, lambda: None)  # fmt: skip

    def _back(self, person: int) -> None:
        self.world.tell("desk", f"person {person} is back")
        self._call("a return", lambda tx: absences.person_back(tx, person, who="desk"),
                   lambda _r: None, lambda: None)  # fmt: skip

    def _leaves_home(self, resident: int, hours: float) -> None:
        self.world.tell("desk", f"resident {resident} is away for {hours:.1f} h")
        self.world.fault("resident away")
        self._call("an absence", lambda tx: absences.begin(
            tx, resident, tx.now + timedelta(hours=hours), who="desk", why="away"
        ), lambda _r: None, lambda: None)  # fmt: skip

    def _comes_home(self, resident: int) -> None:
        self.world.tell("desk", f"resident {resident} is home again")
        self._call("a return", lambda tx: absences.end_early(tx, resident, who="desk"),
                   lambda _r: None, lambda: None)  # fmt: skip

    def page(self, phone: str, token: str, action: str) -> None:
        """A press on the steward's page."""
        house, name = self.servers.house, self.names[phone]
        if action.startswith("resolve"):
            self.closed_by.add(name)
        self.world.tell("people", f"{name} presses {action}")

        def act(tx: Tx) -> None:
            try:
                door = None
                if action.startswith("resolve"):
                    # A list is settled door by door; who has been at one goes on to the next.
                    items = steward_page.open_page(tx, token).stored.alert.items
                    left = [i.resident_id for i in items if i.outcome is None]
                    door = left[0] if left else None
                    if len(left) > 1:
                        self.world.after(45, self.page, phone, token, action)
                steward_page.act(tx, house, token, action, door)
            except (acting.Refused, acting.Unknown) as error:
                self.world.tell("people", f"{name} is told: {error}")

        self._call("the page", act, lambda _r: None, lambda: None)

    def desk(self) -> None:
        """The operator looks at what has been open for long, and sees to it."""
        world, house = self.world, self.servers.house
        patience = 1200 if world.calm else 2400
        since = int((world.server_s - patience) * 1000)
        rows = self.servers.raw.execute(
            "SELECT id, kind FROM alert WHERE state <> 'resolved' AND kind <> 'fault'"
            " AND opened_at < ? ORDER BY id", (since,)
        ).fetchall()  # fmt: skip
        actor = acting.operator("operator")
        for alert_id, kind in rows:
            if world.rng.random() < 0.5 and not world.calm:
                continue
            self.closed_by.add(actor.name)
            outcome = world.rng.choice((Outcome.SAFE, Outcome.HELPED, Outcome.AMBULANCE))
            event: core.Event = core.Resolve(actor, outcome)
            if world.chance(0.3):
                event = world.rng.choice((core.Accept(actor), core.Escalate(actor)))
            world.tell("desk", f"{type(event).__name__} of {kind} alert {alert_id}")

            def act(tx: Tx, a: int = alert_id, e: core.Event = event) -> None:
                try:
                    acting.act(tx, house, a, e, actor)
                except acting.Refused as error:
                    world.tell("desk", f"is told: {error}")

            self._call("the desk", act, lambda _r: None, lambda: None)
        world.after(world.between(300, 900), self.desk)
