"""The gateway as a service: start the bridge, wait for the word to stop.

It must never end quietly on its own: a part that fails takes the whole down with its error, so
that whoever supervises this process starts it afresh.
"""

import asyncio
import logging
import time
from pathlib import Path

from gateway import metrics
from gateway.adapters.config import load
from gateway.adapters.translator import Translator
from gateway.bridge import Bridge
from gateway.counters import Counters
from gateway.log import say
from gateway.settings import GatewaySettings

logger = logging.getLogger(__name__)


def _now_ms() -> int:
    """For the identities of foreign presses alone: they must differ, whatever the time is."""
    return time.time_ns() // 1_000_000


async def run(
    settings: GatewaySettings, stop: asyncio.Event, counters: Counters | None = None
) -> None:
    """Carry messages until `stop` is set, then stop cleanly in less than 1.5 s.

    Needs neither broker nor server to be up: it waits for both. `counters` is filled while it
    runs. Raises BadDevices for a file of devices that can't be used, and whatever ended a part
    of it that should never end.
    """
    adapters = load(Path(settings.devices_file)) if settings.devices_file else ()
    foreign = {terminal for adapter in adapters for terminal in adapter.habits}
    bridge = Bridge(settings, counters if counters is not None else Counters(), foreign)
    say(logger, logging.INFO, "gateway_started", id=settings.gateway_id)
    page = await metrics.serve(settings.gateway_metrics, bridge)
    tasks = bridge.start()
    if adapters:
        translator = Translator(settings, adapters, bridge.counters, _now_ms)
        tasks.append(asyncio.create_task(translator.run(), name="devices"))
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        for task in tasks:
            if task.get_name() == "devices":
                task.cancel()
        failed = [task for task in tasks if task.done() and not task.cancelled()]
        await bridge.stop()
        if page is not None:
            page.close()
    for task in failed:
        error = task.exception()
        raise RuntimeError(f"the gateway's part {task.get_name()} ended") from error
