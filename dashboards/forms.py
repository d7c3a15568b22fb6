"""Small guards for plain forms: where a redirect may lead, and who may post.

Never trusts an address or an origin that came with the request.
"""

import re
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def local_path(wish: object, fallback: str = "/wall") -> str:
    """`wish` when it is a path on this site, else `fallback`: no login leads to a stranger."""
    return wish if isinstance(wish, str) and _LOCAL_PATH.fullmatch(wish) else fallback


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
