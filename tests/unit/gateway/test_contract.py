"""The wire contract, judged by the golden examples and by whatever hypothesis can think of."""

import base64
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import (
    EVENT_TYPES,
    MAX_PAYLOAD_BYTES,
    Canary,
    CmdAck,
    Event,
    Heartbeat,
    Reason,
    Reject,
    Status,
    command_topic,
    is_sos_lane,
    make_canary_receipt,
    make_receipt,
    parse,
    read_canary_receipt,
)

GOLDEN = Path(__file__).parents[2] / "golden"
T = "gd-11-301"
TOPICS = [
    f"xunlou/v1/t/{T}/{leaf}"
    for leaf in ("hb", "status", "cmd_ack", *(f"evt/{kind}" for kind in sorted(EVENT_TYPES)))
]


def golden(name: str) -> list[dict[str, Any]]:
    """The examples of one file."""
    examples: list[dict[str, Any]] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return examples


def raw_of(example: dict[str, Any]) -> bytes:
    """The bytes of a bad example, however it is written down."""
    if "payload" in example:
        return json.dumps(example["payload"]).encode()
    if "raw_b64" in example:
        return base64.b64decode(example["raw_b64"])
    return str(example["raw"]).encode()


@pytest.mark.parametrize("example", golden("events"), ids=lambda e: e["name"])
def test_golden_events_keep_identity_and_known_fields(example: dict[str, Any]) -> None:
    """Each is an Event of the topic's type; fields the contract doesn't know are left out."""
    got = parse(example["topic"], raw_of(example), retain=False)
    assert isinstance(got, Event)
    assert (got.t, got.type) == (T, example["topic"].rsplit("/", 1)[1])
    known = {k: v for k, v in example["payload"].items() if k != "colour"}
    assert got.fields == known
    assert (got.boot, got.seq) == (known["boot"], known["seq"])


@pytest.mark.parametrize(
    ("name", "kind"), [("heartbeats", Heartbeat), ("statuses", Status), ("cmd_acks", CmdAck)]
)
def test_golden_others_are_what_they_are(name: str, kind: type) -> None:
    """Heartbeats, statuses and command acks parse to their own types; statuses may be retained."""
    for example in golden(name):
        got = parse(example["topic"], raw_of(example), retain=name == "statuses")
        assert isinstance(got, kind), example["name"]


@pytest.mark.parametrize("example", golden("bad"), ids=lambda e: e["name"])
def test_golden_bad_messages_are_refused_for_their_reason(example: dict[str, Any]) -> None:
    """Each is a Reject that carries the reason, the topic and the bytes."""
    raw = raw_of(example)
    got = parse(example["topic"], raw, example.get("retain", False))
    assert got == Reject(example["topic"], raw, example["reason"])


def test_a_want_is_looked_at_in_a_help_request_alone() -> None:
    """A call for help with a field that we use elsewhere is a call for help."""
    payload = b'{"boot": 3, "seq": 17, "want": {"any": "thing"}}'
    sos = parse(f"xunlou/v1/t/{T}/evt/sos", payload, retain=False)
    assert isinstance(sos, Event)
    assert sos.fields == {"boot": 3, "seq": 17}
    asked = parse(f"xunlou/v1/t/{T}/evt/help", payload, retain=False)
    assert isinstance(asked, Reject)
    assert asked.reason == "bad_type"
    assert not is_sos_lane(f"xunlou/v1/t/{T}/evt/help"), "it can wait"


def test_the_golden_examples_cover_every_type_command_and_reason() -> None:
    """A new event type, result or reason without an example fails here."""
    assert {e["topic"].rsplit("/", 1)[1] for e in golden("events")} == EVENT_TYPES
    assert {e["reason"] for e in golden("bad")} == set(get_args(Reason)) - {"refused"}
    assert {e["payload"]["cmd"] for e in golden("commands")} == {
        "receipt", "prompt", "help_coming", "resolved", "say", "test", "time", "reboot",
        "key",
    }  # fmt: skip
    assert [e["payload"]["result"] for e in golden("cmd_acks")] == [
        "received", "shown", "failed", "expired",
    ]  # fmt: skip
    names = [e["name"] for file in GOLDEN.glob("*.json") for e in json.loads(file.read_text())]
    assert all(names)
    for file in GOLDEN.glob("*.json"):
        own = [e["name"] for e in json.loads(file.read_text())]
        assert len(own) == len(set(own)), file.name


def test_golden_commands_fit_the_bound() -> None:
    """Commands keep to the same 1 KiB as what comes up, and go to a terminal's own topic."""
    for example in golden("commands"):
        assert len(json.dumps(example["payload"], ensure_ascii=False).encode()) <= 1024
        assert example["topic"] == command_topic(T)


@given(st.text(), st.binary(max_size=2000), st.booleans())
def test_parse_never_raises_on_anything(topic: str, payload: bytes, retain: bool) -> None:
    """Any topic, any bytes: an answer, never an exception."""
    parse(topic, payload, retain)


@given(st.sampled_from(TOPICS), st.binary(max_size=1100), st.booleans())
def test_parse_never_raises_on_real_topics(topic: str, payload: bytes, retain: bool) -> None:
    """Rubbish on a real topic is a Reject that keeps every byte."""
    got = parse(topic, payload, retain)
    if isinstance(got, Reject):
        assert got.payload == payload


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["boot", "seq", "ts", "ts_ok", "up_ms", "attempt", "buffered", "bat", "mains", "rssi", "test",
     "s", "fw", "hb_s", "cfg_v", "cmd_id", "result"]
)  # fmt: skip


@given(st.sampled_from(TOPICS), st.dictionaries(NAMES, JSON))
def test_whatever_is_accepted_is_within_its_types(topic: str, body: dict[str, Any]) -> None:
    """No bool passes for an int, no number for a bool, nothing outside its range."""
    got = parse(topic, json.dumps(body).encode(), retain=False)
    if isinstance(got, Reject | CmdAck):
        return
    for name, value in got.fields.items():
        if name in ("ts_ok", "buffered", "mains", "test"):
            assert type(value) is bool
        elif name == "fw":
            value.encode("utf-8")
            assert "\0" not in value
        else:
            assert type(value) is int
            assert -200 <= value < 2**53


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1), st.sampled_from(sorted(EVENT_TYPES)))
def test_identity_survives_the_wire(boot: int, seq: int, kind: str) -> None:
    """What a terminal numbers is what the server is told, and what its receipt names."""
    raw = json.dumps({"boot": boot, "seq": seq}).encode()
    got = parse(f"xunlou/v1/t/{T}/evt/{kind}", raw, retain=False)
    assert isinstance(got, Event)
    topic, receipt = make_receipt(got.t, got.boot, got.seq, "00")
    assert topic == f"xunlou/v1/t/{T}/cmd"
    assert json.loads(receipt)["ref"] == {"boot": boot, "seq": seq}


@pytest.mark.parametrize(
    ("body", "ok"),
    [
        ({"boot": 0, "seq": 0}, True),
        ({"boot": 2**31 - 1, "seq": 2**31 - 1}, True),
        ({"boot": 2**31, "seq": 1}, False),
        ({"boot": 1, "seq": 1, "bat": 0}, True),
        ({"boot": 1, "seq": 1, "bat": 100}, True),
        ({"boot": 1, "seq": 1, "bat": -1}, False),
        ({"boot": 1, "seq": 1, "attempt": 0}, False),
        ({"boot": 1, "seq": 1, "ts": 2**53 - 1}, True),
        ({"boot": 1, "seq": 1, "ts": 2**53}, False),
        ({"boot": 1, "seq": 1, "rssi": -201}, False),
    ],
)
def test_ranges_hold_at_their_ends(body: dict[str, int], ok: bool) -> None:
    """Both ends of a range belong to it, their neighbours don't."""
    got = parse(f"xunlou/v1/t/{T}/evt/sos", json.dumps(body).encode(), retain=False)
    assert isinstance(got, Event) is ok


def test_the_size_bound_is_exact_and_counts_bytes() -> None:
    """1,024 bytes pass, 1,025 don't; a Chinese character counts three."""
    body = b'{"boot":1,"seq":1,"x":"%s"}'
    fill = MAX_PAYLOAD_BYTES - len(body) + 2
    topic = f"xunlou/v1/t/{T}/evt/sos"
    assert isinstance(parse(topic, body % (b"x" * fill), retain=False), Event)
    assert parse(topic, body % (b"x" * (fill + 1)), retain=False).reason == "oversize"  # type: ignore[union-attr]
    assert isinstance(parse(topic, body % ("巡" * 300).encode(), retain=False), Event)


def test_deep_nesting_is_not_json_rather_than_a_crash() -> None:
    """A thousand brackets are refused like any other nonsense."""
    got = parse(f"xunlou/v1/t/{T}/evt/sos", b"[" * 1024, retain=False)
    assert isinstance(got, Reject)
    assert got.reason == "not_json"


def test_no_receipt_goes_to_more_than_one_terminal() -> None:
    """Wildcards and extra levels are not terminal ids."""
    for t in ("+", "#", "a/b", "", "A", "a" * 33, "a\n"):
        with pytest.raises(ValueError, match="not a terminal id"):
            make_receipt(t, 1, 1, "00")


def test_the_sos_lane_owns_three_topics() -> None:
    """sos, fall and sos_cancel; not their neighbours, and nothing deeper."""
    owned = {topic for topic in TOPICS if is_sos_lane(topic)}
    assert owned == {f"xunlou/v1/t/{T}/evt/{kind}" for kind in ("sos", "fall", "sos_cancel")}
    assert not is_sos_lane(f"xunlou/v1/t/{T}/evt/sos/again")
    assert not is_sos_lane("sos")


def test_every_json_block_of_the_contract_page_is_a_golden_example() -> None:
    """The page can't say one thing and the tests another."""
    page = (GOLDEN.parents[1] / "docs" / "contract.md").read_text("utf-8")
    blocks = [json.loads(part.split("```", 1)[0]) for part in page.split("```json\n")[1:]]
    assert len(blocks) > 15
    known = [e["payload"] for f in GOLDEN.glob("*.json") for e in json.loads(f.read_text("utf-8"))
             if "payload" in e]  # fmt: skip
    # As text: to Python, True equals 1 and 17.0 equals 17.
    texts = {json.dumps(payload, sort_keys=True) for payload in known}
    for block in blocks:
        assert json.dumps(block, sort_keys=True) in texts, block


def test_the_contract_page_names_every_type_and_reason() -> None:
    """Nothing that a terminal may send or be refused for is left unsaid."""
    page = (GOLDEN.parents[1] / "docs" / "contract.md").read_text("utf-8")
    for word in (*EVENT_TYPES, *get_args(Reason)):
        assert f"`{word}`" in page, word


@pytest.mark.parametrize("example", golden("canaries"), ids=lambda e: e["name"])
def test_golden_canaries(example: dict[str, Any]) -> None:
    """A canary is read whole, and is neither an event nor on the list of what terminals say."""
    payload = example["payload"]
    found = parse(example["topic"], json.dumps(payload).encode(), False)
    assert isinstance(found, Canary)
    assert found.lane == example["topic"].rsplit("/", 1)[1]
    assert {k: getattr(found, k) for k in payload} == payload
    assert not is_sos_lane(example["topic"])


@pytest.mark.parametrize(
    ("topic", "payload", "retain", "reason"),
    [
        ("xunlou/v1/canary/gw-1/lark", b'{"boot":1,"seq":1,"at_ms":1}', False, "bad_topic"),
        ("xunlou/v1/canary/gw-1/x/sos", b'{"boot":1,"seq":1,"at_ms":1}', False, "bad_topic"),
        ("xunlou/v1/canary/sos", b'{"boot":1,"seq":1,"at_ms":1}', False, "bad_topic"),
        ("xunlou/v1/canary/gw-1/sos", b'{"boot":1,"seq":1,"at_ms":1}', True, "retained"),
        ("xunlou/v1/canary/gw-1/sos", b"[1]", False, "not_object"),
        ("xunlou/v1/canary/gw-1/sos", b'{"boot":1,"seq":1}', False, "missing_field"),
        ("xunlou/v1/canary/gw-1/sos", b'{"boot":1,"seq":1,"at_ms":"1"}', False, "bad_type"),
    ],
)
def test_a_broken_canary_is_refused_like_any_message(
    topic: str, payload: bytes, retain: bool, reason: str
) -> None:
    """Whoever plays the canary badly is seen by staff."""
    found = parse(topic, payload, retain)
    assert isinstance(found, Reject)
    assert found.reason == reason


def test_a_canary_hears_a_receipt_like_a_terminals() -> None:
    """What the lane sends the canary understands; anything else it passes over."""
    topic, payload = make_canary_receipt("gw-1", 7, 9)
    assert topic == "xunlou/v1/canary/gw-1/cmd"
    assert read_canary_receipt(payload) == (7, 9)
    for other in (b"", b"[]", b'{"cmd":"reboot"}', b'{"cmd":"receipt"}',
                  b'{"cmd":"receipt","ref":{"boot":1}}',
                  b'{"cmd":"receipt","ref":{"boot":"1","seq":2}}'):  # fmt: skip
        assert read_canary_receipt(other) is None
