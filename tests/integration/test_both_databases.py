"""The suite is where it says: a test marked `postgres` really has a town on PostgreSQL."""

from pathlib import Path

import pytest
from town import Town, a_town


def dialect(town: Town) -> str:
    """What the running server works on."""
    return {True: "sqlite", False: "postgres"}[town.runtime.database.sqlite]


@pytest.mark.parametrize("_more", [1, 2])
async def test_a_town_of_the_fixture(town: Town, database: str, _more: int) -> None:
    """However many parameters a test has: the fixture's town comes after the choice."""
    assert dialect(town) == database


async def test_a_town_of_the_tests_own(tmp_path: Path, database: str) -> None:
    """And so does one that the test makes for itself, again after a restart."""
    for _ in range(2):
        async with a_town(tmp_path) as town:
            assert dialect(town) == database
            await town.signals()
