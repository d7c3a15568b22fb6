"""Fixtures for all tests. Importing this must stay cheap, and must start nothing."""

import functools
import ssl
from collections.abc import Callable, Iterator

import parts
import pytest


@pytest.fixture(scope="session", autouse=True)
def one_trust_store() -> Iterator[None]:
    """Every HTTP client makes a TLS context and reads the machine's certificates into it, 30 ms
    each time: a quarter of a short test, which talks to loopback in the clear. Read them once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture
def require() -> Callable[[parts.Part], str]:
    """`require("mosquitto")`: the program's path, or the end of this test (see parts.py)."""
    return parts.require
