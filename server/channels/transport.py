"""How the official client's requests travel: urllib3's connections, and nothing between.

The client's own transport prepares every request anew, and looks proxies, certificates and `.netrc`
up in the environment each time: more than half of the time that a text took. Here the environment
is asked once, when the server starts (docs/adr/0023).
"""

import base64
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from requests import Session
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from twilio.http import HttpClient
from twilio.http.response import Response

log = logging.getLogger(__name__)


class Transport(HttpClient):  # type: ignore[misc]  # the client has no types
    """For one provider's address. Safe to use from several threads."""

    def __init__(self, base_url: str, timeout_s: float, at_once: int) -> None:
        """`base_url`: decides, with the environment, whether a proxy is asked. `timeout_s`: for the
        connection, and again for each wait for the answer. `at_once`: connections that are kept."""
        super().__init__(log, False, timeout_s)
        found = Session().merge_environment_settings(base_url, {}, None, None, None)
        authorities = DEFAULT_CA_BUNDLE_PATH if found["verify"] is True else found["verify"]
        options: dict[str, Any] = {
            "maxsize": at_once, "retries": False, "timeout": timeout_s,
            "ca_cert_dir" if Path(authorities).is_dir() else "ca_certs": authorities,
        }  # fmt: skip
        proxy = select_proxy(base_url, found["proxies"])
        self._connections = (
            urllib3.ProxyManager(
                proxy, proxy_headers=HTTPAdapter().proxy_headers(proxy), **options
            )
            if proxy else urllib3.PoolManager(**options)
        )  # fmt: skip

    def request(
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
        """One request, tried once. Raises urllib3's errors."""
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = f"Basic {base64.b64encode(':'.join(auth).encode()).decode()}"
        query = _form(params)
        answer = self._connections.urlopen(
            method.upper(),
            f"{uri}?{query}" if query else uri,
            body=_form(data) if data is not None else None,
            headers=sent,
            redirect=allow_redirects,
            **({} if timeout is None else {"timeout": timeout}),
        )
        return Response(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)


def _form(values: Mapping[str, object] | None) -> str:
    """As a form is written; a list is a field several times, None is none."""
    given = {name: value for name, value in (values or {}).items() if value is not None}
    return urlencode(given, doseq=True)
