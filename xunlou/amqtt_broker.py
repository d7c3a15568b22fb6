"""amqtt as a process of its own: `python -m xunlou.amqtt_broker FILE`. For demonstrations only.

It must never be used where residents depend on it: it keeps its queue in memory, and it has no
retained flag on live messages, no receive maximum and no MQTT 5.
"""

import asyncio
import hmac
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from xunlou.broker_files import GATEWAY_USER

_WRITES = ("hb", "status", "cmd_ack")
_READS = ("cmd", "cfg")


def allowed(user: str, topic: str, action: Action) -> bool:
    """The same rules as the access list Mosquitto gets."""
    if user == GATEWAY_USER:
        return topic.startswith("xunlou/v1/")
    own = f"xunlou/v1/t/{user}/"
    if action == Action.PUBLISH:
        return topic.startswith(own + "evt/") or topic in [own + leaf for leaf in _WRITES]
    return topic == "xunlou/v1/srv/state" or topic in [own + leaf for leaf in _READS]


class UserPlugin(BaseAuthPlugin):  # type: ignore[misc]
    """Knows the users it was given and nobody else."""

    async def authenticate(self, *, session: Session) -> bool:
        """Whether name and password belong together."""
        wanted = self.config.users.get(session.username or "")
        return wanted is not None and hmac.compare_digest(
            wanted.encode(), (session.password or "").encode()
        )

    @dataclass
    class Config:
        """User names and their passwords."""

        users: dict[str, str] = field(default_factory=dict)


class TopicPlugin(BaseTopicPlugin):  # type: ignore[misc]
    """Holds everybody to their own topics."""

    async def topic_filtering(
        self,
        *,
        session: Session | None = None,
        topic: str | None = None,
        action: Action | None = None,
    ) -> bool:
        """Whether this session may do that with this topic."""
        if session is None or topic is None or action is None:
            return False
        return allowed(session.username or "", topic, action)

    @dataclass
    class Config:
        """Nothing to set."""


class SteadySubscriptions(dict[str, Any]):
    """Walked over as it was: amqtt awaits in the middle of the walk, and a client that subscribes
    just then made the walk fail and the message vanish."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(super().__iter__()))

    def items(self) -> Any:
        """A list instead of a view."""
        return list(super().items())


class PlainQueueBroker(Broker):  # type: ignore[misc]
    """amqtt 0.12 with two faults worked around that lose presses even in a quiet demo.

    What a client missed is handed over with the retained flag, which makes a press look like a
    replay (the contract refuses it), and nothing else is answered until all of it is acked, which
    deadlocks with a gateway that acks after its server answered. For the other fault see
    `SteadySubscriptions`.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscriptions = SteadySubscriptions()
        self._handing_over: set[asyncio.Future[Any]] = set()

    async def _publish_session_retained_messages(self, session: Session) -> None:
        handler = self._get_handler(session)
        while handler and not session.retained_messages.empty():
            kept = await session.retained_messages.get()
            sending = asyncio.ensure_future(
                handler.mqtt_publish(kept.topic, kept.data, kept.qos, retain=False)
            )
            self._handing_over.add(sending)  # the loop itself keeps no strong reference
            sending.add_done_callback(self._handing_over.discard)


async def main(path: Path) -> None:
    """Serve until SIGTERM."""
    given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    broker = PlainQueueBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{given['port']}"}},
            "plugins": {
                "xunlou.amqtt_broker.UserPlugin": {"users": given["users"]},
                "xunlou.amqtt_broker.TopicPlugin": {},
            },
        }
    )
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await broker.start()
    await stop.wait()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
