"""Log lines for a collector: one object a line, whatever happened."""

import json
import logging
import sys

import pytest

from xunlou import logs
from xunlou.logs import JsonLines


def line(record: logging.LogRecord) -> dict[str, object]:
    """What the formatter makes of a record, which must be one line."""
    text = JsonLines().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def record(message: str, *args: object, **more: object) -> logging.LogRecord:
    """A record as a logger makes it."""
    made = logging.LogRecord("server.outbox", logging.WARNING, __file__, 1, message, args, None)
    made.__dict__ |= more
    return made


def test_a_line_is_one_object_with_its_instant() -> None:
    """Message, level, logger, and when, with the zone."""
    found = line(record("message %s: %s", 7, "a\nb"))
    assert found["message"] == "message 7: a\nb"
    assert (found["level"], found["logger"]) == ("WARNING", "server.outbox")
    assert str(found["at"]).endswith("+00:00")


def test_a_gateways_event_keeps_its_figures() -> None:
    """They stand beside the message, and overwrite nothing."""
    found = line(record("x", event="server_lost", fields={"entries": 3, "level": "mine"}))
    assert (found["event"], found["entries"], found["level"]) == ("server_lost", 3, "WARNING")


def test_an_exception_stays_in_its_line() -> None:
    """A traceback of twenty lines is one line for the collector."""
    made = record("failed")
    try:
        raise ValueError("no")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert "ValueError: no" in str(line(made)["exception"])


@pytest.mark.parametrize(
    ("environment", "advice"),
    [({"XUNLOU_LOG_LEVEL": "LOUD"}, "use DEBUG"), ({"XUNLOU_LOG_FORMAT": "xml"}, "text or json")],
)
def test_a_wrong_setting_is_answered_with_advice(
    environment: dict[str, str], advice: str
) -> None:
    """And not with a traceback from the logging library."""
    with pytest.raises(ValueError, match=advice):
        logs.set_up(environment)
