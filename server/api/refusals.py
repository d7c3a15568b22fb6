"""A refused act as an answer: words for the log, a reason for a screen in any language."""

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from server.service.acting import Refused


class Refusal(HTTPException):
    """409 with `{"detail": words, "reason": name, "facts": {…}}`."""

    def __init__(self, error: Refused) -> None:
        super().__init__(409, str(error))
        self.reason, self.facts = error.reason, error.facts


async def answer(_request: Request, error: Exception) -> Response:
    """The handler that writes a Refusal out; `app.py` registers it."""
    assert isinstance(error, Refusal)
    body = {"detail": error.detail, "reason": error.reason, "facts": error.facts}
    return JSONResponse(body, error.status_code)
