"""What an endpoint may answer beside its own: each error it can end in, in one form, as OpenAPI
tells it; and the handler that writes down what was not understood.

An answer never repeats what was sent. It may be somebody's name, and it may be something that no
JSON can hold (a lone surrogate, a NaN): then the explanation itself would fail.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.responses import Response


class Fault(BaseModel):
    """One thing that was not understood: where it stands, and what should stand there."""

    loc: list[str | int]
    msg: str
    type: str


class Problem(BaseModel):
    """What is wrong, and what to do about it."""

    detail: str


class NotUnderstood(BaseModel):
    """What is wrong with the request; a list when its form is wrong, place by place."""

    detail: str | list[Fault]


class NotNow(Problem):
    """An act that is not possible in this state; `words` are for a screen."""

    words: dict[str, str]


Told = dict[int | str, dict[str, Any]]
JSON: Final[dict[str, Any]] = {"application/json": {"schema": Problem.model_json_schema()}}
"""A problem told by an endpoint whose own answers are no JSON."""
UNREADABLE: Final[Told] = {
    400: {"model": Problem, "description": "The body can't be read"},
    413: {"model": Problem, "description": "The body is too big"},
    422: {"model": NotUnderstood, "description": "Not understood; the words say what to send"},
}
GATEWAY: Final[Told] = {
    401: {"model": Problem, "description": "No token"},
    403: {"model": Problem, "description": "Not the gateways' token"},
    **UNREADABLE,
}
STAFF: Final[Told] = {
    401: {"model": Problem, "description": "Not logged in"},
    403: {"model": Problem, "description": "Your account or token does not have the right"},
    404: {"model": Problem, "description": "Not there, or not among your houses"},
    409: {"model": NotNow, "description": "Not possible in this state"},
    **UNREADABLE,
}
PROVIDER: Final[Told] = {
    403: {"description": "Wrong signature", "content": JSON},
    503: {"description": "No account of a provider is configured", "content": JSON},
    400: {"description": "The form can't be read", "content": JSON},
    413: {"description": "The form is too big", "content": JSON},
    422: {"description": "A field or a parameter is missing or wrong", "content": {
        "application/json": {"schema": {"type": "object", "required": ["detail"]}}}},
}  # fmt: skip


def fields(required: Mapping[str, str], optional: Mapping[str, str]) -> dict[str, Any]:
    """The form that a provider sends, for OpenAPI: its fields, with what each is."""
    described = {**required, **optional}
    schema = {
        "type": "object",
        "properties": {k: {"type": "string", "description": v} for k, v in described.items()},
        **({"required": list(required)} if required else {}),
    }
    content = {"application/x-www-form-urlencoded": {"schema": schema}}
    return {"requestBody": {"content": content}}


def plain(text: str) -> str:
    """The text as every encoding can hold it."""
    return text.encode("utf-8", "replace").decode("utf-8")


async def not_understood(_request: Request, error: Exception) -> Response:
    """422 with the place and the reason of each fault; `app.py` registers it."""
    assert isinstance(error, RequestValidationError)
    faults = [
        {
            "loc": [part if isinstance(part, int) else plain(str(part)) for part in e["loc"]],
            "msg": plain(str(e["msg"])),
            "type": e["type"],
        }
        for e in error.errors()
    ]
    return JSONResponse({"detail": faults}, 422)
