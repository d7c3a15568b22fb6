"""The gateway's figures for Prometheus, on a small port of its own; docs/metrics.md lists them.

Served by the gateway's one event loop, so that an answer also proves that the loop turns: who
watches the gateway asks here. It must never hold who or where, only how many.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.counters import Counters

if TYPE_CHECKING:
    from gateway.bridge import Bridge

ASKED_WITHIN_S: Final = 2.0
MEANINGS: Final = {
    "received": "Messages taken from the broker",
    "sent": "Entries the server answered for with 200",
    "posts": "POSTs of signals answered with 200",
    "receipts": "Receipts handed to the broker connection",
    "duplicates": "Signals the server already had",
    "quarantined": "Signals of unknown or revoked terminals",
    "rejects": "Messages that broke the contract, or that the server refused one by one",
    "lost_rejects": "Refused entries whose report was refused as well",
    "pubacks": "Messages acknowledged to the broker",
    "retries": "POSTs that have to be made again",
    "coalesced": "Heartbeats replaced by a newer one before they were sent",
    "readopted": "Messages redelivered while their first copy still waited here",
    "laid_aside": "Times an entry was laid aside because the server broke on it alone",
    "reconnects": "Broker connections that came to carry messages, each lane's first among them",
    "pauses": "Times a lane stopped reading because it held its bound",
    "commands": "Commands the broker has acknowledged",
    "commands_unsendable": "Commands that name no terminal or carry no object",
}


class Figures(Collector):
    """Reads a bridge when it is asked."""

    def __init__(self, bridge: "Bridge") -> None:
        self._bridge = bridge

    def collect(self) -> Iterator[Metric]:
        """Counters by their names, and what the two lanes hold now."""
        figures = self._bridge.counters.as_dict()
        for field in fields(Counters):
            meaning = MEANINGS.get(field.name, field.name)
            yield CounterMetricFamily(
                f"xunlou_gateway_{field.name}", meaning, figures[field.name]
            )
        holding = GaugeMetricFamily(
            "xunlou_gateway_holding", "Messages in our hands that are not acknowledged, by lane",
            labels=("lane",),
        )  # fmt: skip
        connected = GaugeMetricFamily(
            "xunlou_gateway_connected", "1 while the lane is connected and subscribed",
            labels=("lane",),
        )  # fmt: skip
        for name, lane, link in (
            ("sos", self._bridge.sos, self._bridge.sos_link),
            ("bulk", self._bridge.bulk, self._bridge.bulk_link),
        ):
            holding.add_metric([name], lane.holding)
            connected.add_metric([name], int(link.subscribed.is_set()))
        yield holding
        yield connected


def page(bridge: "Bridge") -> bytes:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Figures(bridge))
    return generate_latest(registry)


async def serve(where: str, bridge: "Bridge") -> asyncio.Server | None:
    """Listen on `address:port`; None for an empty one. Raises OSError when the port is taken."""
    if not where:
        return None
    host, _, port = where.rpartition(":")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError,
                                 TimeoutError):  # fmt: skip
            async with asyncio.timeout(ASKED_WITHIN_S):
                await reader.readuntil(b"\r\n\r\n")
                body = page(bridge)
                head = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE_LATEST}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, host.strip("[]"), int(port))
