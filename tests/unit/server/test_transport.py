"""How what we send to the provider travels, and what a broken way is taken for: whether it surely
was not taken, or perhaps was, decides between sending it again and looking it up first."""

import asyncio
import base64
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pycurl
import pytest

from server.channels.base import Ambiguous, Busy, Refused, Sent
from server.channels.lines import Lines
from server.channels.thread import SendersThread
from server.channels.transport import Transport
from server.channels.twilio import TwilioSms
from server.channels.twilio_account import Account, Credentials
from server.channels.twilio_voice import EVENTS, TwilioCalls
from tests.parts import require
from xunlou.broker_tls import Tls, ensure

SID, TOKEN = "AC" + "0" * 32, "token"


def answering(status: bytes, body: bytes = b"{}") -> bytes:
    """An answer."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def taken(sid: str) -> bytes:
    """An answer that it was."""
    return answering(b"201 Created", json.dumps({"sid": sid, "status": "queued"}).encode())


TAKEN = taken("SM1")


@dataclass
class Provider:
    """Reads requests, and answers each as it is told."""

    answer: bytes = TAKEN
    echo: bool = False
    """Answers with the words as the id."""
    tls: Tls | None = None
    url: str = ""
    open: list[socket.socket] = field(default_factory=list)
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
            self.open.append(client)
            threading.Thread(target=self._client, args=(client,), daemon=True).start()

    def _client(self, client: socket.socket) -> None:
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls.certificate, self.tls.key)
            try:
                client = context.wrap_socket(client, server_side=True)
            except OSError:
                return
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
                client.sendall(taken(parse_qs(body)["Body"][0]) if self.echo else self.answer)

    def close(self) -> None:
        """End all connections that are open; those who keep one will have heard of it."""
        while self.open:
            self.open.pop().shutdown(socket.SHUT_RDWR)

    @property
    def account(self) -> Account:
        """An account with this provider."""
        return Account(Credentials(SID, TOKEN, "+8610", self.url, "https://xunlou.example.org"))


@contextmanager
def providing(**how: Any) -> Iterator[Provider]:
    """A provider on a free port."""
    provider = Provider(**how)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider.url = f"{'https' if provider.tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        threading.Thread(target=provider.serve, args=(listening,), daemon=True).start()
        yield provider
        listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def tunnelling() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A proxy that connects two ends and passes on; its address, and what it was asked."""
    asked: list[tuple[str, str]] = []

    def passed_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(65536):
                target.sendall(some)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def connected(client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        first, _, rest = head.decode().partition("\r\n")
        asked.append((first, rest.lower()))
        host, port = first.split()[1].split(":")
        with client, socket.create_connection((host, int(port))) as there:
            client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=passed_on, args=(there, client), daemon=True)
            back.start()
            passed_on(client, there)
            back.join()

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                threading.Thread(target=connected, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        listening.shutdown(socket.SHUT_RDWR)


async def test_a_text_is_the_form_that_the_provider_documents() -> None:
    """Recipient, sender, words and callback as a form; the account in the Authorization header; one
    connection for one after the other."""
    with providing() as provider:
        sms = TwilioSms(provider.account)
        words = "【巡楼】11栋3楼301求助!回1=我去。100% & ok"
        for _ in range(3):
            assert await sms.send("+8613", words, 7) == Sent("SM1")
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


async def test_a_list_is_a_field_several_times() -> None:
    """The events of a call that we want to hear of."""
    with providing() as provider:
        assert await TwilioCalls(provider.account).send("+8613", "", 8) == Sent("SM1")
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
async def test_what_may_have_been_taken_is_told_from_what_surely_was_not(
    answer: bytes, error: type[Exception]
) -> None:
    """And it is asked once: to repeat it is the outbox's business."""
    with providing(answer=answer) as provider:
        account = provider.account
        account.client.http_client = Transport(provider.url, 0.5)
        with pytest.raises(error):
            await TwilioSms(account).send("+8613", "words", 1)
        assert len(provider.requests) == 1


async def test_a_refusal_is_the_providers_code() -> None:
    """Which the outbox knows how to take."""
    refused = answering(b"400 Bad Request", json.dumps({"code": 21211, "message": "x"}).encode())
    with providing(answer=refused) as provider:
        assert await TwilioSms(provider.account).send("+8613", "words", 1) == Refused("21211")


async def test_where_nobody_listens_it_surely_was_not_taken() -> None:
    """At the provider's address, and at a proxy's."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    account = Account(Credentials(SID, TOKEN, "+8610", url, url))
    with pytest.raises(Busy):
        await TwilioSms(account).send("+8613", "words", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("http_proxy", url)
        patch.setenv("no_proxy", "")
        account = Account(Credentials(SID, TOKEN, "+8610", "http://provider.invalid", url))
    with pytest.raises(Busy):
        await TwilioSms(account).send("+8613", "words", 1)


@pytest.mark.parametrize("unasked", ["127.0.0.1", ""])
async def test_a_proxy_of_the_environment_is_asked_unless_the_address_is_excepted(
    monkeypatch: pytest.MonkeyPatch, unasked: str
) -> None:
    """As curl does, with the proxy's own account; and what the environment says later changes
    nothing."""
    with providing() as proxy, providing() as provider:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//office:secret@"))
        monkeypatch.setenv("no_proxy", unasked)
        account = provider.account
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "*")
        assert await TwilioSms(account).send("+8613", "words", 1) == Sent("SM1")
        asked = provider if unasked else proxy
        ((first, head, _),) = asked.requests
        assert first.startswith("POST /" if unasked else f"POST {provider.url}/")
        assert ("proxy-authorization" in head) == (not unasked)


async def test_a_kept_connection_that_has_ended_meanwhile_is_made_anew() -> None:
    """A provider closes what is idle; that is nobody's trouble. Each text thereafter leaves on the
    new one, and not on the one that has ended."""
    with providing() as provider:
        sms = TwilioSms(provider.account)
        assert await sms.send("+8613", "words", 1) == Sent("SM1")
        provider.close()
        for reference in (2, 3, 4):
            assert await sms.send("+8613", "words", reference) == Sent("SM1")
        assert provider.connections == 2
        assert [b.count("m%3D2") for _, _, b in provider.requests] == [0, 1, 0, 0]


async def test_what_was_read_on_a_kept_connection_is_not_said_again() -> None:
    """The provider has read a text and breaks off: it may have taken it. HTTP's own rules would let
    a client try a kept connection's request again; a second text to a steward's phone it is."""
    with providing() as provider:
        sms = TwilioSms(provider.account)
        assert await sms.send("+8613", "words", 1) == Sent("SM1")
        provider.answer = b""
        with pytest.raises(Ambiguous):
            await sms.send("+8613", "words", 2)
        assert [b.count("m%3D2") for _, _, b in provider.requests] == [0, 1]
        provider.answer = TAKEN
        assert await sms.send("+8613", "words", 3) == Sent("SM1"), "and the next one finds its way"


async def test_what_is_under_way_at_once_shares_no_connection() -> None:
    """As many as are sent at once, in one loop or in several; what each gets is its own answer."""
    with providing(echo=True) as provider:
        sms = TwilioSms(provider.account)
        threads = [SendersThread(4, f"lane-{n}") for n in range(2)]
        said = [f"words {n}" for n in range(200)]
        for _ in range(2):
            sent = [threads[n % 2].submit(sms.send, "+8613", w, 0) for n, w in enumerate(said)]
            assert await asyncio.gather(*map(asyncio.wrap_future, sent)) == [Sent(w) for w in said]
        for thread in threads:
            thread.shutdown()
        assert provider.connections <= 8


def test_a_name_is_looked_up_beside_the_loop() -> None:
    """A lane has one loop: a name server that says nothing must not keep its other messages
    waiting. That is how libcurl was built, and not ours to say."""
    assert pycurl.version_info()[4] & pycurl.VERSION_ASYNCHDNS


def test_each_loop_may_come_and_go() -> None:
    """A text past the outbox has one of its own. What was kept is used by the next."""
    with providing() as provider:
        lines = Lines.only(TwilioSms(provider.account))
        assert all(lines.text("+8613", "words") for _ in range(3))
        assert provider.connections == 1


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """An authority of our own, and a provider's certificate by it."""
    require("openssl")
    made = Tls(tmp_path_factory.mktemp("tls"), 0, ("127.0.0.1",))
    ensure(made)
    return made


async def test_a_provider_whose_certificate_nobody_vouches_for_gets_nothing(
    tls: Tls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not a word, so that it surely was not taken. A house behind an inspecting proxy has
    authorities of its own, in a file or a folder; else the usual ones hold."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with providing(tls=tls) as provider:
        with pytest.raises(Busy):
            await TwilioSms(provider.account).send("+8613", "words", 1)
        assert provider.requests == []
        ask = ("openssl", "x509", "-in", str(tls.authority), "-noout", "-subject_hash")
        hashed = subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
        (tmp_path / f"{hashed}.0").write_bytes(tls.authority.read_bytes())
        for vouching in (tls.authority, tmp_path):
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(vouching))
            assert await TwilioSms(provider.account).send("+8613", "words", 1) == Sent("SM1")


async def test_through_a_proxy_the_way_to_the_provider_is_closed_to_it(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked to connect, learns the provider's address, and passes on what it can't read."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.authority))
    with providing(tls=tls) as provider, tunnelling() as (url, asked):
        monkeypatch.setenv("https_proxy", url.replace("//", "//office:secret@"))
        monkeypatch.setenv("no_proxy", "")
        sms = TwilioSms(provider.account)
        for n in (1, 2):
            assert await sms.send("+8613", "words", n) == Sent("SM1")
        ((first, head),) = asked
        assert first == f"CONNECT {provider.url.removeprefix('https://')} HTTP/1.1"
        assert "proxy-authorization" in head
        assert all("proxy-authorization" not in h for _, h, _ in provider.requests)
