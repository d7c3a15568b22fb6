"""What `make check` makes of known weaknesses in what is locked."""

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


LOCK = f"tea==1.0 --hash=sha256:{'0' * 64}\nmilk==2.0 --hash=sha256:{'1' * 64}\n"


class Advisories(BaseHTTPRequestHandler):
    """An OSV service that knows one weakness, or none."""

    known: dict[str, Any]

    def do_POST(self) -> None:
        """One package's weaknesses."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = json.dumps(self.known if asked["package"]["name"] == "tea" else {}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Advisories]]:
    """The service that is asked, on loopback."""
    handler = type("Handler", (Advisories,), {"known": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AUDIT_OSV_URL", f"http://127.0.0.1:{server.server_port}/v1/query")
    yield handler
    server.shutdown()
    server.server_close()


def weakness(*fixed: str) -> dict[str, Any]:
    """As OSV tells it."""
    events = [{"introduced": "0"}, *({"fixed": version} for version in fixed)]
    return {"vulns": [{
        "id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "", "details": "it burns",
        "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z",
        "affected": [{
            "package": {"name": "tea", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}], "versions": ["1.0"],
        }],
    }]}  # fmt: skip


def audited(folder: Path, lock: str = LOCK, accepted: str = "") -> tuple[int, str]:
    """What the whole tool ends with, and says; pip-audit is the real one."""
    (folder / "lock").write_text(lock)
    (folder / "accepted.toml").write_text(accepted)
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit.py", folder / "lock", folder / "accepted.toml"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


EXCUSE = """[[accepted]]
id = "CVE-1"
package = "tea"
reason = "never poured"
until = 2999-01-01
"""


@pytest.mark.parametrize(
    ("known", "accepted", "code", "words"),
    [
        ({}, "", 0, "2 packages looked at"),
        (weakness("1.1"), "", 1, "WEAK  tea 1.0: PYSEC-1, mended in 1.1"),
        (weakness("1.1"), EXCUSE, 0, "accepted until 2999-01-01"),
        (weakness(), "", 0, "nobody has mended it yet"),
    ],
    ids=["well", "weak", "taken on", "unmended"],
)  # fmt: skip
def test_from_the_lock_to_the_verdict(
    osv: type[Advisories], tmp_path: Path, known: Any, accepted: str, code: int, words: str
) -> None:
    """The real pip-audit reads the lock, asks, and its answer is judged."""
    osv.known = known
    found, said = audited(tmp_path, accepted=accepted)
    assert (found, words in said) == (code, True), said


@pytest.mark.parametrize("lock", [LOCK, "tea==1.0\n"], ids=["nobody listens", "no hash"])
def test_no_answer_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    """Said aloud, with why; the checks go on."""
    monkeypatch.setenv("AUDIT_OSV_URL", "http://127.0.0.1:1/v1/query")
    code, said = audited(tmp_path, lock)
    assert code == 0, said
    assert said.startswith("audit: skipped: NOT AUDITED, nobody answered (osv: ")


def test_who_knows_nothing_has_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index knows no package of the lock: the other source is asked. A house's own source is
    the only one."""
    monkeypatch.delenv("AUDIT_OSV_URL", raising=False)
    answers = {"pypi": ([UNKNOWN, UNKNOWN], ""), "osv": ([WELL, UNKNOWN], "")}
    monkeypatch.setattr(audit, "ask", lambda _lock, source: answers[source[1]])
    assert audit.ask_all(Path("lock")) == ([WELL, UNKNOWN], "")
    answers["osv"] = ([], "no answer")
    assert audit.ask_all(Path("lock")) == ([], "pypi: not there; osv: no answer")
    monkeypatch.setenv("AUDIT_OSV_URL", "http://127.0.0.1:1")
    assert [source[1] for source in audit.sources()] == ["osv"]
