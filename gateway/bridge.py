"""The two lanes wired together: who subscribes to what, who owns which message, how it stops.

It must never let routine traffic stand before an SOS: the SOS lane has its own MQTT connection
and session, its own queue and its own HTTP connections.
"""

import asyncio
import contextlib
import logging
from collections.abc import Collection
from typing import Final

from gateway import contract
from gateway.canary import Canary
from gateway.commands import CommandPump
from gateway.contract import SOS_LANE_TYPES, STATE_TOPIC, TERMINAL_PREFIX, is_sos_lane
from gateway.counters import Counters
from gateway.delivery import Received
from gateway.discovery import Announcer
from gateway.lane import Lane
from gateway.log import say
from gateway.mqtt import MqttLink
from gateway.settings import GatewaySettings
from gateway.state import StateAnnouncer
from gateway.upstream import ServerClient, ServerClock

logger = logging.getLogger(__name__)

SOS_TOPICS: Final = (
    *(f"{TERMINAL_PREFIX}+/evt/{event_type}" for event_type in SOS_LANE_TYPES),
    STATE_TOPIC,
)
BULK_TOPICS: Final = (
    f"{TERMINAL_PREFIX}+/evt/#",  # `#`: odd topics below evt belong into quarantine, not nowhere
    f"{TERMINAL_PREFIX}+/hb",
    f"{TERMINAL_PREFIX}+/status",
    f"{TERMINAL_PREFIX}+/cmd_ack",
)
OLDER_WITHIN_S: Final = 60.0
"""How long after the SOS session's beginning the bulk lane may still hear older presses."""


class Bridge:
    """One gateway. `start()`, then `stop()`; nothing is shared between two of them. `foreign`:
    terminals that stand for devices of other makers."""

    def __init__(
        self, settings: GatewaySettings, counters: Counters, foreign: Collection[str] = ()
    ) -> None:
        self.counters = counters
        self._settings = settings
        clock = ServerClock()
        self._sos_server = ServerClient(settings, clock, timeout_s=settings.sos_timeout_s)
        self._bulk_server = ServerClient(settings, clock, timeout_s=settings.bulk_timeout_s)
        self._cmd_server = ServerClient(settings, clock, timeout_s=settings.sos_timeout_s)
        self._state = StateAnnouncer(clock)
        self._discovery = (
            Announcer(settings.homeassistant_prefix, lambda: self.bulk_link, foreign)
            if settings.homeassistant_prefix
            else None
        )
        self._canary = Canary(settings, counters) if settings.canary_every_s else None
        self.sos = self._make_lane("sos", self._sos_server)
        self.bulk = self._make_lane("bulk", self._bulk_server)
        self.sos_link = MqttLink(
            settings,
            lane="sos",
            topics=(*SOS_TOPICS, *self._canary_topic("sos")),
            counters=counters,
            on_message=self._on_sos,
            on_up=self._state.connected,
            on_down=self.sos.link_down,
            make_will=self._state.make_will,
        )
        self.bulk_link = MqttLink(
            settings,
            lane="bulk",
            topics=(*BULK_TOPICS, *self._canary_topic("bulk")),
            counters=counters,
            on_message=self._on_bulk,
            on_down=self.bulk.link_down,
            # Only the routine: two that hear each press are safer than one that may be dying.
            shares=bool(settings.mqtt_share),
        )
        self.sos.attach(self.sos_link)
        self.bulk.attach(self.bulk_link)
        self._state.attach(self.sos_link)
        self._commands = CommandPump(
            settings, self._cmd_server, sos=self.sos_link, bulk=self.bulk_link, counters=counters
        )
        self._lanes: list[asyncio.Task[None]] = []
        self._others: list[asyncio.Task[None]] = []

    def _make_lane(self, name: str, server: ServerClient) -> Lane:
        settings = self._settings
        urgent = name == "sos"
        return Lane(
            name,
            server,
            self._state.health,
            self.counters,
            # Two POSTs of the rest: the server reads one while the other is being stored.
            concurrency=settings.sos_concurrency if urgent else 2,
            batch_max=settings.batch_max,
            batch_wait_s=0.0 if urgent else settings.batch_wait_ms / 1000,
            backoff_max_s=settings.sos_backoff_max_s if urgent else settings.bulk_backoff_max_s,
            auth_retry_s=settings.auth_retry_s,
            # Twice the receive maximum, so that we pause only for a broker that knows none or
            # overruns it (Mosquitto 2.0.11 does, by thousands in a flood: see MOST_UNACKED).
            hold_max=2 * (
                settings.mqtt_sos_receive_maximum if urgent else settings.mqtt_receive_maximum
            ),
            gateway_id=settings.gateway_id,
        )

    def _canary_topic(self, lane: str) -> tuple[str, ...]:
        """Each gateway hears its own canary alone: each proves its own way."""
        if self._canary is None:
            return ()
        return (contract.canary_topic(self._settings.gateway_id, lane),)

    def _take_canary(self, received: Received, lane: Lane, link: MqttLink) -> None:
        """Into the lane's queue, like a press. One of an earlier process proves nothing now."""
        message = contract.parse(received.topic, received.payload, received.retain)
        mine = isinstance(message, contract.Canary) and (
            self._canary is not None and self._canary.is_mine(message.boot)
        )
        if mine:
            lane.offer(received)
        else:
            link.ack(received)

    def _on_sos(self, received: Received) -> None:
        if received.topic == STATE_TOPIC:
            self.sos_link.ack(received)
            self._state.heard(received)
        elif received.topic.startswith(contract.CANARY_PREFIX):
            self._take_canary(received, self.sos, self.sos_link)
        elif is_sos_lane(received.topic):
            self.sos.offer(received)
        else:
            # amqtt sends retained statuses to whoever reconnects, asked for or not.
            self.sos_link.ack(received)

    def _on_bulk(self, received: Received) -> None:
        if is_sos_lane(received.topic) and self._sos_has_its_own():
            self.bulk_link.ack(received)
        elif received.topic == STATE_TOPIC:
            self.bulk_link.ack(received)  # amqtt again: this lane never asked for it
        elif received.topic.startswith(contract.CANARY_PREFIX):
            self._take_canary(received, self.bulk, self.bulk_link)
        else:
            self.bulk.offer(received)
            if self._discovery is not None:
                self._discovery.heard(received)

    def _sos_has_its_own(self) -> bool:
        """Whether the SOS lane surely has its own copy of what comes in here, and can send it now.

        Else this one is sent: twice is better than late. So while that lane has no connection, and
        when the broker began to keep presses for it after it did for us: older ones have no copy.
        """
        sos = self.sos_link
        if not sos.subscribed.is_set():
            return False
        return sos.began_at <= self.bulk_link.began_at or sos.age_s() > OLDER_WITHIN_S

    def start(self) -> list[asyncio.Task[None]]:
        """Start everything. A task that ends before `stop()` has failed."""
        self._lanes = [
            asyncio.create_task(self.sos.run(), name="sos-lane"),
            asyncio.create_task(self.bulk.run(), name="bulk-lane"),
        ]
        every_s = self._settings.probe_every_s
        self._others = [
            asyncio.create_task(self.sos_link.run(), name="sos-mqtt"),
            # Second, so that whatever press the broker keeps for it, it keeps for the SOS lane too.
            asyncio.create_task(self.bulk_link.run(self.sos_link.subscribed), name="bulk-mqtt"),
            asyncio.create_task(self._commands.run(), name="commands"),
            asyncio.create_task(self._state.probe(self._sos_server, every_s), name="probe"),
        ]
        if self._canary is not None:
            self._others += [
                asyncio.create_task(self._canary.link.run(), name="canary-mqtt"),
                asyncio.create_task(self._canary.run(), name="canary"),
            ]
        return [*self._lanes, *self._others]

    async def stop(self) -> None:
        """Finish what the server is answering, leave the rest un-acked, say `lost`, disconnect."""
        for link in (self.sos_link, self.bulk_link):
            link.pause()
        for lane in (self.sos, self.bulk):
            lane.stop()
        if self._lanes:
            await asyncio.wait(self._lanes, timeout=self._settings.stop_grace_s)
        self._state.leave()
        links = [self.sos_link, self.bulk_link]
        links += [self._canary.link] if self._canary is not None else []
        await asyncio.gather(*(link.close() for link in links))
        tasks = [*self._lanes, *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in (self._sos_server, self._bulk_server, self._cmd_server):
            with contextlib.suppress(Exception):
                await server.aclose()
        say(
            logger,
            logging.INFO,
            "gateway_stopped",
            left_unacked=self.sos.holding + self.bulk.holding,
        )
