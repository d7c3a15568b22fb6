"""One house for the whole matrix, and the table of what was done to it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.faults.house import House, a_house
from tests.parts import require

_TABLE: list[dict[str, Any]] = []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The running house; what a cell broke is mended before the next."""
    require("mosquitto")
    async with a_house(tmp_path_factory.mktemp("house")) as running:
        yield running
        _TABLE.extend(running.table)


@pytest.fixture
def table() -> list[dict[str, Any]]:
    """What was done, a row each, for the summary."""
    return _TABLE


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the matrix as it was played."""
    if not _TABLE:
        return
    heads = ("fault", "pressed", "stored", "receipted", "alarms", "told", "seen", "crashes",
             "extra_sms", "recovered_s", "within_s", "held")  # fmt: skip
    terminalreporter.section("fault matrix")
    terminalreporter.line("| " + " | ".join(heads) + " |")
    terminalreporter.line("|" + "---|" * len(heads))
    for row in _TABLE:
        terminalreporter.line("| " + " | ".join(str(row.get(h)) for h in heads) + " |")
