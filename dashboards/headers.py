"""Headers that keep a page's content its own: no foreign script, frame, font or referrer.

A plain ASGI wrapper, because Starlette's BaseHTTPMiddleware would buffer the live feed.
"""

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

HTML_HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    # A page from the cache is a wall from the past.
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OTHER_HEADERS: Final[dict[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
DATA_HEADERS: Final[dict[str, str]] = {
    **OTHER_HEADERS,
    # What is about people is kept by no browser and no proxy, and is never run as a page.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
HSTS: Final = "max-age=31536000"


def by_https(scope: Scope) -> bool:
    """Whether the browser came by HTTPS, to us or to the proxy before us. The proxy's word is
    believed because it only ever makes a cookie stricter."""
    told = Headers(scope=scope).get("x-forwarded-proto", "")
    return scope.get("scheme") == "https" or told == "https"


class SafeHeaders:
    """Adds the headers to every answer; one that set its own stricter one keeps it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything through and touches only the start of an answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                html = headers.get("content-type", "").startswith("text/html")
                data = scope["path"].startswith("/api/")
                adds = HTML_HEADERS if html else DATA_HEADERS if data else OTHER_HEADERS
                for name, value in adds.items():
                    headers.setdefault(name, value)
                if by_https(scope):
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        await self.app(scope, receive, send_with_headers)
