"""The care centre's rota as stored: who has which shifts, and where nobody stands on duty."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from server.core import rota
from server.core.words import Role
from server.database import Tx
from server.service import history
from server.service.history import Via
from server.service.refusals import Refused, Unknown
from server.store import journal, people
from server.tables import to_ms

Json = dict[str, Any]
MOST_SHIFTS = 20


def set_shifts(
    tx: Tx, person_id: int, own: Sequence[rota.Shift], *, who: str, why: str, via: str = Via.API
) -> None:
    """Give a person of the care centre these shifts (none: always on duty), with who and why.

    Raises Unknown, or Refused for somebody who has no duty.
    """
    roles = people.roles_of(tx.conn, person_id)
    if not roles:
        raise Unknown(f"person {person_id} stands on no step of a ladder; check the register")
    if not any(r["role"] == Role.DUTY for r in roles):
        raise Refused(f"person {person_id} has no duty; give them the role duty first",
                      zh="此人不在值班室,请先登记为值班员。")  # fmt: skip
    name = people.person(tx.conn, person_id)["name"]
    was, now = people.shifts(tx.conn).get(person_id, ()), tuple(own)
    people.set_shifts(tx.conn, person_id, own)
    community = next(r["community_id"] for r in roles if r["role"] == Role.DUTY)
    if was != now:
        shown = tuple(f"{name}: {_words(shifts)}" for shifts in (was, now))
        history.note(
            tx, f"community:{community}", {"shifts": (shown[0], shown[1])}, who=who, why=why,
            via=via,
        )  # fmt: skip
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


def _gaps(
    conn: Connection, zone: ZoneInfo, now: datetime, ahead: timedelta = rota.HORIZON
) -> tuple[rota.Span, ...]:
    own = people.shifts(conn)
    if not own:  # nobody has shifts: everybody always has the duty
        return ()
    duty = tuple(
        rota.Duty(own.get(r["person_id"], ()), r["absent_until"])
        for r in people.duty(conn)
        if r["opted_out_at"] is None
    )
    return rota.gaps_ahead(duty, zone, rota.minute_of(now), ahead)


def first_gap(conn: Connection, zone: ZoneInfo, now: datetime) -> str | None:
    """The first hole in the rota within the next 24 hours, in the community's time, or None."""
    gaps = _gaps(conn, zone, now)
    if not gaps:
        return None

    def local(at: datetime | None) -> str:
        return f"{at.astimezone(zone):%m-%d %H:%M}" if at else "…"

    return f"{local(gaps[0].start)} – {local(gaps[0].end)}"


def rota_view(conn: Connection, now: datetime) -> Json:
    """The whole rota: each person's shifts, who has the duty now, and the holes of the next day."""
    community = people.community(conn)
    if community is None:
        return {"duty": [], "gaps": []}
    zone, own = community.zone, people.shifts(conn)
    listed = []
    for r in people.duty(conn):
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
            for g in _gaps(conn, zone, now)
        ],
    }  # fmt: skip


def week(conn: Connection, now: datetime) -> Json:
    """The rota of the coming seven days as a table: `days` (dates), for each person their turns on
    each of them as "08:00–20:00" (None: always on duty), and the holes of these days."""
    community = people.community(conn)
    if community is None:
        return {"days": [], "people": [], "gaps": []}
    zone, own = community.zone, people.shifts(conn)
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
            for r in people.duty(conn)
        ],
        "gaps": [
            {"from_ms": to_ms(g.start) if g.start else None,
             "to_ms": to_ms(g.end) if g.end else None}
            for g in _gaps(conn, zone, now, rota.WEEK)
        ],
    }  # fmt: skip
