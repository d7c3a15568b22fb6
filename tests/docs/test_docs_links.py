"""Links between pages lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pages
import pytest

_LINK = re.compile(r"(?<!!)\[[^]\n]*(?:\n[^]\n]*)?\]\(([^)\s]+)(?: \"[^\"]*\")?\)")


def problems(page: Path, text: str) -> list[str]:
    """Every relative link of a page that leads nowhere."""
    wrong = []
    for target in _LINK.findall(pages.without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            wrong.append(f"{target}: no such file")
        elif anchor and anchor not in pages.anchors(file.read_text(encoding="utf-8")):
            wrong.append(f"{target}: no such heading")
    return wrong


@pytest.mark.parametrize("page", pages.markdown(), ids=pages.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """A reader who follows a link from any page arrives."""
    assert problems(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_would_be_noticed() -> None:
    """The check itself sees a missing file and a missing heading."""
    text = "[a](docs/nowhere.md) [b](README.md#no-such-heading) [c](README.md#two-commands)"
    found = problems(pages.ROOT / "README.md", text)
    assert found == [
        "docs/nowhere.md: no such file",
        "README.md#no-such-heading: no such heading",
    ]


def test_every_decision_is_listed() -> None:
    """docs/adr/README.md names each decision once, by its own title."""
    listed = pages.read("docs/adr/README.md")
    decisions = sorted((pages.ROOT / "docs" / "adr").glob("0*.md"))
    assert len(decisions) >= 7
    for number, page in enumerate(decisions, start=1):
        title = page.read_text(encoding="utf-8").splitlines()[0]
        assert title.startswith(f"# {number}. "), f"{page.name} is not decision {number}"
        line = f"| [{number:04}]({page.name}) | {title.partition('. ')[2]} |"
        assert line in listed, f"docs/adr/README.md lacks: {line}"
