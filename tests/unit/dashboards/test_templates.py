"""What the content policy forbids is in no template: a page that needs an exception gets none."""

import re
from pathlib import Path

import pytest

TEMPLATES = sorted((Path(__file__).parents[3] / "dashboards" / "templates").glob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_nothing_is_inline(path: Path) -> None:
    """No script with a body (JSON aside), no style, no handler in an attribute."""
    html = path.read_text(encoding="utf-8")
    scripts = re.findall(r"<script\b([^>]*)>", html)
    assert [s for s in scripts if "src=" not in s and "application/json" not in s] == []
    assert re.findall(r"<style\b|\sstyle=|\son[a-z]+=|javascript:", html) == []
