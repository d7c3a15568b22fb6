"""The screen in the community hall: no login, no names, and nothing that tells who is in trouble.

Neighbours and strangers stand before it. A window at its true place would say who is not at home,
who has not been heard of, and who has fallen; so a façade here is a gauge. Its windows fill from
the ground up, one for each check-in of the running round, whoever it was. A house with fewer than
FEWEST watched residents shows no gauge, because one missing window would be a person. Help is
counted for the whole community, never for a building.

A screen that staff alone see may show the wall itself: `/kiosk/wall`, where it is switched on,
opened by the same token. It has the windows, and of an alert what, where and since when; nobody's
name, number or answer leaves the server for it. It has no feed: it reads itself again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.facade import skyline
from dashboards.headers import by_https
from dashboards.houses import names_of, place_of
from dashboards.reader import Reader
from dashboards.render import page
from dashboards.staff import Times

COOKIE: Final = "xunlou_kiosk"
COOKIE_AGE_S: Final = 365 * 86_400
FEWEST: Final = 3
NOT_COUNTED: Final = frozenset({"none", "away"})
CHECKED: Final = frozenset({"checked"})
OWN_TROUBLE: Final = frozenset({"blind", "stuck"})
"""Faults of ours in which nobody can say that all is well."""
COLUMNS: Final = 6
"""Windows side by side in a gauge."""


@dataclass(frozen=True)
class Gauge:
    """One house: `lit` of `of` windows; neither for a house with too few to hide among."""

    number: int
    lit: int
    of: int
    open: bool = False
    """Whether a round runs there."""

    @property
    def shown(self) -> bool:
        """Whether the house is large enough to be counted in public."""
        return self.of >= FEWEST

    @property
    def storeys(self) -> list[list[bool]]:
        """From the top down; windows fill from the ground up."""
        lights = [n < self.lit for n in range(self.of)]
        rows = [lights[n : n + COLUMNS] for n in range(0, self.of, COLUMNS)]
        return rows[::-1]


def gauge(building: Mapping[str, Any], is_open: bool) -> Gauge:
    """A building of the snapshot, stripped of who is who. Between rounds every window is lit: a
    dark one would be somebody who pressed for help or has not been found yet."""
    states = [f["state"] for f in building["flats"] if f["state"] not in NOT_COUNTED]
    lit = sum(s in CHECKED for s in states) if is_open else len(states)
    return Gauge(building["number"], lit, len(states), is_open)


ALERT: Final = (
    "kind", "fall", "state", "fault", "address", "address_en", "opened_ms", "test", "rehearsal",
)
HOUSE: Final = ("id", "number", "rehearsal", "name", "name_en", "worst", "stairwells")
FLAT: Final = ("id", "label", "floor", "stairwell", "state")
"""All that the nameless wall is given: what is not named here does not leave the server for it."""


def nameless(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The picture without anybody in it: no resident, nobody who was told, goes or comes next, no
    note, detail or code."""
    return {
        "now_ms": snapshot["now_ms"], "rounds": _rounds(snapshot), "counts": snapshot["counts"],
        "buildings": [
            {**{name: b[name] for name in HOUSE if name in b},
             "flats": [{name: f[name] for name in FLAT} for f in b["flats"]]}
            for b in snapshot["buildings"]
        ],
        "alerts": [{name: a.get(name) for name in ALERT} for a in snapshot["alerts"]],
    }  # fmt: skip


def router(reader: Reader) -> APIRouter:
    """GET /kiosk, /kiosk/wall and /kiosk/{token}."""
    routes = APIRouter(include_in_schema=False)

    async def seen(request: Request) -> Mapping[str, Any] | Response:
        """The picture for this screen, or the page that says why there is none."""
        state = reader.kiosk_state(request.cookies.get(COOKIE))
        user = None if state == "open" else await reader.current_user(request)
        if user is None or user.must_change or "hall" not in user.rights:
            if state == "off":
                raise HTTPException(404)
            if state == "closed":
                return page(request, "kiosk_closed.html", {}, status=403, default_theme="dark")
        return await reader.snapshot(user)

    @routes.get("/kiosk")
    async def show(request: Request) -> Response:
        snapshot = await seen(request)
        if isinstance(snapshot, Response):
            return snapshot
        facts = _hall(snapshot) | {"phones": await reader.duty_phones()}
        return page(request, "kiosk.html", facts, default_theme="dark")

    @routes.get("/kiosk/wall")
    async def wall(request: Request) -> Response:
        snapshot = await seen(request)
        if isinstance(snapshot, Response):
            return snapshot
        if not reader.kiosk_wall():
            raise HTTPException(404)
        return page(request, "kiosk_wall.html", _bare_wall(snapshot), default_theme="dark")

    @routes.get("/kiosk/{token}")
    async def enter(request: Request, token: str) -> Response:
        cookie = reader.kiosk_pass(token)
        if cookie is None:
            raise HTTPException(404)
        response = RedirectResponse("/kiosk", 303)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.set_cookie(
            COOKIE, cookie, max_age=COOKIE_AGE_S, path="/kiosk", httponly=True, samesite="lax",
            secure=by_https(request.scope),
        )  # fmt: skip
        return response

    return routes


def _place(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Where this is, and its time of day."""
    zone = (snapshot["community"] or {"tz": "UTC"})["tz"]
    return {
        "community": place_of(snapshot) or None, "when": Times(zone, snapshot["now_ms"]),
    }  # fmt: skip


def _rounds(snapshot: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The running or next round of each community, with its zone and, where they are several, its
    name. Where all have the same round it is one, with everybody in it."""
    several = snapshot.get("communities")
    if not several:
        only, community = snapshot["round"], snapshot["community"]
        return [{**only, "community": "", "tz": community["tz"]}] if only else []
    each = [{**c["round"], "community": c["name"], "tz": c["tz"]} for c in several]
    same = {(r["name"], r["opens_at"], r["due_at"], r["tz"]) for r in each}
    if len(same) > 1:
        return each
    sums = {key: sum(r[key] for r in each) for key in ("expected", "checked")}
    return [{**each[0], **sums, "community": ""}]


def _hall(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """What the gauges show."""
    in_round = _in_a_round(snapshot)
    houses = [
        gauge(b, b["id"] in in_round)
        for b in sorted(snapshot["buildings"], key=lambda b: b["number"])
        if not b.get("rehearsal")  # nobody lives there
    ]
    mood, number = _mood(snapshot)
    return _place(snapshot) | {
        "houses": houses, "mood": mood, "number": number, "rounds": _rounds(snapshot),
        "calls": _calls(snapshot["alerts"]), "now_ms": snapshot["now_ms"],
        "names": names_of(snapshot),
    }  # fmt: skip


def _in_a_round(snapshot: Mapping[str, Any]) -> frozenset[int]:
    """The houses in which a round runs."""
    several = snapshot.get("communities")
    if several:
        running = (c for c in several if c["round"]["state"] == "open")
        return frozenset(house for c in running for house in c["building_ids"])
    only = snapshot["round"]
    is_open = only is not None and only["state"] == "open"
    return frozenset(b["id"] for b in snapshot["buildings"]) if is_open else frozenset()


def _bare_wall(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """What the wall without names shows."""
    bare = nameless(snapshot)
    plan = skyline(bare["buildings"], snapshot.get("communities", ()))
    return _place(snapshot) | {"wall": bare, "plan": plan}


def _is_real(alert: Mapping[str, Any]) -> bool:
    """No test and no rehearsal: nobody is to worry because of one."""
    return not alert.get("test") and not alert.get("rehearsal")


def _calls(alerts: Iterable[Mapping[str, Any]]) -> int:
    """How many call for help."""
    return sum(a["kind"] == "sos" and _is_real(a) for a in alerts)


def _mood(snapshot: Mapping[str, Any]) -> tuple[str, int]:
    """The screen's one sentence (`k.<mood>`), and the figure in it. "All well" is only said while
    we can see, nobody calls, nobody is looked for and nobody is awaited."""
    alerts = [a for a in snapshot["alerts"] if _is_real(a)]
    if any(a["fault"] in OWN_TROUBLE for a in alerts):
        return "blind", 0
    looked_for = sum(
        item["state"] == "open" for a in alerts if a["kind"] == "missed" for item in a["items"]
    )
    if looked_for:
        return "looking", looked_for
    calls = _calls(alerts)
    if calls:
        return "helping", calls
    awaited = sum(
        max(0, int(r["expected"]) - int(r["checked"]))
        for r in _rounds(snapshot) if r["state"] == "open"
    )
    return ("awaited", awaited) if awaited else ("well", 0)
