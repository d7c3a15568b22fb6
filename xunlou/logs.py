"""How every program logs: lines for people, or one JSON object a line for a collector.

It must never add anything about people: what is logged are events, ids and figures.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

FORMATS = ("text", "json")
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonLines(logging.Formatter):
    """`{"at", "level", "logger", "message", …}`; the fields of gateway events beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in the message."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        event, fields = getattr(record, "event", None), getattr(record, "fields", None)
        if event is not None and isinstance(fields, dict):
            line["event"] = event
            line |= {str(k): v for k, v in fields.items() if k not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(environment: Mapping[str, str]) -> None:
    """Log to standard error as XUNLOU_LOG_LEVEL and XUNLOU_LOG_FORMAT say. Raises ValueError."""
    level = environment.get("XUNLOU_LOG_LEVEL", "").upper() or "INFO"
    if level not in logging.getLevelNamesMapping():
        raise ValueError(f"XUNLOU_LOG_LEVEL={level!r}: use DEBUG, INFO, WARNING or ERROR")
    form = environment.get("XUNLOU_LOG_FORMAT", "").lower() or "text"
    if form not in FORMATS:
        raise ValueError(f"XUNLOU_LOG_FORMAT={form!r}: use {' or '.join(FORMATS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(TEXT))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # These write addresses and numbers of people into their lines.
    for quiet in ("httpx", "httpcore", "urllib3", "twilio", "alembic", "sqlalchemy"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    # A ring that comes while the last one still works is skipped by design, every day.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
