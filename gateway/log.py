"""One shape for every log line: an event and its figures.

It must never be handed a terminal id (it is an address), a payload, a name, a number or a token.
"""

import logging


def say(logger: logging.Logger, level: int, event: str, **fields: object) -> None:
    """Log `event key=value …`; the parts are also on the record as `event` and `fields`."""
    if not logger.isEnabledFor(level):
        return
    text = " ".join([event, *(f"{key}={value}" for key, value in fields.items())])
    logger.log(level, text, extra={"event": event, "fields": fields})
