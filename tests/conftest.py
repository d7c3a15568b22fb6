"""Fixtures for all tests. Importing this must stay cheap, and must start nothing."""

from collections.abc import Callable

import parts
import pytest


@pytest.fixture
def require() -> Callable[[parts.Part], str]:
    """`require("mosquitto")`: the program's path, or the end of this test (see parts.py)."""
    return parts.require
