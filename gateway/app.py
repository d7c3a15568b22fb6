"""The gateway as a service: start the bridge, wait for the word to stop.

It must never end quietly on its own: a part that fails takes the whole down with its error, so
that whoever supervises this process starts it afresh.
"""

import asyncio
import logging

from gateway.bridge import Bridge
from gateway.counters import Counters
from gateway.log import say
from gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)


async def run(
    settings: GatewaySettings, stop: asyncio.Event, counters: Counters | None = None
) -> None:
    """Carry messages until `stop` is set, then stop cleanly in less than 1.5 s.

    Needs neither broker nor server to be up: it waits for both. `counters` is filled while it
    runs. Raises whatever ended a part of it that should never end.
    """
    # httpx logs one line for each request at INFO; ours say more with less.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    bridge = Bridge(settings, counters if counters is not None else Counters())
    say(logger, logging.INFO, "gateway_started", id=settings.gateway_id)
    tasks = bridge.start()
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        failed = [task for task in tasks if task.done() and not task.cancelled()]
        await bridge.stop()
    for task in failed:
        error = task.exception()
        raise RuntimeError(f"the gateway's part {task.get_name()} ended") from error
