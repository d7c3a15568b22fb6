"""docs/contract.md shows only messages that are golden examples, and all words of the contract."""

import json
from typing import Any

import pages

from server.core.words import SignalType

GOLDEN = pages.ROOT / "tests" / "golden"


def golden() -> list[dict[str, Any]]:
    """Every golden example."""
    examples: list[dict[str, Any]] = []
    for path in sorted(GOLDEN.glob("*.json")):
        examples += json.loads(path.read_text(encoding="utf-8"))
    return examples


def test_every_json_block_is_a_golden_example() -> None:
    """Firmware is written against the page; gateway and simulator are tested with the examples."""
    payloads = [json.dumps(e["payload"], sort_keys=True) for e in golden() if "payload" in e]
    blocks = list(pages.code_blocks(pages.read("docs/contract.md"), "json"))
    assert len(blocks) >= 10
    for block in blocks:
        assert json.dumps(json.loads(block), sort_keys=True) in payloads, block


def test_every_command_is_shown() -> None:
    """A command that has a golden example has a block on the page."""
    shown = [json.loads(b) for b in pages.code_blocks(pages.read("docs/contract.md"), "json")]
    words = {b["cmd"] for b in shown if "cmd" in b}
    assert words == {e["payload"]["cmd"] for e in golden() if "cmd" in e.get("payload", {})}


def test_every_event_type_and_reason_is_named() -> None:
    """The page names each type a terminal can send and each reason for a refusal."""
    page = pages.read("docs/contract.md")
    reasons = {e["reason"] for e in golden() if "reason" in e}
    assert len(reasons) >= 9
    for word in {*SignalType, *reasons}:
        assert f"`{word}`" in page, word
