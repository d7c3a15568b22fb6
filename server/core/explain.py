"""Foresight: who would be told of an alert, when, and who would be passed over and why. Pure.

It walks the ladder as `alerts.climb` does while nobody accepts, and must never decide anything:
a test compares the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from server.core.ladder import Ladder, Person, Roster, Target
from server.core.words import Channel, Kind


class Why(StrEnum):
    """Why a step passes somebody over."""

    ABSENT = "absent"
    OPTED_OUT = "opted_out"
    OFF_SHIFT = "off_shift"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Somebody whom a step names and does not tell. `until`: of an absence, or when their next
    shift begins."""

    person: Person
    why: Why
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Rung:
    """One step foreseen. `nobody`: targets behind which no one stands at all."""

    index: int
    at: datetime
    wait_s: int
    targets: tuple[Target, ...]
    told: tuple[Person, ...]
    passed_over: tuple[PassedOver, ...]
    nobody: tuple[Target, ...]
    channels: tuple[Channel, ...] = (Channel.SMS,)


def foresee(
    ladder: Ladder, roster_at: Callable[[datetime], Roster], opened_at: datetime, *,
    kind: Kind = Kind.SOS,
) -> tuple[Rung, ...]:  # fmt: skip
    """The steps of an alert of `kind` opened at `opened_at` that nobody answers; the last is then
    repeated every `wait_s`. `roster_at` gives the people as they stand at an instant, because
    absences end while a ladder climbs."""
    rungs: list[Rung] = []
    at = opened_at
    # As `alerts.open_alert`: a press whose first step tells nobody does not stop before the desk.
    first = roster_at(at).people(ladder.steps[0].targets)
    until_duty = kind is Kind.SOS and not first
    for index, step in enumerate(ladder.steps):
        roster = roster_at(at)
        told = roster.people(step.targets)
        rungs.append(
            Rung(
                index, at, step.wait_s, step.targets, told,
                _passed_over(roster, step.targets),
                tuple(t for t in step.targets if not roster.named(t)),
                step.channels,
            )
        )  # fmt: skip
        if told and not (until_duty and Target.DUTY not in step.targets):
            at += timedelta(seconds=step.wait_s)  # a step with nobody to tell is passed at once
            until_duty = False
    return tuple(rungs)


def _passed_over(roster: Roster, targets: tuple[Target, ...]) -> tuple[PassedOver, ...]:
    found: dict[int, PassedOver] = {}
    for target in targets:
        standing = roster.behind(target)
        for person in (*standing, *roster.named(target)):
            if not person.reachable:
                why = Why.OPTED_OUT if person.absent_until is None else Why.ABSENT
                found[person.id] = PassedOver(person, why, person.absent_until)
            elif person not in standing:
                found[person.id] = PassedOver(person, Why.OFF_SHIFT, person.shift_changes_at)
    return tuple(found.values())
