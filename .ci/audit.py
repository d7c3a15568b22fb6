"""Asks whether what requirements.lock holds has known weaknesses, and decides what follows.

The asking is pip-audit's. The decision is here: a known weakness of which a mended version is out
fails, unless audit.toml beside this file takes it on for a time, with a reason. One that nobody has
mended yet is told and does not fail: there is nothing to do about it today.

The package index is asked, and where it knows nothing, the OSV database. An answer that neither
gives is no answer: NOT AUDITED is said, and the checks go on: a registry's bad day must stop
nobody. `AUDIT_OSV_URL` names an OSV service of one's own, which is then the only one asked.

    python .ci/audit.py [requirements.lock [audit.toml]]      0: nothing to do, or not asked
                                                              1: mend it
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NO_ANSWER_S = 4
"""What one question may take. The first that gets no answer ends the asking."""
ADVICE = (
    "Raise the version: `make lock` (bounds are in pyproject.toml), then `make setup`. "
    "What can't be raised yet goes into .ci/audit.toml, with a reason and an end."
)
ALL_S = 120
"""What all questions may take; there is one for each package."""


@dataclass(frozen=True)
class Accepted:
    """A weakness that somebody has looked at: why it does not hurt here, and until when."""

    id: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True)
class Verdict:
    """What to print, and whether it is a failure."""

    lines: tuple[str, ...]
    failed: bool


class BadList(ValueError):
    """audit.toml can't be used; the words say what to write."""


def accepted_in(text: str) -> list[Accepted]:
    """The list of audit.toml. Raises BadList: an entry without a reason or an end is none."""
    found = []
    for number, entry in enumerate(tomllib.loads(text).get("accepted", []), 1):
        where = f"audit.toml, entry {number}"
        for key in ("id", "package", "reason"):
            if not isinstance(entry.get(key), str) or not entry[key].strip():
                raise BadList(f"{where}: `{key}` is missing; write it as text in quotes")
        if type(entry.get("until")) is not date:
            raise BadList(f"{where}: `until` is missing; write a day, as 2027-01-31")
        found.append(Accepted(entry["id"], entry["package"], entry["reason"], entry["until"]))
    return found


def judge(
    packages: Sequence[Mapping[str, Any]], accepted: Sequence[Accepted], today: date
) -> Verdict:
    """What follows from pip-audit's `dependencies`."""
    lines: list[str] = []
    failed, used = False, set()
    unknown = [p for p in packages if "skip_reason" in p]
    asked = [p for p in packages if "skip_reason" not in p]
    for package in asked:
        for weak in package["vulns"]:
            names = {weak["id"], *weak.get("aliases", ())}
            title = f"{package['name']} {package['version']}: {weak['id']}"
            taken = next(
                (a for a in accepted if a.id in names and a.package == package["name"]), None
            )
            if taken is not None:
                used.add(taken)
            if not weak["fix_versions"]:
                lines.append(f"known, and nobody has mended it yet: {title}")
            elif taken is not None and today <= taken.until:
                lines.append(f"accepted until {taken.until}: {title} ({taken.reason})")
            else:
                failed = True
                over = f"; it was accepted until {taken.until}" if taken is not None else ""
                fixes = ", ".join(weak["fix_versions"])
                lines.append(f"WEAK  {title}, mended in {fixes}{over}")
    lines += [f"no longer needed in audit.toml: {a.package} {a.id}"
              for a in accepted if a not in used]  # fmt: skip
    if failed:
        lines.append(ADVICE)
    if unknown:
        names = ", ".join(p["name"] for p in unknown)
        lines.append(f"not looked at, because the source does not know them: {names}")
    lines.append(f"{len(asked)} packages looked at")
    return Verdict(tuple(lines), failed)


def sources() -> list[list[str]]:
    """Whom to ask, one after the other, as pip-audit's options."""
    own = os.environ.get("AUDIT_OSV_URL", "")
    return [["-s", "osv", "--osv-url", own]] if own else [["-s", "pypi"], ["-s", "osv"]]


def ask_all(lock: Path) -> tuple[list[dict[str, Any]], str]:
    """What the first source says that knows any package; or nothing, and why each was silent."""
    silent = []
    for source in sources():
        packages, why = ask(lock, source)
        if any("skip_reason" not in p for p in packages):
            return packages, ""
        unknown = packages[0]["skip_reason"] if packages else "the lock is empty"
        silent.append(f"{source[1]}: {why or unknown}")
    return [], "; ".join(silent)


def ask(lock: Path, source: Sequence[str]) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of the lock file, by one source; or nothing, and why."""
    command = [
        sys.executable, "-m", "pip_audit", "-r", str(lock), "--disable-pip", "--require-hashes",
        "--format", "json", "--progress-spinner", "off", "--timeout", str(NO_ANSWER_S),
        *source,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ALL_S, check=False)
    except subprocess.TimeoutExpired:
        return [], f"no answer within {ALL_S} s"
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError, TypeError):
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return [], (said[-1].strip() if said else f"pip-audit ended with {done.returncode}")[:300]


def say(line: str) -> None:
    """To the console."""
    sys.stdout.write(f"audit: {line}\n")


def main(argv: Sequence[str]) -> int:
    """Ask, decide, say."""
    lock = Path(argv[0]) if argv else HERE.parent / "requirements.lock"
    taken_on = Path(argv[1]) if len(argv) > 1 else HERE / "audit.toml"
    try:
        accepted = accepted_in(taken_on.read_text(encoding="utf-8"))
    except (BadList, tomllib.TOMLDecodeError) as error:
        say(str(error))
        return 1
    packages, why = ask_all(lock)
    if why:
        say(f"skipped: NOT AUDITED, nobody answered ({why})")
        return 0
    verdict = judge(packages, accepted, datetime.now(UTC).date())  # noqa: TID251 - a tool
    for line in verdict.lines:
        say(line)
    return int(verdict.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
