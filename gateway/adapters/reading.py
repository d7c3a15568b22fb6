"""Careful looks into foreign JSON: a value of the right type, or None. Never raises."""

import json
import math
from datetime import UTC, datetime
from typing import Any

MAX_BYTES = 64 * 1024
"""Network servers send envelopes with every gateway that heard a device."""


def parsed(payload: bytes) -> Any:
    """The JSON value, or None."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def at(value: Any, *path: str | int) -> Any:
    """The value under a path of keys and indexes, or None where it breaks off."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def whole(value: Any, low: int, high: int) -> int | None:
    """A number as an int within bounds; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and low <= value <= high else None


def percent(value: Any) -> int | None:
    """A battery level."""
    return whole(value, 0, 100)


def signal_strength(value: Any) -> int | None:
    """dBm as the contract takes them."""
    return whole(value, -200, 100)


def instant_ms(value: Any) -> int | None:
    """Epoch milliseconds of an ISO time with zone, such as network servers write."""
    if not isinstance(value, str):
        return None
    try:
        # Nanoseconds are more than datetime reads; microseconds are more than we need.
        moment = datetime.fromisoformat(_micro(value))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.astimezone(UTC).timestamp() * 1000)


def _micro(text: str) -> str:
    head, dot, tail = text.partition(".")
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}{dot}{tail[: min(digits, 6)]}{tail[digits:]}" if dot else text
