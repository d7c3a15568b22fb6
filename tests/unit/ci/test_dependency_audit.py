"""What `make check` makes of known weaknesses in what is locked."""

import importlib.util
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
assert _spec is not None
assert _spec.loader is not None
audit: Any = importlib.util.module_from_spec(_spec)
sys.modules["audit"] = audit
_spec.loader.exec_module(audit)

TODAY = date(2026, 12, 1)
WEAK = {"name": "tea", "version": "1.0", "vulns": [
    {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}]}  # fmt: skip
UNMENDED = {**WEAK, "vulns": [{"id": "PYSEC-2", "fix_versions": []}]}
UNKNOWN = {"name": "jug", "skip_reason": "not there"}
WELL = {"name": "milk", "version": "2.0", "vulns": []}


def taken(until: date, name: str = "CVE-1", package: str = "tea") -> Any:
    """Somebody's word that it does not hurt."""
    return audit.Accepted(name, package, "never poured", until)


@pytest.mark.parametrize(
    ("packages", "accepted", "failed", "words"),
    [
        ([WELL], [], False, "1 packages looked at"),
        ([WEAK], [], True, "WEAK  tea 1.0: PYSEC-1, mended in 1.1"),
        # Nobody has mended it: said, and no reason to stop anybody's work.
        ([UNMENDED], [], False, "nobody has mended"),
        # Taken on by any of its names, to the end of the last day; from then on it fails again.
        ([WEAK], [taken(TODAY)], False, "accepted until 2026-12-01"),
        ([WEAK], [taken(date(2026, 11, 30))], True, "it was accepted until 2026-11-30"),
        # Another package's, or another weakness: no excuse.
        ([WEAK], [taken(TODAY, package="milk")], True, "mended in 1.1"),
        ([WEAK], [taken(TODAY, name="CVE-2")], True, "mended in 1.1"),
        ([WELL], [taken(TODAY)], False, "no longer needed in audit.toml: tea CVE-1"),
        ([WELL, UNKNOWN], [], False, "does not know them: jug"),
        # A source that knows nothing at all is one that can't be asked.
        ([UNKNOWN, UNKNOWN], [taken(TODAY)], False, "skipped: no package could be looked at"),
        ([], [], False, "skipped: no package could be looked at"),
    ],
)  # fmt: skip
def test_what_follows(packages: Any, accepted: Any, *, failed: bool, words: str) -> None:
    """Each case by itself."""
    verdict = audit.judge(packages, accepted, TODAY)
    assert verdict.failed is failed
    assert words in "\n".join(verdict.lines)


@pytest.mark.parametrize("missing", ["id", "package", "reason", "until"])
def test_an_excuse_without_a_reason_or_an_end_is_none(missing: str) -> None:
    """The list is refused whole, with what to write."""
    entry = {"id": '"a"', "package": '"b"', "reason": '"c"', "until": "2027-01-31"}
    text = "[[accepted]]\n" + "".join(f"{k} = {v}\n" for k, v in entry.items() if k != missing)
    with pytest.raises(audit.BadList, match=rf"entry 1: `{missing}`"):
        audit.accepted_in(text)


def test_the_kept_list_can_be_used() -> None:
    """The one in the repository."""
    audit.accepted_in((ROOT / ".ci" / "audit.toml").read_text(encoding="utf-8"))


def test_no_answer_is_no_failure(tmp_path: Path) -> None:
    """A lock that pip-audit can't use (here: no hash), as one whose source can't be reached, is
    said to be skipped and why; the checks go on."""
    lock = tmp_path / "lock"
    lock.write_text("tea==1.0\n")
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py", lock],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("audit: skipped: ")
