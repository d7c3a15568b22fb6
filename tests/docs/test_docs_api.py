"""docs/api.md and the server's own description agree."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pages
import pytest

from server import migrate
from server.app import build, create_app
from server.core.words import OUTCOMES_OF_PEOPLE
from server.settings import Settings
from xunlou.keys import Keys

METHODS = "GET|POST|PUT|PATCH|DELETE"


@pytest.fixture(scope="module")
def openapi(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the server says of itself."""
    directory: Path = tmp_path_factory.mktemp("api")
    url = f"sqlite:///{directory / 'api.db'}"
    migrate.upgrade(url)
    runtime = build(
        Settings(database_url=url, secret="a-secret-of-enough-characters", gateway_token="token")
    )
    try:
        return create_app(runtime).openapi()
    finally:
        runtime.database.close()


def test_the_page_lists_exactly_the_endpoints_that_exist(openapi: Any) -> None:
    """Every endpoint is in the table, and every line of the table is an endpoint."""
    served = {f"{m.upper()} {path}" for path, item in openapi["paths"].items() for m in item}
    listed = re.findall(rf"^\| `((?:{METHODS}) [^`]+)` \|", pages.read("docs/api.md"), re.MULTILINE)
    assert len(listed) == len(set(listed)), "an endpoint is listed twice"
    assert set(listed) == served


def test_the_page_says_who_may_call(openapi: Any) -> None:
    """`staff` and `gateways` need a login, and nobody else's endpoints do."""
    for line in pages.read("docs/api.md").splitlines():
        match = re.match(rf"\| `({METHODS}) ([^`]+)` \| (\w+) \|", line)
        if match is None:
            continue
        method, path, who = match.groups()
        security = openapi["paths"][path][method.lower()].get("security", [])
        schemes = {name for option in security for name in option}
        expected = {"staff": {"HTTPBearer", "APIKeyCookie"}, "gateways": {"HTTPBearer"}}
        assert schemes == expected.get(who, set()), f"{method} {path}"


PLAIN = {"resident", "at"}
"""Texts in an address that are no sentence: an id or terminal, an instant."""


def test_no_address_holds_what_a_person_wrote(openapi: Any) -> None:
    """An address ends up in logs: a reason, a name, a note comes in a body or a header, so that no
    query takes any text but chosen words and days."""
    found = {
        (f"{method.upper()} {path}", p["name"])
        for path, item in openapi["paths"].items() for method, o in item.items()
        if not path.startswith("/webhooks/")
        for p in o.get("parameters", ()) if p["in"] == "query"
        for s in (p["schema"], *p["schema"].get("anyOf", ()))
        if s.get("type") == "string" and not {"enum", "const", "format"} & set(s)
    }  # fmt: skip
    assert {f for f in found if f[1] not in PLAIN} == set()


def test_a_shell_takes_the_token_by_the_name_that_its_file_gives_it() -> None:
    """`data/secrets.env` has other names than the demo's file: a block that reads one uses its."""
    held = {"data/secrets.env": {f.name for f in fields(Keys)},
            ".demo/demo.env": {"XUNLOU_API_TOKEN"}}  # fmt: skip
    files = [*pages.ROOT.joinpath("docs").glob("*.md"), pages.ROOT / "README.md"]
    seen = set()
    for page in files:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for file in re.findall(r"^\s*\. (\S+\.env);", block, re.MULTILINE):
                used = set(re.findall(r"\$\{?(\w*token)", block, re.IGNORECASE))
                assert used <= held[file], (page.name, file)
                seen |= {file} if used else set()
    assert seen == set(held)


def test_the_fields_of_an_act_are_told(openapi: Any) -> None:
    """The table of fields is the request's, and the outcomes are those people can say."""
    page = pages.read("docs/api.md").partition("## Acting on an alert")[2].partition("\n## ")[0]
    fields = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert fields == set(openapi["components"]["schemas"]["Act"]["properties"])
    assert ", ".join(f"`{o}`" for o in OUTCOMES_OF_PEOPLE) in page
