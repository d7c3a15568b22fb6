"""The cookies that pages set: out of scripts' reach, for this site alone."""

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from dashboards.headers import by_https

SESSION_COOKIE: Final = "xunlou_session"
DEVICE_COOKIE: Final = "xunlou_device"
# The server decides when a session ends. The cookie outlives a browser restart, so that a wall
# comes back by itself after a power cut instead of showing a login page to an empty room.
SESSION_AGE_S: Final = 30 * 86_400
DEVICE_AGE_S: Final = 365 * 86_400
PREFERENCE_AGE_S: Final = 365 * 86_400
MOST_PASSES: Final = 8
"""So many people's logins one browser remembers: those of a desk that is staffed by turns."""
_APART: Final = "~"
_PASS: Final = re.compile(r"(\d{1,10})\.[\w-]{1,32}\.[0-9a-f]{32}", re.ASCII)


def set_cookie(response: Response, name: str, value: str, age_s: int, request: Request) -> None:
    """Set one for `age_s` seconds."""
    response.set_cookie(
        name,
        value,
        max_age=age_s,
        httponly=True,
        samesite="lax",
        secure=by_https(request.scope),
    )


def passes(request: Request) -> list[str]:
    """What this browser keeps of those who have logged in here, the newest first."""
    kept = request.cookies.get(DEVICE_COOKIE, "").split(_APART)
    return [one for one in kept[:MOST_PASSES] if _PASS.fullmatch(one)]


def remember_device(response: Response, new: str, request: Request) -> None:
    """Keep another pass beside the others' (and in place of the same account's): at a desk that
    many share, who logs in next must make no stranger of whoever was here before."""
    whose = new.partition(".")[0]
    others = [one for one in passes(request) if one.partition(".")[0] != whose]
    kept = _APART.join([new, *others][:MOST_PASSES])
    set_cookie(response, DEVICE_COOKIE, kept, DEVICE_AGE_S, request)
