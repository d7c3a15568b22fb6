"""docs/conformance.md lists the points that terminals are judged by."""

from pathlib import Path

from xunlou.conformance.command import ASKS, line
from xunlou.conformance.points import POINTS, Record, Verdict, judge

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")


def test_every_point_is_listed() -> None:
    """With what it asks."""
    rows = [row for row in PAGE.splitlines() if row.startswith("| `")]
    assert rows == [f"| `{name}` | {asks} |" for name, (asks, _) in POINTS.items()]


def test_nothing_seen_is_nothing_passed() -> None:
    """An examination in which nothing happened gives no pass, and each line says so."""
    findings = judge(Record("t"))
    assert {f.verdict for f in findings} == {Verdict.NOT_SEEN}
    assert all(line(f).startswith("–") for f in findings)
    assert all(" · " in words for words in ASKS.values())
