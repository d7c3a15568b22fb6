"""The terminal and the gateway speak the same wire, held together by the golden examples."""

import json
from pathlib import Path
from typing import Any

import pytest

from firmware_sim import device, wire
from firmware_sim import outputs as out
from firmware_sim.flash import FlashImage
from firmware_sim.state import Traits
from firmware_sim.wire import Kind

GOLDEN = Path(__file__).parents[2] / "golden"
T0 = 1_760_000_000_000


def golden(name: str) -> list[dict[str, Any]]:
    """The examples in tests/golden/<name>.json."""
    path = GOLDEN / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there yet")
    loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def published() -> dict[str, list[dict[str, Any]]]:
    """What a terminal says in a day's life, by the last part of its topic."""
    stepped = device.power_on("gd-11-301", Traits(), FlashImage(boot=2), T0)
    outputs = [*stepped.outputs, device.will(stepped.state)]
    commands = [{"cmd_id": "c-1", "cmd": "test"}, {"cmd_id": "c-2", "cmd": "dance"}]
    inputs: list[out.Input] = [
        out.Connected(),
        out.MainsChanged(False),
        *(out.Pressed(kind) for kind in Kind),
        *(out.CommandArrived(json.dumps(command).encode()) for command in commands),
    ]
    for event in inputs:
        stepped = device.step(stepped.state, event, T0 + 1000)
        outputs += stepped.outputs
    said: dict[str, list[dict[str, Any]]] = {}
    for output in outputs:
        if isinstance(output, out.Publish):
            assert output.topic.startswith("xunlou/v1/t/gd-11-301/")
            said.setdefault(output.topic.rsplit("/", 1)[1], []).append(json.loads(output.payload))
    return said


def assert_like(ours: dict[str, Any], theirs: list[dict[str, Any]]) -> None:
    """Ours has only fields that the examples know, each of the same JSON type."""
    known: dict[str, set[type]] = {}
    for example in theirs:
        for key, value in example["payload"].items():
            known.setdefault(key, set()).add(type(value))
    for key, value in ours.items():
        assert type(value) in known.get(key, set()), f"{key}={value!r} is not in the examples"


@pytest.mark.parametrize("kind", list(Kind))
def test_each_event_matches_the_examples_of_its_type(kind: Kind) -> None:
    """Same topic, a subset of the golden fields, equal types, boot and seq always there."""
    examples = golden("events")
    topics = {example["topic"] for example in examples}
    assert wire.topic("gd-11-301", f"evt/{kind}") in topics
    for payload in published()[kind]:
        assert_like(payload, examples)
        assert {"boot", "seq"} <= payload.keys()


@pytest.mark.parametrize(
    ("leaf", "file"), [("hb", "heartbeats"), ("status", "statuses"), ("cmd_ack", "cmd_acks")]
)
def test_other_messages_match_their_examples(leaf: str, file: str) -> None:
    """Heartbeat, status, will and command answers use the golden fields and values."""
    examples = golden(file)
    ours = published()[leaf]
    assert ours
    for payload in ours:
        assert_like(payload, examples)
        for word in ("s", "result"):
            if word in payload:
                assert payload[word] in {e["payload"].get(word) for e in examples}


def test_a_terminal_understands_every_golden_command() -> None:
    """None of the gateway's commands is refused."""
    for example in golden("commands"):
        payload = json.dumps(example["payload"]).encode()
        command = wire.parse_command(payload)
        assert command.cmd == example["payload"]["cmd"], example["name"]
        assert command.exp == example["payload"]["exp"], example["name"]
