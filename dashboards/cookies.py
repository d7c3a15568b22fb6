"""The cookies that pages set: out of scripts' reach, for this site alone."""

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
