"""One Chromium for all browser tests; each test has its own page, cookies and server."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser

# The fake reader is shared with the unit tests of the pages.
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "dashboards"))


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium, started once and gone before the next folder's tests."""
    from browser_house import chromium

    async with chromium() as started:
        yield started
