"""docs/settings.md tells of every setting, and of none that isn't there."""

import re

import pages
import settings_table

from xunlou.settings_file import variables

_VARIABLE = re.compile(r"\b(?:XUNLOU|TWILIO)_[A-Z0-9]+(?:_[A-Z0-9]+)*\b")
_CODE = {".py", ".yml", ".sh", ""}


def _table_variables(text: str) -> set[str]:
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}


def test_the_tables_are_those_of_the_code() -> None:
    """Name, default and meaning of every setting of server and gateway; run `make docs` to mend."""
    page = pages.read("docs/settings.md")
    assert page == settings_table.render(page), "docs/settings.md is out of date: make docs"


def test_a_changed_default_would_be_noticed() -> None:
    """The check itself sees one character of difference in a table."""
    page = pages.read("docs/settings.md")
    changed = page.replace("| `8000` |", "| `8080` |", 1)
    assert changed != page
    assert settings_table.render(changed) == page


def test_every_variable_in_the_code_is_on_the_page() -> None:
    """Whatever variable of ours the programs and scripts read is explained."""
    read: dict[str, str] = {}
    for path in pages.files():
        top = path.relative_to(pages.ROOT).parts[0]
        if top in {"docs", "tests"} or path.suffix not in _CODE:
            continue
        for found in _VARIABLE.findall(path.read_text(encoding="utf-8", errors="ignore")):
            read.setdefault(found, pages.name(path))
    told = set(_VARIABLE.findall(pages.read("docs/settings.md")))
    told |= _table_variables(pages.read("docs/operations.md"))  # those of docker-compose alone
    assert read.keys() - told == set(), {v: read[v] for v in read.keys() - told}


def test_the_pages_name_no_variable_that_nobody_reads() -> None:
    """A reader who sets a variable named on any page changes something by it."""
    code = "\n".join(
        p.read_text(encoding="utf-8", errors="ignore")
        for p in pages.files()
        if p.suffix in _CODE and p.relative_to(pages.ROOT).parts[0] not in {"docs", "tests"}
    )
    settings = {
        settings_table.variable(model, name, field)
        for model in settings_table.TABLES.values()
        for name, field in model.model_fields.items()
    }
    settings |= {f"{name}_FILE" for name, secret in variables().items() if secret}
    known = settings | set(_VARIABLE.findall(code))
    for page in pages.markdown():
        named = set(_VARIABLE.findall(page.read_text(encoding="utf-8")))
        assert named <= known, f"{pages.name(page)}: {named - known}"
