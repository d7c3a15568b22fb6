"""How the official client's requests travel: by libcurl, one try each.

The client's own transport prepares every request anew, and looks proxies, certificates and `.netrc`
up in the environment each time. Here the environment is asked once, when the server starts, and
what becomes of a request on its way happens outside the interpreter, of which an SOS and a flood of
check-ins have the same one (docs/adr/0030). One loop has many requests under way (docs/adr/0033).
"""

import asyncio
import base64
import logging
import select
import threading
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import pycurl
from requests import Session
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from twilio.http import AsyncHttpClient
from twilio.http.response import Response

log = logging.getLogger(__name__)


class NotSent(Exception):
    """The request surely was not taken: its body never left."""


class NoAnswer(Exception):
    """There was no answer that can be read, and the request may have been taken."""


class Transport(AsyncHttpClient):  # type: ignore[misc]  # the client has no types
    """For one provider's address. Safe to use in several loops; as many connections are kept as
    were ever needed at once."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        """`base_url`: decides, with the environment, whether a proxy is asked. `timeout_s`: for a
        whole request, its connection and its answer."""
        super().__init__(log, True, timeout_s)
        found = Session().merge_environment_settings(base_url, {}, None, None, None)
        self._proxy = select_proxy(base_url, found["proxies"]) or ""
        self._authorities = DEFAULT_CA_BUNDLE_PATH if found["verify"] is True else found["verify"]
        self._idle: list[pycurl.Curl] = []
        self._multis: dict[asyncio.AbstractEventLoop, pycurl.AsyncCurlMulti] = {}
        self._lock = threading.Lock()

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One request, tried once. Raises NotSent or NoAnswer."""
        sent = [f"{name}: {value}" for name, value in (headers or {}).items()]
        if auth is not None:
            account = base64.b64encode(":".join(auth).encode()).decode()
            sent.append(f"Authorization: Basic {account}")
        query = _form(params)
        answer = BytesIO()
        body: BytesIO | None = None
        curl = self._connection()
        try:
            curl.setopt(pycurl.URL, f"{uri}?{query}" if query else uri)
            curl.setopt(pycurl.HTTPHEADER, sent)
            curl.setopt(pycurl.FOLLOWLOCATION, allow_redirects)
            curl.setopt(pycurl.TIMEOUT_MS, int((timeout or self.timeout) * 1000))
            body = _give(curl, None if data is None else _form(data).encode())
            curl.setopt(pycurl.CUSTOMREQUEST, method.upper())
            curl.setopt(pycurl.WRITEDATA, answer)
            await self._multi().add_handle(curl)
            status = curl.getinfo(pycurl.RESPONSE_CODE)
        except pycurl.error as error:
            self._idle.append(curl)
            # A connection that broke may have broken after the request had been read.
            raise (NoAnswer if body is None or body.tell() else NotSent)(error.args[1]) from error
        self._idle.append(curl)
        return Response(status, answer.getvalue().decode("utf-8", "replace"))

    def _multi(self) -> pycurl.AsyncCurlMulti:
        """What drives the running loop's requests. It keeps no connections."""
        loop = asyncio.get_running_loop()
        if (found := self._multis.get(loop)) is not None:
            return found
        with self._lock:
            multi = pycurl.AsyncCurlMulti()
            running = {o: m for o, m in self._multis.items() if not o.is_closed()}
            self._multis = {**running, loop: multi}
        return multi

    def _connection(self) -> pycurl.Curl:
        """The one that was used last of those that are free and stand, or a new one."""
        while True:
            try:
                curl = self._idle.pop()
            except IndexError:
                return self._new()
            if not _has_ended(curl):
                return curl
            curl.close()

    def _new(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        # A place for its own connection. In one that all share it would be given any, also one that
        # the other end has closed: libcurl looks only once a second.
        own = pycurl.CurlShare()
        own.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_CONNECT)
        curl.setopt(pycurl.SHARE, own)
        curl.setopt(pycurl.NOSIGNAL, 1)  # we have threads
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        # "": none, and no exceptions, whatever the environment says by now.
        curl.setopt(pycurl.PROXY, self._proxy)
        curl.setopt(pycurl.NOPROXY, "")
        folder = Path(self._authorities).is_dir()
        curl.setopt(pycurl.CAPATH if folder else pycurl.CAINFO, str(self._authorities))
        return curl


_quoted = lru_cache(maxsize=256)(quote_plus)
"""The same names and sender each time, and the same words to both stewards."""


def _has_ended(curl: pycurl.Curl) -> bool:
    """Whether the other end has closed the connection that is kept."""
    kept = curl.getinfo(pycurl.ACTIVESOCKET)
    if kept < 0:
        return False
    looked = select.poll()
    looked.register(kept, select.POLLIN)
    return bool(looked.poll(0))


def _give(curl: pycurl.Curl, body: bytes | None) -> BytesIO | None:
    """What is to be sent, as something that libcurl can read only once: on a connection that was
    kept and turns out to be dead it begins anew by itself, but not when it would have to send what
    may have been taken a second time."""
    if body is None:
        curl.setopt(pycurl.HTTPGET, 1)
        return None
    given = BytesIO(body)
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.POSTFIELDSIZE, len(body))
    curl.setopt(pycurl.READFUNCTION, given.read)
    return given


def _form(values: Mapping[str, object] | None) -> str:
    """As a form is written; a list is a field several times, None is none."""
    given = {name: value for name, value in (values or {}).items() if value is not None}
    return urlencode(given, doseq=True, quote_via=_quoted)
