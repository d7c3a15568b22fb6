"""What the tests of the documentation share: which files there are, and how to read Markdown."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)(```|~~~)(.*?)\n(.*?)^\1\2\s*$", re.DOTALL | re.MULTILINE)
_NOT_OURS = {".git", ".venv", ".demo", "data", "node_modules", "__pycache__", ".hypothesis"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the repository, committed or about to be."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode()
        found = [ROOT / name for name in names.split("\0") if name]
    else:  # an unpacked archive
        found = [p for p in ROOT.rglob("*") if not _NOT_OURS & set(p.relative_to(ROOT).parts)]
    return tuple(sorted(p for p in found if p.is_file()))


def markdown() -> list[Path]:
    """Every page."""
    return [p for p in files() if p.suffix == ".md"]


def name(path: Path) -> str:
    """A file as people call it."""
    return str(path.relative_to(ROOT))


def read(relative: str) -> str:
    """A file's text."""
    return (ROOT / relative).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """The prose: no fenced blocks."""
    return _FENCE.sub("", text)


def code_blocks(text: str, language: str) -> Iterator[str]:
    """Fenced blocks of a language, without their indentation."""
    for indent, _, info, body in _FENCE.findall(text):
        if info.strip() == language:
            yield "\n".join(line.removeprefix(indent) for line in body.splitlines())


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings make, as the usual renderers write them."""
    made: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", without_code(text), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        made.add(slug if slug not in made else f"{slug}-{sum(a.startswith(slug) for a in made)}")
    return made
