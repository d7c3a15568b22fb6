"""What the staff's pages of the register share: who may open them, and times as people say them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboards.cookies import SESSION_COOKIE
from dashboards.forms import address
from dashboards.reader import Reader, User
from dashboards.render import page

DATE, CLOCK = "%Y-%m-%d", "%H:%M"
ENDED = "ended"
"""Why somebody whose browser still has a session's cookie has to log in: `login.error.ended`."""
Answer = Callable[[User], Awaitable[Response]]


async def enter(
    reader: Reader, request: Request, right: str | None = "look", *, wide: bool = False,
    common: bool = False,
) -> User:  # fmt: skip
    """Who is logged in and has this right (None: any account). `wide`: not for the account of one
    building; `common`: for whoever answers for a community as a whole (`desk` says which).
    Everybody else is sent to the login and back (as an exception, 303), or refused."""
    user = await reader.current_user(request)
    reads = request.method in {"GET", "HEAD"}
    path = request.url.path
    if user is None:
        if not reads:
            raise HTTPException(401)
        ended = f"&failed={ENDED}" if request.cookies.get(SESSION_COOKIE) else ""
        back = f"/login?next={quote(address(request))}{ended}"
        raise HTTPException(303, headers={"Location": back})
    if user.must_change and right is not None:
        if not reads:
            raise HTTPException(403)
        raise HTTPException(303, headers={"Location": "/account"})
    if right is not None and right not in user.rights:
        if path == "/wall" and "hall" in user.rights:
            raise HTTPException(303, headers={"Location": "/kiosk"})
        raise HTTPException(403)
    if (wide and not user.wide) or (common and not user.common):
        raise HTTPException(403)
    return user


@dataclass(frozen=True)
class Desk:
    """Of which community's desk a page tells: its id (None: there is none yet), name and zone.
    `among`: all that the user answers for, where they are several: {id, name}."""

    id: int | None = None
    name: str = ""
    tz: str = "UTC"
    among: Sequence[Mapping[str, Any]] = ()

    @property
    def query(self) -> str:
        """What names it in an address of one of its pages, where there are several."""
        return f"?community={self.id}" if self.among else ""


async def desk(
    reader: Reader, request: Request, user: User, asked: str | int | None = None
) -> Desk:
    """The community that the address names (`asked`: that was named otherwise), else the first that
    the user answers for. What changes something has to name it where there are several (422).
    Raises 404 for one that is not theirs."""
    theirs = await reader.desks(user)
    wanted = str(asked or request.query_params.get("community") or "")
    chosen = next((d for d in theirs if wanted in ("", str(d["id"]))), None)
    if wanted and chosen is None:
        raise HTTPException(404)
    if not wanted and len(theirs) > 1 and request.method not in {"GET", "HEAD"}:
        raise HTTPException(422)
    if chosen is None:
        return Desk()
    return Desk(
        chosen["id"], chosen["name"], chosen["tz"], theirs if len(theirs) > 1 else ()
    )


async def for_staff(
    reader: Reader, request: Request, answer: Answer, right: str = "look"
) -> Response:
    """`answer` for whoever is logged in and has this right."""
    return await answer(await enter(reader, request, right))


def number_of(text: str) -> int:
    """A building's number or a resident's id from an address. Raises 404: there is no page with
    any other name."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise HTTPException(404)
    return int(text)


class Times:
    """Instants (epoch ms) in the community's zone, for the templates."""

    def __init__(self, zone: str, now_ms: int) -> None:
        self.zone: tzinfo = ZoneInfo(zone)
        self.now_ms = now_ms

    def of(self, thing: Mapping[str, Any]) -> "Times":
        """In the zone of this thing's own community, where that is another (`tz`)."""
        return Times(thing["tz"], self.now_ms) if thing.get("tz") else self

    def _at(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(self.zone)

    def day(self, ms: int) -> str:
        """2026-03-14."""
        return self._at(ms).strftime(DATE)

    def clock(self, ms: int) -> str:
        """06:10."""
        return self._at(ms).strftime(CLOCK)

    def short(self, ms: int) -> str:
        """06:10 today, 03-13 06:10 on another day of this year, else with the year."""
        at, now = self._at(ms), self._at(self.now_ms)
        if at.date() == now.date():
            return at.strftime(CLOCK)
        return at.strftime(f"%m-%d {CLOCK}" if at.year == now.year else f"{DATE} {CLOCK}")

    def full(self, ms: int) -> str:
        """2026-03-14 06:10."""
        return self._at(ms).strftime(f"{DATE} {CLOCK}")


def staff_page(
    request: Request, template: str, user: User, facts: dict[str, Any], *, status: int = 200
) -> Response:
    """A page of the register. `facts` needs `tz` and `now_ms` for its times."""
    times = Times(facts.get("tz") or "UTC", facts.get("now_ms") or 0)
    shown = {"user": user, "when": times, **facts}
    return page(request, template, shown, status=status, default_theme="dark")
