"""How what we send to the provider travels, and what a broken way is taken for: whether it surely
was not taken, or perhaps was, decides between sending it again and looking it up first."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from server.channels.base import Ambiguous, Busy, Refused, Sent
from server.channels.transport import Transport
from server.channels.twilio import TwilioSms
from server.channels.twilio_account import Account, Credentials
from server.channels.twilio_voice import EVENTS, TwilioCalls

SID, TOKEN = "AC" + "0" * 32, "token"
TAKEN = b'{"sid": "SM1", "status": "queued"}'


@dataclass
class Provider:
    """Reads requests, and answers each as it is told."""

    answer: bytes = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(TAKEN), TAKEN)
    url: str = ""
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    connections: int = 0

    def serve(self, listening: socket.socket) -> None:
        """Until the socket is closed."""
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._client, args=(client,), daemon=True).start()

    def _client(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            while first := lines.readline().decode().strip():
                head = dict(
                    line.decode().strip().lower().split(": ", 1)
                    for line in iter(lines.readline, b"\r\n")
                )
                body = lines.read(int(head.get("content-length", 0))).decode()
                self.requests.append((first, head, body))
                if not self.answer:
                    return
                client.sendall(self.answer)

    @property
    def account(self) -> Account:
        """An account with this provider."""
        return Account(Credentials(SID, TOKEN, "+8610", self.url, "https://xunlou.example.org"))


@contextmanager
def providing(**how: bytes) -> Iterator[Provider]:
    """A provider on a free port."""
    provider = Provider(**how)  # type: ignore[arg-type]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        threading.Thread(target=provider.serve, args=(listening,), daemon=True).start()
        yield provider
        listening.shutdown(socket.SHUT_RDWR)


def answering(status: bytes, body: bytes = b"{}") -> bytes:
    """An answer."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def test_a_text_is_the_form_that_the_provider_documents() -> None:
    """Recipient, sender, words and callback as a form; the account in the Authorization header; one
    connection for one after the other."""
    with providing() as provider:
        sms = TwilioSms(provider.account)
        words = "【巡楼】11栋3楼301求助!回1=我去。100% & ok"
        for _ in range(3):
            assert sms.send("+8613", words, 7) == Sent("SM1")
        assert provider.connections == 1
        first, head, body = provider.requests[0]
        assert first == f"POST /2010-04-01/Accounts/{SID}/Messages.json HTTP/1.1"
        expected = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        assert head["authorization"] == f"basic {expected}".lower()
        assert head["content-type"] == "application/x-www-form-urlencoded"
        assert parse_qs(body) == {
            "To": ["+8613"], "From": ["+8610"], "Body": [words],
            "StatusCallback": ["https://xunlou.example.org/webhooks/twilio/status?m=7"],
        }  # fmt: skip


def test_a_list_is_a_field_several_times() -> None:
    """The events of a call that we want to hear of."""
    with providing() as provider:
        assert TwilioCalls(provider.account).send("+8613", "", 8) == Sent("SM1")
        assert parse_qs(provider.requests[0][2])["StatusCallbackEvent"] == list(EVENTS)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answering(b"429 Too Many Requests"), Busy),
        (answering(b"503 Service Unavailable", b"<html>"), Busy),
        (answering(b"500 Internal Server Error"), Ambiguous),
        (answering(b"504 Gateway Timeout", b"<html>"), Ambiguous),
        (answering(b"201 Created", b"<html>"), Ambiguous),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{", Ambiguous),
        (b"nonsense\r\n\r\n", Ambiguous),
        (b"", Ambiguous),
    ],
)  # fmt: skip
def test_what_may_have_been_taken_is_told_from_what_surely_was_not(
    answer: bytes, error: type[Exception]
) -> None:
    """And it is asked once: to repeat it is the outbox's business."""
    with providing(answer=answer) as provider:
        account = provider.account
        account.client.http_client._connections.connection_pool_kw["timeout"] = 1
        with pytest.raises(error):
            TwilioSms(account).send("+8613", "words", 1)
        assert len(provider.requests) == 1


def test_a_refusal_is_the_providers_code() -> None:
    """Which the outbox knows how to take."""
    refused = answering(b"400 Bad Request", json.dumps({"code": 21211, "message": "x"}).encode())
    with providing(answer=refused) as provider:
        assert TwilioSms(provider.account).send("+8613", "words", 1) == Refused("21211")


def test_where_nobody_listens_it_surely_was_not_taken() -> None:
    """At the provider's address, and at a proxy's."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    account = Account(Credentials(SID, TOKEN, "+8610", url, url))
    with pytest.raises(Busy):
        TwilioSms(account).send("+8613", "words", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", url)
        patch.setenv("no_proxy", "")
        account = Account(Credentials(SID, TOKEN, "+8610", "http://provider.invalid", url))
    with pytest.raises(Busy):
        TwilioSms(account).send("+8613", "words", 1)


@pytest.mark.parametrize("unasked", ["127.0.0.1", ""])
def test_a_proxy_of_the_environment_is_asked_unless_the_address_is_excepted(
    monkeypatch: pytest.MonkeyPatch, unasked: str
) -> None:
    """As curl does, with the proxy's own account; and what the environment says later changes
    nothing."""
    with providing() as proxy, providing() as provider:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//office:secret@"))
        monkeypatch.setenv("no_proxy", unasked)
        account = provider.account
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert TwilioSms(account).send("+8613", "words", 1) == Sent("SM1")
        asked = provider if unasked else proxy
        ((first, head, _),) = asked.requests
        assert first.startswith("POST /" if unasked else f"POST {provider.url}/")
        assert ("proxy-authorization" in head) == (not unasked)


def test_authorities_are_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A house behind an inspecting proxy has authorities of its own, in a file or a folder; else
    the usual ones hold."""

    def authorities() -> dict[str, str]:
        made = Transport("https://provider.example.org", 1, 1)
        given = made._connections.connection_pool_kw
        return {name: given[name] for name in ("ca_certs", "ca_cert_dir") if name in given}

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/house.pem")
    assert authorities() == {"ca_certs": "/etc/house.pem"}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert authorities() == {"ca_cert_dir": str(tmp_path)}
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    assert authorities() == {"ca_certs": DEFAULT_CA_BUNDLE_PATH}
