"""What must hold after every commit and at the end, judged from the rows and from the true story.

Reads with plain SQL through a connection of its own, so that a mistake in server/store cannot hide
itself here.
"""

import json
import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from server.core import rounds
from server.core.messages import segments
from server.core.words import OUTCOMES_OF_PEOPLE, SIGNS_OF_LIFE, Kind, Outcome, State, Template
from server.service.house import PLACEHOLDER
from server.store.outbox import CALLS
from tests.simulation.engine import Violation, World
from tests.simulation.homes import Gateway, Homes
from tests.simulation.people import People
from tests.simulation.plan import Plan
from tests.simulation.provider import Carrier, Copy, Provider
from tests.simulation.remedies import Remedies
from tests.simulation.servers import GAP_S, SETTLE_S, Servers
from tests.simulation.timing import Timing

SLACK_S = 4.0
"""The sweep's second, its transactions, and the other server's turn."""
LONGEST_LEASE_S = 31.0
LONGEST_WAIT_S = 60 * 60 + 5
STALE_CALL_S = 60.0
ANSWERS = (Template.WHICH, Template.OLD_CODE, Template.NOT_UNDERSTOOD, Template.NOTHING_OPEN,
           Template.ROUND_REPORTED, Template.REQUEST_NOTED)  # fmt: skip
"""Answers to who has just written to us, away or not."""
TOLD_OF_DRILLS = (Template.SOS, Template.FALL, Template.DUTY)
BACKOFF_S = (1, 2, 4, 8, 15)
CODE_REST_MS = 30 * 86_400_000
RANK = {"queued": 0, "sending": 1, "sent": 2, "delivered": 3, "undelivered": 3, "failed": 3,
        "cancelled": 3}  # fmt: skip


def insist(holds: bool, rule: str, **facts: object) -> None:
    """Raise Violation with the rule's words and the facts when it does not hold."""
    if not holds:
        raise Violation(f"{rule}: " + ", ".join(f"{k}={v}" for k, v in facts.items()))


class Checks:
    """The invariants of one simulated town."""

    def __init__(
        self, world: World, plan: Plan, path: Path, servers: Servers, provider: Provider,
        people: People, gateway: Gateway, homes: Homes,
    ) -> None:
        self.world, self.plan, self.servers, self.provider = world, plan, servers, provider
        self.people, self.gateway, self.homes = people, gateway, homes
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.seq = self._one("SELECT coalesce(max(seq), 0) FROM journal")
        self.signal_id = 0
        self.alerts: dict[int, dict[str, Any]] = {
            r["id"]: dict(r) for r in self._rows("SELECT * FROM alert")
        }
        self.states: dict[int, str] = {}
        self.judged: Counter[tuple[int, str]] = Counter()
        self.judging: list[float] = []
        """Moments (server time) by which everybody overdue had to be judged."""
        self.opted_out: dict[str, float] = {}
        self.away: dict[str, tuple[float, float]] = {}
        """Telephone → since when (true time) and until when (server time) they are away."""
        self.message_id = 0
        self.commits = 0
        self.timing = Timing(world, servers, gateway, self._rows)
        self.remedies = Remedies(world, self._rows)
        servers.after_commit.append(self.after_commit)
        for carrier in provider.carriers:
            carrier.on_send = partial(self.on_send, carrier)
            carrier.on_accept = partial(self.on_accept, carrier)
        homes.on_receipt = self.on_receipt
        gateway.command = self.on_command

    def _rows(self, sql: str, *args: object) -> list[sqlite3.Row]:
        return self.db.execute(sql, args).fetchall()

    def _one(self, sql: str, *args: object) -> Any:
        return self.db.execute(sql, args).fetchone()[0]

    # after every commit

    def after_commit(self, _woken: set[str]) -> None:
        """Everything that one transaction can have broken."""
        self.commits += 1
        entries = self._rows("SELECT * FROM journal WHERE seq > ? ORDER BY seq", self.seq)
        for entry in entries:
            insist(entry["seq"] > self.seq, "the journal's numbers rise", seq=entry["seq"])
            self.seq = entry["seq"]
            if entry["kind"] == "missed":
                self._judged(entry)
        insist(self._one("SELECT coalesce(max(seq), 0) FROM journal") == self.seq,
               "the journal is only ever added to", seq=self.seq)  # fmt: skip
        self.timing.look()
        self._signals()
        self._alerts({e["alert_id"] for e in entries})
        self._messages()
        self._outages()
        for row in self._rows("SELECT p.phone, p.opted_out_at, max(a.absent_until) AS away FROM"
                              " person p LEFT JOIN assignment a ON a.person_id = p.id"
                              " GROUP BY p.id"):  # fmt: skip
            phone, until_s = row["phone"], (row["away"] or 0) / 1000
            if row["opted_out_at"] is None:
                self.opted_out.pop(phone, None)
            else:
                self.opted_out.setdefault(phone, self.world.now_s)
            if until_s <= self.world.server_s:
                self.away.pop(phone, None)
            elif self.away.get(phone, (0.0, 0.0))[1] <= self.world.server_s:
                self.away[phone] = (self.world.now_s, until_s)
            else:
                self.away[phone] = (self.away[phone][0], until_s)
        self._new_messages()

    def _new_messages(self) -> None:
        """Nobody is called who has opted out, or is away."""
        for row in self._rows("SELECT m.*, a.test FROM message m LEFT JOIN alert a ON a.id ="
                              " m.alert_id WHERE m.id > ? ORDER BY m.id", self.message_id):
            self.message_id = row["id"]
            if row["template"] in TOLD_OF_DRILLS:
                says = any(word in row["body"] for word in ("测试", "TEST", "This is a test"))
                insist(says == bool(row["test"]), "a drill is called one, and nothing else is",
                       message=row["id"], body=row["body"])  # fmt: skip
            insist(not row["test"] or row["template"] != Template.CALL_120,
                   "no drill asks for an ambulance", message=row["id"])
            insist(row["phone"] not in self.people.stopped, "nobody is told who has sent STOP",
                   message=row["id"], phone=row["phone"])
            if row["template"] in ANSWERS or row["person_id"] is None:
                continue
            for why, who in (("away", self.away), ("opted out", self.opted_out)):
                insist(row["phone"] not in who or row["state"] == "failed",
                       f"nobody is told who is {why}", message=row["id"], phone=row["phone"],
                       template=row["template"])  # fmt: skip

    def _signals(self) -> None:
        """A press that is stored has an open alert in the same transaction."""
        for row in self._rows("SELECT * FROM signal WHERE id > ? ORDER BY id", self.signal_id):
            self.signal_id = row["id"]
            if row["type"] in ("sos", "fall"):
                # A real press is never taken for a part of a drill.
                found = self._one(
                    "SELECT count(*) FROM alert a JOIN terminal t ON t.resident_id = a.resident_id"
                    " WHERE t.id = ? AND a.kind = 'sos' AND a.state <> 'resolved'"
                    " AND (? OR NOT a.test)",
                    row["terminal_id"], row["test"],
                )  # fmt: skip
                insist(found == 1, "a stored SOS has one open alert", press=tuple(row)[:4])
                other = self._one(
                    "SELECT count(*) FROM alert WHERE terminal_id = ? AND boot = ? AND seq = ?"
                    " AND test <> ?", row["terminal_id"], row["boot"], row["seq"], row["test"],
                )  # fmt: skip
                insist(other == 0, "the alert of a test press is a drill, and no other",
                       press=tuple(row)[:4])  # fmt: skip

    def _alerts(self, journalled: set[int]) -> None:
        said = ",".join(str(n) for n in journalled if n is not None) or "0"
        rows = self._rows(
            f"SELECT * FROM alert WHERE state <> 'resolved' OR resolved_at >= ? OR id IN ({said})",
            int(self.world.server_s * 1000) - 2000,
        )
        for row in rows:
            before = self.alerts.get(row["id"])
            if before is not None and before["version"] == row["version"]:
                continue
            now = dict(row)
            self.alerts[row["id"]] = now
            insist(row["id"] in journalled, "every change of an alert is journalled",
                   alert=row["id"], state=row["state"], kind=row["kind"], subject=row["subject"],
                   version=row["version"], before=before and before["version"])  # fmt: skip
            if before is None:
                self._code_is_new(now)
            else:
                insist(before["state"] != "resolved", "a closed alert stays closed",
                       alert=row["id"])  # fmt: skip
            if row["state"] == State.RESOLVED:
                self._closed(now)
            elif row["kind"] != Kind.FAULT:
                self._watched(now)
            elif before is None and row["fault"] in ("offline", "mains_lost"):
                self._no_parent(now)

    def _no_parent(self, row: dict[str, Any]) -> None:
        """What a building's or the area's fault explains is no fault of its own."""
        causes = ["power"] if row["fault"] == "mains_lost" else ["power", "network"]
        parents = [f"{level}_{cause}" for level in ("building", "area") for cause in causes]
        found = self._rows(
            f"SELECT fault FROM alert WHERE state <> 'resolved' AND opened_at < ? AND fault IN"
            f" ({','.join('?' * len(parents))}) AND (building_id IS NULL OR building_id = ?)",
            row["opened_at"], *parents, row["building_id"],
        )  # fmt: skip
        insist(not found, "a parent's fault explains its children", fault=row["fault"],
               terminal=row["terminal_id"], parent=[r["fault"] for r in found])  # fmt: skip

    def _outages(self) -> None:
        """Times of blindness follow each other, and one is over before the next begins."""
        rows = self._rows("SELECT * FROM blind_interval ORDER BY id DESC LIMIT 2")
        for row in rows:
            known = [row[c] for c in ("started_at", "ended_at", "drained_at") if row[c]]
            insist(known == sorted(known) or self.servers.went_back,
                   "an outage begins, ends and is drained in this order",
                   outage=tuple(row))  # fmt: skip
            insist((row["drained_at"] is None) == (row["current"] == 1),
                   "an outage is current until it is drained", outage=tuple(row))  # fmt: skip
        if len(rows) == 2:
            insist(rows[1]["drained_at"] is not None, "one outage is one row", outages=len(rows))

    def _code_is_new(self, row: dict[str, Any]) -> None:
        if not row["code"]:
            insist(row["kind"] == Kind.FAULT, "an alert has a code", alert=row["id"])
            return
        same = self._one(
            "SELECT count(*) FROM alert WHERE code = ? AND id <> ? AND"
            " (state <> 'resolved' OR max(opened_at, resolved_at) > ?)",
            row["code"], row["id"], row["opened_at"] - CODE_REST_MS,
        )  # fmt: skip
        insist(same == 0, "a code rests 30 days", alert=row["id"], code=row["code"])

    def _watched(self, row: dict[str, Any]) -> None:
        """An open alert has a next step, soon; a new SOS has told somebody."""
        insist(row["next_step_at"] is not None, "an open alert has a next step", alert=row["id"])
        wait_s = row["next_step_at"] / 1000 - self.world.server_s
        most = 20 * 60 if row["kind"] == Kind.SOS else LONGEST_WAIT_S
        insist(wait_s <= most + 1, "the next step is soon", alert=row["id"], wait_s=wait_s)
        # Of those who have an alert beside the house's list, the stewards are told by the list.
        told = self._one(
            "SELECT count(*) FROM message WHERE alert_id = ? OR alert_id IN (SELECT l.alert_id FROM"
            " alert_item i JOIN alert_item l ON l.resident_id = i.resident_id JOIN alert a ON"
            " a.id = l.alert_id WHERE i.alert_id = ? AND a.round_due_at = ? AND a.resident_id"
            " IS NULL)", row["id"], row["id"], row["round_due_at"],
        )  # fmt: skip
        last = len(json.loads(row["ladder"])["steps"])
        insist(told > 0 or row["step"] >= last, "somebody is told, or the ladder is exhausted",
               alert=row["id"])  # fmt: skip

    def _closed(self, row: dict[str, Any]) -> None:
        if row["kind"] == Kind.FAULT:
            return
        if row["test"] and (row["resolved_by"], row["outcome"]) == ("system", Outcome.OTHER):
            real = self._one("SELECT count(*) FROM alert WHERE subject = ? AND NOT test AND"
                             " opened_at = ?", row["subject"], row["resolved_at"])  # fmt: skip
            insist(real == 1, "a drill ends by a person, or by a real press", alert=row["id"])
            return
        by_person = row["outcome"] in OUTCOMES_OF_PEOPLE
        if by_person and row["resolved_by"] is None:
            self._ended_door_by_door(row)
            return
        if by_person:
            insist(row["resolved_by"] in self.people.closed_by,
                   "who closed an alert has said so", alert=row["id"], by=row["resolved_by"])
            return  # fmt: skip
        insist(row["kind"] == Kind.MISSED and row["outcome"] == Outcome.CHECKED_IN,
               "an SOS is closed by a person's outcome only", alert=row["id"],
               outcome=row["outcome"])  # fmt: skip
        for item in self._rows("SELECT * FROM alert_item WHERE alert_id = ?", row["id"]):
            seen = self._rows(
                "SELECT s.type FROM signal s JOIN terminal t ON t.id = s.terminal_id"
                " WHERE t.resident_id = ? AND s.received_at >= ?",
                item["resident_id"], row["opened_at"],
            )  # fmt: skip
            rung = self._one("SELECT count(*) FROM journal WHERE kind = 'checked_in_by_phone' AND"
                             " flat_id = ? AND at >= ?", item["flat_id"], row["opened_at"])
            insist(rung > 0 or any(s["type"] in SIGNS_OF_LIFE for s in seen),
                   "a worklist closes itself only when everybody on it was heard",
                   alert=row["id"], resident=item["resident_id"])  # fmt: skip

    def _ended_door_by_door(self, row: dict[str, Any]) -> None:
        """People have been at some doors of a list, and the last of it checked in."""
        insist(row["kind"] == Kind.MISSED, "an SOS is closed by a person", alert=row["id"])
        ends = [r["outcome"] for r in self._rows(
            "SELECT outcome FROM alert_item WHERE alert_id = ?", row["id"]
        )]  # fmt: skip
        said = [json.loads(r["data"]) for r in self._rows(
            "SELECT data FROM journal WHERE alert_id = ? AND kind = 'item_settled'", row["id"]
        )]  # fmt: skip
        names = {d["by"] for d in said if "by" in d}
        insist(Outcome.CHECKED_IN in ends and row["outcome"] in ends and bool(names)
               and names <= self.people.closed_by,
               "a list ends by those who were at its doors, and who checked in",
               alert=row["id"], ends=ends, names=names)  # fmt: skip

    def _messages(self) -> None:
        for row in self._rows("SELECT * FROM message"
                              " WHERE due_at IS NOT NULL OR updated_at >= ? OR id > ?",
                              int(self.world.server_s * 1000) - 1000,
                              max(self.states, default=0)):  # fmt: skip
            before, now = self.states.get(row["id"]), row["state"]
            self.states[row["id"]] = now
            insist(now not in ("queued", "sending") or row["due_at"] is not None,
                   "no message is forgotten on its way", message=row["id"], state=now)
            if before == now:
                continue
            if now in ("failed", "undelivered"):
                self.remedies.lost(row)
            insist(before is None or RANK[now] >= RANK[before] or RANK[before] <= 1,
                   "a message never goes back", message=row["id"], before=before, now=now)
            if now in ("sent", "delivered"):
                carrier = self.provider.voice if row["channel"] == "voice" else self.provider
                insist(carrier.has(row), "what is called sent has left", message=row["id"])

    def _judged(self, entry: sqlite3.Row) -> None:
        """Not blind, not twice, and not somebody who had been heard in time."""
        now_s, due = entry["at"] / 1000, json.loads(entry["data"])["due"]
        flat = entry["flat_id"]
        self.judged[(flat, due)] += 1
        self.timing.judged(flat)
        insist(self.judged[(flat, due)] == 1, "each resident is judged once a round",
               flat=flat, due=due)  # fmt: skip
        silent_s = now_s - self.gateway.last_contact_s
        insist(silent_s <= GAP_S + POLL_SLACK_S, "nobody is judged while we are blind",
               flat=flat, silent_s=round(silent_s, 1))  # fmt: skip
        settled_s = now_s - self.gateway.resumed_s
        insist(settled_s >= SETTLE_S - 0.1, "after blindness the queue comes in first",
               flat=flat, settled_s=round(settled_s, 1))  # fmt: skip
        blind = self._one("SELECT count(*) FROM blind_interval WHERE current = 1")
        insist(blind == 0, "nobody is judged before the outage is written off", flat=flat)
        state = self._one("SELECT state FROM resident WHERE flat_id = ?", flat)
        insist(state == "active", "nobody is judged who is away", flat=flat, state=state)
        deadline = datetime.fromisoformat(due)
        here = self.servers.community_of(flat)
        o = next(o for o in rounds.occurrences(here.plans, here.zone, deadline)
                 if deadline in (o.deadline, o.due_at))  # fmt: skip
        insist(now_s >= o.deadline.timestamp(), "nobody is judged before the deadline", flat=flat)
        owed = {p.name for p in self._owed_by(flat)}
        insist(o.name in owed, "nobody is judged in a round they don't owe", flat=flat, due=due)
        for s in self._rows(
            "SELECT s.* FROM signal s JOIN terminal t ON t.id = s.terminal_id"
            " JOIN resident r ON r.id = t.resident_id WHERE r.flat_id = ? AND s.received_at >= ?",
            flat, int(o.opens_at.timestamp() * 1000),
        ):  # fmt: skip
            press = self.homes.presses[(s["terminal_id"], s["boot"], s["seq"])]
            dated = press.ts_ok or s["received_at"] / 1000 - press.pressed_s < 1
            at = datetime.fromtimestamp(press.pressed_s, o.opens_at.tzinfo)
            # The last seconds are the network's: a live press is dated by its arrival.
            in_time = o.opens_at <= at < o.deadline - timedelta(seconds=5)
            if press.arrived is not None and press.arrived[1]:
                in_time &= press.arrived[0] < o.deadline.timestamp() - 1
            heard = s["type"] in SIGNS_OF_LIFE and dated and s["received_at"] < entry["at"]
            insist(not (heard and in_time),
                   "who was heard in time is not called missed", flat=flat, due=due,
                   press=(s["terminal_id"], s["boot"], s["seq"]), pressed=at.isoformat())
        rung = self._one("SELECT count(*) FROM journal WHERE kind = 'checked_in_by_phone' AND"
                         " flat_id = ? AND at >= ? AND at < ? AND seq < ?", flat,
                         int(o.opens_at.timestamp() * 1000), int(o.deadline.timestamp() * 1000),
                         entry["seq"])  # fmt: skip
        insist(rung == 0, "who said on the telephone that they are well is not called missed",
               flat=flat, due=due)  # fmt: skip

    # at the edges

    def on_send(self, carrier: Carrier, phone: str, body: str, reference: int) -> None:
        """Asked by the provider just before it takes a text or a call."""
        insist(carrier is not self.provider or segments(body) == 1, "an SMS is one segment",
               body=body)  # fmt: skip
        insist(reference not in carrier.in_doubt, "what may have left is looked up first",
               message=reference)  # fmt: skip
        self._after_its_wait(carrier, reference)
        insist(PLACEHOLDER not in body, "a link is filled in", message=reference)
        known_s = self.opted_out.get(phone)
        insist(known_s is None or self.world.now_s - known_s < 1.0,
               "nothing is sent to who has opted out", phone=phone, message=reference)
        row = self._rows("SELECT m.template, m.resident_id, m.attempt, a.resolved_at, a.id FROM"
                         " message m LEFT JOIN alert a ON a.id = m.alert_id WHERE m.id = ?",
                         reference)  # fmt: skip
        insist(bool(row), "what leaves has been written down before", message=reference)
        since_s, until_s = self.away.get(phone, (0.0, 0.0))
        insist(until_s <= self.world.server_s or self.world.now_s - since_s < 1.0
               or row[0]["template"] in ANSWERS, "nothing is sent to who is away",
               phone=phone, message=reference)  # fmt: skip
        if row[0]["resident_id"] is not None:
            self._rung(row[0])
        if row[0]["template"] in [c.value for c in CALLS] and row[0]["resolved_at"]:
            stale_s = self.world.server_s - row[0]["resolved_at"] / 1000
            insist(stale_s < STALE_CALL_S, "nobody is called to a closed alert",
                   alert=row[0]["id"], message=reference, stale_s=round(stale_s))  # fmt: skip

    def _after_its_wait(self, carrier: Carrier, reference: int) -> None:
        """Who did not take it is left in peace, each time for longer."""
        times, at_s = carrier.put_off.get(reference, (0, 0.0))
        if not times or self.plan.jumps_a_day or at_s <= self.servers.last_crash_s:
            return
        wait_s = BACKOFF_S[min(times, len(BACKOFF_S)) - 1]
        insist(self.world.now_s - at_s >= wait_s, "a provider that is busy is left in peace",
               message=reference, times=times, after_s=self.world.now_s - at_s)  # fmt: skip

    def _rung(self, row: sqlite3.Row) -> None:
        """A resident is rung only while they are awaited: neither away nor heard since."""
        found = self._rows("SELECT state, next_due_at FROM resident WHERE id = ?",
                           row["resident_id"])[0]  # fmt: skip
        due_s = (found["next_due_at"] or 0) / 1000
        if found["state"] == "active" and int(due_s) == row["attempt"]:
            return
        last = self._one("SELECT max(at) FROM journal WHERE flat_id = (SELECT flat_id FROM resident"
                         " WHERE id = ?)", row["resident_id"])  # fmt: skip
        known_s = self.world.server_s - last / 1000
        insist(known_s < 1.0, "no resident is rung who is away or was heard of",
               resident=row["resident_id"], state=found["state"], known_s=round(known_s, 1))

    def on_accept(self, carrier: Carrier, copy: Copy) -> None:
        """No more second copies than could not be avoided, of texts and of calls."""
        if len(carrier.by_reference[copy.reference]) < 2:
            return
        rows = self._rows("SELECT id, provider_id FROM message WHERE provider_id IS NOT NULL")
        extra = carrier.extra_copies({r["provider_id"]: r["id"] for r in rows})
        insist(extra <= carrier.excuses, "a second copy needs an excuse", extra=extra,
               by=carrier.prefix, excuses=carrier.excuses, crashes=self.servers.crashes,
               messages=[c[0].reference for c in carrier.doubled()])  # fmt: skip

    def on_receipt(self, receipt: Any) -> None:
        """A receipt is true: the row is there."""
        found = self._one(
            "SELECT count(*) FROM signal WHERE terminal_id = ? AND boot = ? AND seq = ?",
            receipt.t, receipt.boot, receipt.seq,
        )  # fmt: skip
        insist(found == 1, "a receipt is given after the commit", receipt=receipt)

    def on_command(self, _terminal: str, payload: dict[str, Any]) -> None:
        """`help_coming` only after a person accepted."""
        if payload["cmd"] == "help_coming":
            number = int(payload["cmd_id"][2:])
            alert = self._one("SELECT alert_id FROM command WHERE id = ?", number)
            said = self._one("SELECT count(*) FROM journal WHERE alert_id = ? AND kind IN"
                             " ('accepted', 'arrived', 'joined', 'declined')", alert)  # fmt: skip
            insist(said > 0, "help is announced only when somebody comes", alert=alert)

    # every few minutes

    def on_time(self) -> None:
        """Nothing that is due waits while a server runs."""
        running = [p.up_since_s for p in self.servers.processes if p.runs]
        if running:
            now_s, since_s = self.world.server_s, self.timing.since_s()
            if now_s - since_s > SLACK_S:
                oldest = (now_s - SLACK_S) * 1000
                for table, column, more in (
                    ("alert", "next_step_at", ""), ("alert", "emergency_look_at", ""),
                    ("message", "due_at", ""),
                    ("resident", "absent_until", "AND state = 'paused'"),
                ):  # fmt: skip
                    late = self._rows(
                        f"SELECT id, {column} AS due FROM {table} WHERE {column} < ? {more}", oldest
                    )
                    full = table == "message" and (self.timing.full(0) or self.timing.full(1))
                    insist(not late or full,
                           f"no {table} waits past its time", ids=[r["id"] for r in late],
                           late_s=[round(now_s - r["due"] / 1000, 1) for r in late])
                held = self._rows("SELECT id FROM message WHERE state = 'sending' AND due_at > ?",
                                  int((now_s + LONGEST_LEASE_S) * 1000))  # fmt: skip
                insist(not held, "no message stays in a dead server's hands",
                       ids=[r["id"] for r in held])
                sight_s = max(self.gateway.sight_s(), since_s)
                if now_s - sight_s > SLACK_S:
                    self.judging.append(now_s)
                    late = self._rows(
                        "SELECT id, next_due_at FROM resident WHERE state = 'active'"
                        " AND next_due_at < ?", oldest,
                    )  # fmt: skip
                    insist(not late, "a missed round is noticed in time", late=len(late))
        self.world.after(self.world.between(2, 120), self.on_time)

    def at_rest(self) -> None:
        """At the end, after hours in which nothing broke any more."""
        waiting = self._rows("SELECT id, state FROM message WHERE due_at < ?",
                             int((self.world.server_s - 60) * 1000))  # fmt: skip
        insist(not waiting, "every message has left or failed", waiting=[tuple(r) for r in waiting])
        lost = self._rows("SELECT id, state FROM message WHERE state IN ('queued', 'sending')"
                          " AND due_at IS NULL")  # fmt: skip
        insist(not lost, "no message is forgotten on its way", lost=[tuple(r) for r in lost])
        for terminal in self.homes.terminals:
            old = [p for p in terminal.pending.values() if self.world.server_s - p.pressed_s > 900]
            insist(not old, "every press has its receipt", terminal=terminal.id, pending=old)
        for key, press in self.homes.presses.items():
            if press.type in ("sos", "fall") and self.world.server_s - press.pressed_s > 900:
                found = self._one("SELECT count(*) FROM signal WHERE terminal_id = ? AND boot = ?"
                                  " AND seq = ?", *key)  # fmt: skip
                insist(found == 1, "no SOS is lost", press=key)
        for row in self._rows("SELECT id, state, step, ladder FROM alert WHERE kind = 'sos'"):
            reached = self._one("SELECT count(*) FROM message WHERE alert_id = ? AND state IN"
                                " ('sent', 'delivered')", row["id"])  # fmt: skip
            if row["state"] == "open" and reached == 0:
                insist(row["step"] >= len(json.loads(row["ladder"])["steps"]),
                       "an SOS has told somebody, or is red", alert=row["id"])  # fmt: skip
        blind = self._one("SELECT count(*) FROM blind_interval WHERE current = 1")
        insist(blind == 0, "no outage is left open once we see again")
        standing = self._rows("SELECT fault, building_id FROM alert WHERE state <> 'resolved' AND"
                              " (fault LIKE 'building_%' OR fault LIKE 'area_%')")  # fmt: skip
        insist(not standing, "what is mended is closed", standing=[tuple(r) for r in standing])
        self._rounds_complete()

    def _rounds_complete(self) -> None:
        """Whoever gave no sign of life in a round was judged missed in it, unless nobody could be
        judged until it was overtaken: by the next round's deadline, or by a sign of life in its
        window."""
        if self.plan.jumps_a_day:
            return  # who became overdue by a jump is not judged
        first = self.plan.start.date()
        for day in (first + timedelta(days=n) for n in range(self.plan.days)):
            for terminal in self.homes.terminals:
                flat = self._one(
                    "SELECT r.flat_id FROM resident r JOIN terminal t ON t.resident_id = r.id"
                    " WHERE t.id = ?", terminal.id,
                )  # fmt: skip
                for p in self._owed_by(flat):
                    o = rounds.occurrence(p, day, self.servers.community_of(flat).zone)
                    self._round_complete(terminal.id, flat, o)

    def _owed_by(self, flat: int) -> tuple[rounds.Plan, ...]:
        """The rounds that whoever lives there owes."""
        risk_class = self._one("SELECT risk_class FROM resident WHERE flat_id = ?", flat)
        return rounds.owed_by(self.servers.community_of(flat).plans, risk_class)

    def _round_complete(self, terminal: str, flat: int, o: rounds.Occurrence) -> None:
        if self._not_awaited(flat, o):
            return
        signs = [x.pressed_s for x in self.homes.presses.values()
                 if x.terminal == terminal and x.type in SIGNS_OF_LIFE]  # fmt: skip
        signs += [r["at"] / 1000 for r in self._rows(
            "SELECT at FROM journal WHERE flat_id = ? AND kind = 'checked_in_by_phone'", flat
        )]  # fmt: skip
        over_s = o.deadline.timestamp()
        seen = any(o.opens_at.timestamp() - 1 <= at <= over_s + 7200 for at in signs)
        zone = self.servers.community_of(flat).zone
        following = rounds.current(self._owed_by(flat), zone, o.deadline)
        overtaken_s = min(at for at in [*signs, following.deadline.timestamp()]
                           if at >= following.opens_at.timestamp())  # fmt: skip
        could_judge = any(over_s < at < overtaken_s for at in self.judging)
        insist(seen or not could_judge or self.judged[(flat, o.deadline.isoformat())] == 1,
               "who is silent in a round is looked for", terminal=terminal,
               due=o.deadline.isoformat())  # fmt: skip

    def _not_awaited(self, flat: int, o: rounds.Occurrence) -> bool:
        """Away at the deadline, or well on the telephone before it or soon after."""
        away, at_ms = False, int(o.deadline.timestamp() * 1000)
        for entry in self._rows("SELECT kind, at, data FROM journal WHERE flat_id = ? AND kind IN"
                                " ('resident_away', 'resident_back') ORDER BY seq", flat):
            data = json.loads(entry["data"])
            over = datetime.fromisoformat(data["since"]) if "since" in data else None
            if over is None and entry["at"] <= at_ms:
                away = True
            elif over is not None and over <= o.deadline:
                away = False
        rung = self._one("SELECT count(*) FROM journal WHERE kind = 'checked_in_by_phone' AND"
                         " flat_id = ? AND at BETWEEN ? AND ?", flat,
                         int(o.opens_at.timestamp() * 1000), at_ms + 7_200_000)  # fmt: skip
        return away or rung > 0


POLL_SLACK_S = 1.0
