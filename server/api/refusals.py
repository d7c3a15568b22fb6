"""A refused act as an answer: words for a log, and for a screen in either language."""

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from server.service.refusals import Refused


class Refusal(HTTPException):
    """409 with `{"detail": English words, "words": {"zh": …, "en": …}}`."""

    def __init__(self, error: Refused) -> None:
        super().__init__(409, str(error))
        self.words = error.words


async def answer(_request: Request, error: Exception) -> Response:
    """The handler that writes a Refusal out; `app.py` registers it."""
    assert isinstance(error, Refusal)
    return JSONResponse({"detail": error.detail, "words": error.words}, error.status_code)
