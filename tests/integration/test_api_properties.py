"""Every endpoint, asked what its own description allows and what it forbids.

Schemathesis makes the requests from the served OpenAPI: on the edge of what is allowed and beyond.
Whatever is asked, no server error comes back, and the answer is one that the description tells of.
Half of the requests are about numbers and names out of the air, half about those of the town; each
goes to a server on SQLite and to one on PostgreSQL, because making one up takes longer than
answering it twice.

    SCHEMA_LONG=1 make test ARGS="tests/integration/test_api_properties.py"    many, new in each run
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import postgres
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from town import API_TOKEN, GATEWAY_TOKEN, GRANNY, TOKEN, Town, a_town

LONG = bool(os.environ.get("SCHEMA_LONG"))
EXAMPLES = int(os.environ.get("API_EXAMPLES", "60" if LONG else "3"))
"""Of each kind and operation; the same ones in every run, but for the long ones."""
LONGEST = 2
HOLDS = (
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance,
)  # fmt: skip
STREAMS = {"GET /api/v1/stream": "never ends; tests/integration/test_server_stream.py follows it"}
TAGS = (
    "alerts", "feed", "gateway", "health", "ladder", "people", "privacy", "register", "rounds",
    "services", "webhooks",
)  # fmt: skip
METRICS_TOKEN = "metrics-token"
KNOWN: dict[str, tuple[Any, ...]] = {
    "alert_id": (1, 2), "resident_id": (1, 2, 3), "item_resident_id": (1,), "person_id": (1, 2, 3),
    "as_person_id": (1,), "assignment_id": (1, 2), "building": (11, 12), "flat": ("301", "303"),
    "terminal_id": (GRANNY, "gd-11-303"), "resident": ("1", GRANNY), "t": (GRANNY,), "m": (1, 2),
    "new": ("gd-11-304",), "request_id": (1, 2), "visit_id": (1, 2), "entry_id": (1, 2),
    "payer_id": (1, 2),
}  # fmt: skip
"""What there is in the town, by the name that a parameter or a field has."""


def operations(schema: Any) -> dict[str, Any]:
    """Every operation by "METHOD /path"."""
    found = (result.ok() for result in schema.get_all_operations())
    return {f"{o.method.upper()} {o.path}": o for o in found}


def described(town: Town) -> Any:
    """The OpenAPI as the server serves it, but for the length of lists that are sent: making up a
    batch of a thousand signals takes minutes and finds no more than two do."""
    served = httpx.get(f"{town.url}/openapi.json", timeout=60).json()

    def shorten(part: Any) -> None:
        for inner in part.values() if isinstance(part, dict) else part:
            if isinstance(inner, dict | list):
                shorten(inner)
        if isinstance(part, dict) and "maxItems" in part:
            part["maxItems"] = min(part["maxItems"], LONGEST)

    shorten(served)
    return schemathesis.openapi.from_dict(served)


def placed(draw: Callable[..., Any], part: Any) -> Any:
    """The same with names and numbers of the town where it has any."""
    if isinstance(part, list):
        return [placed(draw, p) for p in part]
    if not isinstance(part, dict):
        return part
    return {
        k: draw(st.sampled_from(KNOWN[k])) if k in KNOWN else placed(draw, v)
        for k, v in part.items()
    }


@st.composite
def requests(draw: Callable[..., Any], operation: Any, mode: GenerationMode) -> Any:
    """A request to this operation; every other one about what there is in the town."""
    case = draw(operation.as_strategy(generation_mode=mode))
    if draw(st.booleans()):
        case.path_parameters = placed(draw, case.path_parameters)
        case.query = placed(draw, case.query)
        case.body = placed(draw, case.body)
    if isinstance(case.body, dict) and case.path.endswith("/commands/lease"):
        case.body["wait_s"] = draw(st.sampled_from([0, 0.01, -1, "soon"]))  # a long poll
    return case


def headers_for(town: Town, name: str, case: Any) -> dict[str, str]:
    """Whoever may call this, calls."""
    if "/webhooks/" in name:
        form = case.body if isinstance(case.body, dict) else {}
        fields = {str(k): str(v) for k, v in form.items()}
        query = f"?{urlencode(case.query, doseq=True)}" if case.query else ""
        signed = town.url + case.formatted_path + query
        signed += "".join(k + fields[k] for k in sorted(fields))
        digest = hmac.digest(TOKEN.encode(), signed.encode("utf-8", "replace"), hashlib.sha1)
        return {"X-Twilio-Signature": base64.b64encode(digest).decode()}
    if name == "GET /metrics":
        return {"Authorization": f"Bearer {METRICS_TOKEN}"}
    gateway = "/signals" in name or "/commands/" in name
    return {"Authorization": f"Bearer {GATEWAY_TOKEN if gateway else API_TOKEN}"}


def ask(towns: list[Town], name: str, operation: Any) -> None:
    """Ask one operation everything. Raises with the request, as a command to repeat it."""
    wrongly = bool(operation.body or list(operation.iter_parameters()))
    for mode in (GenerationMode.POSITIVE, *[GenerationMode.NEGATIVE] * wrongly):

        @settings(
            max_examples=EXAMPLES, derandomize=not LONG, database=None, deadline=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=requests(operation, mode))
        def asked(case: Any) -> None:
            for town in towns:
                case.call_and_validate(
                    base_url=town.url, headers=headers_for(town, name, case), checks=list(HOLDS),
                    timeout=60,
                )  # fmt: skip

        asked()


@pytest.fixture
async def towns(tmp_path: Path) -> AsyncIterator[list[Town]]:
    """The same town on either database, somebody having called for help in it, with figures to be
    had."""
    async with contextlib.AsyncExitStack() as opened:
        found = []
        for kind in ("sqlite", "postgres"):
            if kind == "postgres":
                opened.enter_context(postgres.for_this_test())
            folder = tmp_path / kind
            folder.mkdir()
            town = await opened.enter_async_context(
                a_town(folder, metrics_token=SecretStr(METRICS_TOKEN))
            )
            await town.press()
            found.append(town)
        yield found


@pytest.mark.sqlite_only("the test opens both by itself")
@pytest.mark.parametrize("tag", TAGS)
async def test_no_request_breaks_the_server(towns: list[Town], tag: str) -> None:
    """Whatever is sent to this part of the API, the answer is one that was described."""
    schema = await asyncio.to_thread(described, towns[0])
    every = operations(schema)
    assert {t for o in every.values() for t in o.tags} == set(TAGS)
    assert STREAMS.keys() <= every.keys()
    wrong = []
    for name, operation in every.items():
        if tag not in operation.tags or name in STREAMS:
            continue
        try:
            await asyncio.to_thread(ask, towns, name, operation)
        except Exception as error:  # noqa: BLE001 - all of them at once, each with its request
            wrong.append(f"{name}\n{error}")
    assert wrong == [], "\n\n".join(wrong)
