"""Small guards for plain forms: where a redirect may lead, and who may post.

Never trusts an address or an origin that came with the request.
"""

import re
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

LONGEST_NEXT: Final = 500
"""Characters of an address that a form carries along as `next`."""
_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def local_path(wish: object, fallback: str = "/wall") -> str:
    """`wish` when it is a path on this site, else `fallback`: no login leads to a stranger."""
    return wish if isinstance(wish, str) and _LOCAL_PATH.fullmatch(wish) else fallback


def address(request: Request) -> str:
    """Where one is, as a path of this site with its query: a report keeps its period. Without
    `lang`, which would outvote a language chosen afterwards, and a stranger's `next`; without the
    query where it is long."""
    path = quote(request.url.path)
    asked = [
        (k, v)
        for k, v in request.query_params.multi_items()
        if k != "lang" and (k != "next" or local_path(v, ""))
    ]
    whole = f"{path}?{urlencode(asked)}" if asked else path
    return whole if len(whole) <= LONGEST_NEXT else path


def look_again(request: Request) -> str:
    """The address that shows this page again. After a POST it is the nearest above that can be
    looked at: nobody can GET /residents/901/access."""
    if request.method in {"GET", "HEAD"}:
        return address(request)
    path = request.url.path
    while path not in {"", "/"}:
        asked = {**request.scope, "method": "GET", "path": path}
        if any(route.matches(asked)[0] is Match.FULL for route in request.app.routes):
            return quote(path)
        path = path.rpartition("/")[0]
    return "/"


def refuse_foreign(request: Request) -> None:
    """Raises 403 when a browser says that another site sent this form (CSRF).

    Programs send neither header and carry no cookie, so they have nothing to abuse.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        foreign = site not in {"same-origin", "none"}
    else:
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign:
        raise HTTPException(403, "This form was sent from another site; open the page here.")
