"""Instants as they are sent to us: with a zone, and of a year in which Xunlou may run.

The ends of the calendar are no instants of anybody's life, and can't even be told in another zone
without leaving it.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
Instant = Annotated[AwareDatetime, Field(ge=EARLIEST, le=LATEST)]
Day = Annotated[date, Field(ge=EARLIEST.date(), le=LATEST.date())]
"""A local day of these years."""
