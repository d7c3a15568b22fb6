"""The gateway's small parts: pauses between tries, batches, answers, settings, health, logs."""

import base64
import json
import logging
import random
import re

import pytest
from pydantic import ValidationError

from gateway.backoff import Backoff
from gateway.batch import MAX_BATCH_BYTES, build_body, make_entry, turn_into_reject
from gateway.contract import parse
from gateway.delivery import Received
from gateway.log import say
from gateway.paho_client import session_name
from gateway.settings import GatewaySettings
from gateway.state import LOST_AFTER_S, Health
from gateway.upstream import (
    IDLE_S,
    Answer,
    Answered,
    Refused,
    ServerClock,
    Unauthorized,
    Unavailable,
    _match_receipts,
)
from server.app import KEEP_ALIVE_S

SOS = "xunlou/v1/t/gd-11-301/evt/sos"


def received(payload: bytes, topic: str = SOS) -> Received:
    """A message as the broker gave it."""
    return Received(topic, payload, retain=False, qos=1, mid=1, generation=1)


def test_the_gateway_closes_a_quiet_connection_before_the_server_does() -> None:
    """With both at five seconds a press could meet the server's closing, and wait for the next
    try."""
    assert IDLE_S < KEEP_ALIVE_S / 1.2


def test_a_session_has_a_name_that_no_terminal_can_guess() -> None:
    """Two names of a gateway, alike after every start, and others under another password: what is
    known of a gateway (its id, its lanes) does not make them."""
    def names(password: str, gateway_id: str = "gw-1") -> set[str]:
        settings = GatewaySettings(
            gateway_token="t", mqtt_password=password, gateway_id=gateway_id
        )  # fmt: skip
        return {session_name(settings, lane) for lane in ("sos", "bulk")}

    assert names("secret") == names("secret")
    every = [*names("secret"), *names("another"), *names("secret", "gw-2")]
    assert len(set(every)) == 6
    for name in every:
        assert re.fullmatch(r"gateway-gw-[12]-[0-9a-f]{16}-(sos|bulk)", name)


def test_pauses_are_spread_from_zero_and_never_beyond_the_cap() -> None:
    """Full jitter: every pause lies in [0, ceiling], the ceiling doubles to the cap."""
    backoff = Backoff(base_s=0.1, cap_s=2.0, rng=random.Random(1))
    ceilings = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert all(0 <= backoff.next_s() <= ceiling for ceiling in ceilings)
    backoff.reset()
    assert backoff.next_s() <= 0.1
    many = Backoff(base_s=1.0, cap_s=1.0, rng=random.Random(2))
    drawn = [many.next_s() for _ in range(1000)]
    assert min(drawn) < 0.05
    assert max(drawn) > 0.95


def test_a_backoff_that_could_spin_is_refused() -> None:
    """Zero pauses would hammer a sick server."""
    with pytest.raises(ValueError, match="base_s"):
        Backoff(base_s=0.0, cap_s=1.0)


def test_the_post_has_the_agreed_shape() -> None:
    """Lists by kind, order kept, held_ms whole and never negative; an empty batch is a probe."""
    first = received(b'{"boot":3,"seq":17,"bat":87}')
    bad = received(b"\xff")
    entries = [make_entry(parse(r.topic, r.payload, r.retain), r, at_s=10.0) for r in (first, bad)]
    assert json.loads(build_body("gw-1", entries, now_s=10.0045)) == {
        "gateway": "gw-1",
        "canary_every_s": 0.0,
        "signals": [
            {"t": "gd-11-301", "type": "sos", "boot": 3, "seq": 17, "bat": 87, "held_ms": 4}
        ],
        "rejects": [{"topic": SOS, "payload_b64": "/w==", "reason": "not_utf8"}],
    }
    assert json.loads(build_body("gw-1", [], now_s=0.0, canary_every_s=20.0)) == {
        "gateway": "gw-1", "canary_every_s": 20.0
    }
    assert json.loads(build_body("gw-1", entries, now_s=9.0))["signals"][0]["held_ms"] == 0


def test_a_refused_entry_keeps_its_bytes() -> None:
    """What the server would not take is shown to staff as it came."""
    message = received(b'{"boot":3,"seq":17}')
    entry = make_entry(parse(message.topic, message.payload, retain=False), message, 0.0)
    turn_into_reject(entry)
    assert entry.kind == "rejects"
    assert entry.body["reason"] == "refused"
    assert base64.b64decode(entry.body["payload_b64"]) == message.payload


def test_a_thousand_biggest_rejects_still_fit_the_servers_bound() -> None:
    """The batch's weight stops well before the server's 2 MiB."""
    message = received(b"x" * 9000)
    entry = make_entry(parse(message.topic, message.payload, retain=False), message, 0.0)
    fit = MAX_BATCH_BYTES // entry.weight + 1
    assert len(build_body("gw-1", [entry] * fit, 0.0)) < 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("receipts", "ok"),
    [
        ([{"t": "a", "boot": 1, "seq": 2, "result": "stored"}], True),
        ([{"t": "a", "boot": 1, "seq": 2, "result": "duplicate", "more": 1}], True),
        ([{"t": "a", "boot": 1, "seq": 3, "result": "stored"}], False),
        ([{"t": "b", "boot": 1, "seq": 2, "result": "stored"}], False),
        ([{"t": "a", "boot": 1, "seq": 2, "result": "maybe"}], False),
        ([], False),
        (None, False),
        (["stored"], False),
    ],
)
def test_only_receipts_for_our_own_signals_count(receipts: object, ok: bool) -> None:
    """An answer that is short, swapped or of another kind acks nothing."""
    signal = {"t": "a", "boot": 1, "seq": 2}
    assert (_match_receipts(receipts, [signal]) is not None) is ok


def test_health_turns_slowly_to_lost_and_at_once_to_online() -> None:
    """A blip is not an outage; a wrong token is one; a refusal is an answer."""
    now, heard = [0.0], []
    health = Health(lambda: heard.append(health.answering), lambda: now[0])
    story: list[tuple[float, Answer, bool]] = [
        (0.0, Unavailable("x"), False),
        (1.0, Answered(()), True),
        (2.0, Unavailable("x"), True),
        (2.0 + LOST_AFTER_S - 0.1, Unavailable("x"), True),
        (5.0, Answered(()), True),
        (6.0, Unauthorized(401), True),
        (6.0 + LOST_AFTER_S, Unauthorized(401), False),
        (10.0, Refused(422), True),
    ]
    for at_s, answer, expected in story:
        now[0] = at_s
        health.note(answer)
        assert health.answering is expected, at_s
    assert heard == [True, False, True]


def test_the_servers_clock_is_unknown_until_it_speaks() -> None:
    """0 before the first Date header, also after a broken one; then the server's time."""
    clock = ServerClock()
    assert clock.now_ms() == 0
    clock.learn(None)
    clock.learn("yesterday")
    assert clock.now_ms() == 0
    clock.learn("Sat, 14 Mar 2026 00:00:00 GMT")
    assert 0 <= clock.now_ms() - 1_773_446_400_000 < 60_000


def test_secrets_are_required_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No default token or password; neither shows in a repr, where logs would find it."""
    for name in ("XUNLOU_GATEWAY_TOKEN", "XUNLOU_MQTT_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValidationError):
        GatewaySettings()
    monkeypatch.setenv("XUNLOU_GATEWAY_TOKEN", "very-secret-1")
    monkeypatch.setenv("XUNLOU_MQTT_PASSWORD", "very-secret-2")
    settings = GatewaySettings()
    assert "very-secret" not in repr(settings)
    assert settings.mqtt_protocol == "5"


def test_every_setting_says_what_it_does() -> None:
    """The documentation is made of these descriptions."""
    for name, field in GatewaySettings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_a_log_line_carries_event_and_figures(caplog: pytest.LogCaptureFixture) -> None:
    """Readable as text, and by machines from the record."""
    logger = logging.getLogger("test-gateway")
    with caplog.at_level(logging.INFO):
        say(logger, logging.INFO, "posted", entries=3)
        say(logger, logging.DEBUG, "unheard", entries=4)
    [record] = caplog.records
    assert record.getMessage() == "posted entries=3"
    assert record.__dict__["fields"] == {"entries": 3}
