"""Fixtures for all tests. Importing this must stay cheap, and must start nothing."""

import asyncio
import functools
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import parts
import pytest


@pytest.fixture(scope="session", autouse=True)
def one_trust_store() -> Iterator[None]:
    """Every HTTP client makes a TLS context and reads the machine's certificates into it, 30 ms
    each time: a quarter of a short test, which talks to loopback in the clear. Read them once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def routes_worked_out_once() -> Iterator[None]:
    """FastAPI works out each application's routes anew when they are first asked for: half a second
    of each of a thousand tests. Routes that are made once (our API's) are worked out once."""
    from fastapi.routing import _IncludedRouter  # half a second, and only once

    worked_out = _IncludedRouter._build_effective_context

    def once(self: Any, route: Any) -> Any:
        found = route.__dict__.setdefault("_tests_found", {})
        about = self.include_context.prefix
        if about not in found:
            found[about] = worked_out(self, route)
        return found[about]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_IncludedRouter, "_build_effective_context", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def signatures_read_once() -> Iterator[None]:
    """Each application makes its pages' endpoints anew, as functions about its own reader, and
    FastAPI reads the signature of each: of the same code, with the same answer but for the function
    itself. Read them once; not where something hangs on it that may be the application's own."""
    from fastapi import routing

    read = routing._build_dependant_with_parameterless_dependencies
    known: dict[tuple[str, Any], tuple[Any, Any, bool]] = {}

    def once(*, path: str, call: Any, dependencies: Any) -> Any:
        key = path, getattr(call, "__code__", None)
        if dependencies or key[1] is None:
            return read(path=path, call=call, dependencies=dependencies)
        if key not in known:
            found = read(path=path, call=call, dependencies=dependencies)
            if found[0].dependencies:
                return found
            known[key] = found
        dependant, body, embedded = known[key]
        return replace(dependant, call=call), body, embedded

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(routing, "_build_dependant_with_parameterless_dependencies", once)
        yield


class _Hasty:
    """asyncio, for whom a tenth of a second is a hundredth."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(delay: float, result: Any = None) -> Any:
        """Long enough to see that nothing is left to wait for."""
        return await asyncio.sleep(min(delay, 0.01), result)


@pytest.fixture(scope="session", autouse=True)
def servers_end_at_once() -> Iterator[None]:
    """A server that is told to end looks for that every tenth of a second, and waits another tenth
    for its connections: with the two of each town a third of a second of a thousand tests."""
    from uvicorn import server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "asyncio", _Hasty())
        yield


@pytest.fixture
def require() -> Callable[[parts.Part], str]:
    """`require("mosquitto")`: the program's path, or the end of this test (see parts.py)."""
    return parts.require


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How much the simulation lived through, and how fast; from whichever process ran it."""
    lived: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            lived.update(dict(getattr(report, "user_properties", ())).get("simulated", {}))
    if lived["ms"]:
        a_minute = 60_000 / lived["ms"]
        terminalreporter.write_line(
            f"simulation: {lived['seeds']} seeds, {lived['days']} community-days;"
            f" {lived['seeds'] * a_minute:.0f} seeds, {lived['days'] * a_minute:.0f} days a minute"
        )
