"""Renders the tables of docs/settings.md from the settings classes; run it to write them anew.

It must never hold a description of its own: the fields in the code are the documentation.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from server.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
TABLES: dict[str, type[BaseSettings]] = {"server": Settings, "gateway": GatewaySettings}
HEAD = "| Variable | Default | Meaning |\n|---|---|---|\n"


def variable(settings: type[BaseSettings], name: str, field: FieldInfo) -> str:
    """The environment variable that sets a field."""
    return field.alias or f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def default(field: FieldInfo) -> str:
    """A field's default as a person reads it."""
    if field.default is PydanticUndefined:
        return "none"
    if field.default is None or field.default == "":
        return "empty"
    assert not isinstance(field.default, SecretStr), "a secret must have no default"
    return f"`{field.default}`"


def rows(settings: type[BaseSettings]) -> Iterator[str]:
    """One line a field, in the order of the code."""
    for name, field in settings.model_fields.items():
        meaning = (field.description or "").replace("|", r"\|").rstrip(".")
        yield f"| `{variable(settings, name, field)}` | {default(field)} | {meaning} |\n"


def table(settings: type[BaseSettings]) -> str:
    """The table of one program."""
    return HEAD + "".join(rows(settings))


def block(name: str) -> re.Pattern[str]:
    """The generated part called `name`, its markers included."""
    return re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)


def render(page: str) -> str:
    """The page with every generated part written anew. Raises ValueError when one is missing."""
    for name, settings in TABLES.items():
        if not block(name).search(page):
            raise ValueError(f"docs/settings.md has no part `<!-- generated: {name} -->`")
        fresh = table(settings)
        page = block(name).sub(lambda m, new=fresh: f"{m[1]}{new}{m[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
