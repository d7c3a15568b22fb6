"""requirements.lock names what is installed as pip asks for it."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^]]*)\])?==", re.MULTILINE)


def locked(text: str) -> dict[str, set[str]]:
    """What a lock pins: the extras of each package."""
    return {
        canonicalize_name(m[1]): {canonicalize_name(e) for e in (m[2] or "").split(",") if e}
        for m in PINNED.finditer(text)
    }


def wanted() -> Iterator[Requirement]:
    """What pyproject.toml asks for, by whichever group."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for words in (project["project"]["dependencies"], *project["dependency-groups"].values()):
        yield from map(Requirement, words)


def needed() -> dict[str, set[str]]:
    """Every package that is needed on this machine, with each extra that anybody asks for; from
    the metadata of what is installed."""
    found: dict[str, set[str]] = {}
    waiting = list(wanted())
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        extras = frozenset(canonicalize_name(e) for e in asked.extras)
        found.setdefault(name, set()).update(extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for words in distribution(name).requires or ():
            inner = Requirement(words)
            marker = inner.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras)):
                waiting.append(inner)
    return found


def test_every_extra_that_anybody_asks_for_is_pinned_by_name() -> None:
    """`coverage[toml]` asked for beside a pinned `coverage` is another requirement to pip, one
    without a hash: every fresh set-up failed for it, and no old one."""
    pinned = locked((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    asked = needed()
    assert {name for name, extras in asked.items() if extras}, "nobody asks for any extra"
    missing = {
        f"{name}[{','.join(sorted(extras - pinned.get(name, set())))}]"
        for name, extras in asked.items()
        if name not in pinned or extras - pinned[name]
    }
    assert missing == set(), "write the lock anew: make lock"


def test_a_lock_without_an_extra_is_noticed() -> None:
    """What the test above reads of a line: the extras, however they are written."""
    assert locked("coverage==7.1 \\\n    --hash=sha256:0\n") == {"coverage": set()}
    assert locked("Psycopg[binary,C_ext]==3.2 ; os == 'x'\n") == {"psycopg": {"binary", "c-ext"}}
