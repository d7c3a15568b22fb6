"""The rotas as stored: who has which shifts, of the care centre and of the houses, and where nobody
stands on duty."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping

from server.core import rota
from server.core.words import Role
from server.database import Tx
from server.service import history
from server.service.history import Via
from server.service.refusals import Refused, Unknown
from server.store import communities, journal, people, rosters
from server.store.communities import CommunityFacts
from server.tables import to_ms

Json = dict[str, Any]
Own = Mapping[int, tuple[rota.Shift, ...]]
"""Shifts by person; who has none is not in it."""
MOST_SHIFTS = 20


def set_shifts(
    tx: Tx, person_id: int, own: Sequence[rota.Shift], *, who: str, why: str, via: str = Via.API
) -> None:
    """Give somebody of the care centre, a steward or a substitute these shifts (none: always on
    duty), with who and why. Who has the duty as well has the desk's shifts, and is always on duty
    at home.

    Raises Unknown, or Refused for somebody who has no role with a rota.
    """
    roles = people.roles_of(tx.conn, person_id)
    if not roles:
        raise Unknown(f"person {person_id} stands on no step of a ladder; check the register")
    if not any(r["role"] in rosters.WITH_A_ROTA for r in roles):
        raise Refused(f"person {person_id} has no rota; give them the role duty, steward or "
                      "substitute first",
                      zh="此人没有排班,请先登记为值班员、楼管员或替补。")  # fmt: skip
    name = people.person(tx.conn, person_id)["name"]
    was, now = rosters.shifts(tx.conn).get(person_id, ()), tuple(own)
    rosters.set_shifts(tx.conn, person_id, own)
    desks = sorted({r["community_id"] for r in roles if r["role"] == Role.DUTY})
    if was != now:
        shown = tuple(f"{name}: {_words(shifts)}" for shifts in (was, now))
        change = {"shifts": (shown[0], shown[1])}
        for desk in desks:
            history.note(tx, f"community:{desk}", change, who=who, why=why, via=via)
        if not desks:
            history.of_person(tx, person_id, change, who=who, why=why, via=via)
    journal.note(
        tx, "shifts_set", person_id=person_id, shifts=[shift_json(s) for s in own], by=who, why=why
    )


def _words(shifts: Sequence[rota.Shift]) -> str:
    """Shifts in figures, which need no language: "1-5 08:00–20:00". Always on duty: "0–24"."""
    return ", ".join(
        f"{''.join(str(d) for d in sorted(s.days))} {s.starts:%H:%M}–{s.ends:%H:%M}" for s in shifts
    ) or "0–24"


def shift_json(shift: rota.Shift) -> Json:
    """A shift as the API reads and writes it."""
    return {
        "days": sorted(shift.days), "starts": f"{shift.starts:%H:%M}", "ends": f"{shift.ends:%H:%M}"
    }  # fmt: skip


def _holes(
    standing: Sequence[RowMapping], own: Own, zone: ZoneInfo, now: datetime,
    ahead: timedelta = rota.HORIZON,
) -> tuple[rota.Span, ...]:
    # Nobody of the desk has shifts: everybody always has the duty.
    if not any(r["person_id"] in own for r in standing):
        return ()
    duty = tuple(
        rota.Duty(own.get(r["person_id"], ()), r["absent_until"])
        for r in standing
        if r["opted_out_at"] is None
    )
    return rota.gaps_ahead(duty, zone, rota.minute_of(now), ahead)


def first_gap(
    standing: Sequence[RowMapping], own: Own, zone: ZoneInfo, now: datetime
) -> str | None:
    """The first hole in a desk's rota within the next 24 hours, in its community's time, or None.
    `standing`: its people (`rosters.duty`); `own`: their shifts, and perhaps others'."""
    gaps = _holes(standing, own, zone, now)
    if not gaps:
        return None

    def local(at: datetime | None) -> str:
        return f"{at.astimezone(zone):%m-%d %H:%M}" if at else "…"

    return f"{local(gaps[0].start)} – {local(gaps[0].end)}"


def _desk_of(conn: Connection, community_id: int | None) -> CommunityFacts | None:
    """The community with this id; None: the first."""
    if community_id is None:
        return communities.first(conn)
    return communities.by_id(conn, community_id)


def _gaps(
    conn: Connection, community: CommunityFacts, now: datetime, ahead: timedelta = rota.HORIZON
) -> tuple[rota.Span, ...]:
    standing = rosters.duty(conn, [community.id])
    own = rosters.shifts(conn, {r["person_id"] for r in standing})
    return _holes(standing, own, community.zone, now, ahead)


def rota_view(conn: Connection, now: datetime, community_id: int | None = None) -> Json:
    """The whole rota of a community (None: the first): each person's shifts, who has the duty now,
    and the holes of the next day."""
    community = _desk_of(conn, community_id)
    if community is None:
        return {"duty": [], "gaps": []}
    zone, own = community.zone, rosters.shifts(conn)
    listed = []
    for r in rosters.duty(conn, [community.id]):
        shifts = own.get(r["person_id"], ())
        on_shift, changes = rota.turn(shifts, zone, now)
        away = r["absent_until"] is not None and r["absent_until"] > now
        listed.append(
            {
                "person_id": r["person_id"], "name": r["name"],
                "shifts": [shift_json(s) for s in shifts],
                "on_shift": on_shift,
                "shift_changes_ms": to_ms(changes) if changes else None,
                "absent_until_ms": to_ms(r["absent_until"]) if away else None,
                "opted_out": r["opted_out_at"] is not None,
            }
        )  # fmt: skip
    return {
        "tz": str(zone),
        "duty": listed,
        "gaps": [
            {"from_ms": to_ms(g.start) if g.start else None,
             "to_ms": to_ms(g.end) if g.end else None}
            for g in _gaps(conn, community, now)
        ],
    }  # fmt: skip


def rota_of(conn: Connection, person_id: int) -> CommunityFacts | None:
    """By whose clock somebody's shifts are read: of the first desk at which they have the duty,
    else of the house whose steward or substitute they are."""
    roles = sorted(
        (r for r in people.roles_of(conn, person_id) if r["role"] in rosters.WITH_A_ROTA),
        key=lambda r: int(r["id"]),
    )
    at = next((r for r in roles if r["role"] == Role.DUTY), None)
    if at is not None:
        return communities.by_id(conn, at["community_id"])
    return communities.of_building(conn, roles[0]["building_id"] if roles else None)


def of_person(conn: Connection, person_id: int, now: datetime) -> Json:
    """Somebody's own shifts, and whether they are on shift now."""
    community = rota_of(conn, person_id)
    assert community is not None, "a person has a role, and a role a community"
    own = rosters.shifts(conn, [person_id]).get(person_id, ())
    on_shift, changes = rota.turn(own, community.zone, now)
    return {
        "tz": str(community.zone), "person_id": person_id,
        "name": people.person(conn, person_id)["name"], "shifts": [shift_json(s) for s in own],
        "on_shift": on_shift, "shift_changes_ms": to_ms(changes) if changes else None,
    }  # fmt: skip


def week(conn: Connection, now: datetime, community_id: int | None = None) -> Json:
    """The rota of a community (None: the first) in the coming seven days as a table: `days`
    (dates), for each person their turns on each of them as "08:00–20:00" (None: always on duty),
    and the holes of these days."""
    community = _desk_of(conn, community_id)
    if community is None:
        return {"days": [], "people": [], "gaps": []}
    zone, own = community.zone, rosters.shifts(conn)
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=n) for n in range(7)]
    return {
        "days": [day.isoformat() for day in days],
        "people": [
            {
                "person_id": r["person_id"], "name": r["name"],
                "absent_until_ms": to_ms(r["absent_until"])
                if r["absent_until"] and r["absent_until"] > now else None,
                "opted_out": r["opted_out_at"] is not None,
                "turns": [
                    [f"{s.starts:%H:%M}–{s.ends:%H:%M}" for s in own[r["person_id"]]
                     if day.isoweekday() in s.days] for day in days
                ] if r["person_id"] in own else None,
            }
            for r in rosters.duty(conn, [community.id])
        ],
        "gaps": [
            {"from_ms": to_ms(g.start) if g.start else None,
             "to_ms": to_ms(g.end) if g.end else None}
            for g in _gaps(conn, community, now, rota.WEEK)
        ],
    }  # fmt: skip
