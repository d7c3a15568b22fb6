"""How staff's changes are answered: what is not there, not possible, or not understood."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import HTTPException
from pydantic import Field

from server.api.refusals import Refusal
from server.database import Tx
from server.runtime import Runtime
from server.service.refusals import Beyond, Refused, Unknown

T = TypeVar("T")
Reason = Annotated[str, Field(min_length=2, max_length=200)]


async def change(runtime: Runtime, run: Callable[[Tx], T]) -> T:
    """Run a use-case in one transaction; its refusals become 403, 404, 409 and 422."""
    try:
        return await runtime.database.write(run)
    except Unknown as error:
        raise HTTPException(404, str(error)) from error
    except Beyond as error:
        raise HTTPException(403, str(error)) from error
    except Refused as error:
        raise Refusal(error) from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
