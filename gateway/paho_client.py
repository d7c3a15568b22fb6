"""How a paho client has to be set up so that a session outlives it. It must never connect.

Each setting here answers a default that loses messages; see the comments.
"""

import hmac
from hashlib import sha256
from typing import Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.quick_client import QuickClient
from gateway.settings import GatewaySettings, trust

CONNECT_TIMEOUT_S: Final = 5.0
OUT_QUEUE_MAX: Final = 20_000
"""Receipts kept while the broker is away; terminals ask again for those beyond."""
_RETAIN_ALWAYS: Final = 0
_RETAIN_ONLY_WHEN_NEW: Final = 1  # a resumed session isn't sent every retained status again


def session_name(settings: GatewaySettings, lane: str) -> str:
    """The client id of one of a gateway's two sessions: `gateway-gw-1-0123456789abcdef-sos`.

    A broker ends the connection that has a client id when another client comes with the same one,
    and gives it the session, whatever account it has: a terminal that came by the gateway's name
    would take every press. So the name holds what no terminal can know, derived from the password:
    the same after every start, or the messages that the broker kept would be left behind.
    """
    secret = settings.mqtt_password.get_secret_value() or settings.gateway_token.get_secret_value()
    words = f"session:{settings.gateway_id}"
    secret_part = hmac.new(secret.encode(), words.encode(), sha256).hexdigest()[:16]
    return f"gateway-{settings.gateway_id}-{secret_part}-{lane}"


def make_client(
    settings: GatewaySettings, client_id: str, *, shares: bool = False, ahead: int | None = None
) -> QuickClient:
    """A client that is ready for `reconnect()`. One that `shares` has a session that ends soon
    after it: the broker goes on giving a session its share while nobody is there. `ahead`: how many
    messages it may be sent ahead of its acks, if not as many as by the settings."""
    v5 = settings.mqtt_protocol == "5"
    # Receipts have one half of what may be ahead of the broker's acks, all else the other.
    half = max(1, settings.mqtt_max_inflight // 2)
    client = QuickClient(
        CallbackAPIVersion.VERSION2,
        window=half,
        queue_most=OUT_QUEUE_MAX,
        client_id=client_id,
        clean_session=None if v5 else False,
        protocol=paho.MQTTv5 if v5 else paho.MQTTv311,
        reconnect_on_failure=False,  # our own backoff has jitter, paho's has none
        manual_ack=True,
    )
    client.suppress_exceptions = True  # an error in a callback must not end the reading
    client.username_pw_set(settings.mqtt_username, settings.mqtt_password.get_secret_value())
    if settings.mqtt_ca:
        client.tls_set_context(trust(settings.mqtt_ca))
    client.max_inflight_messages = half  # before connecting, or it raises
    client.max_queued_messages_set(OUT_QUEUE_MAX)
    client.connect_timeout = CONNECT_TIMEOUT_S
    host, port = settings.mqtt_host, settings.mqtt_port
    if not v5:
        client.connect_async(host, port, settings.mqtt_keepalive_s)
        return client
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = (
        settings.mqtt_share_expiry_s if shares else settings.mqtt_session_expiry_s
    )
    properties.ReceiveMaximum = ahead or settings.mqtt_receive_maximum
    # clean_start's default, "first connect only", would discard the queue at every restart.
    client.connect_async(
        host, port, settings.mqtt_keepalive_s, clean_start=False, properties=properties
    )
    return client


def subscriptions(
    settings: GatewaySettings, topics: tuple[str, ...], *, shares: bool = False,
    foreign: bool = False,
) -> list[tuple[str, SubscribeOptions]] | list[tuple[str, int]]:
    """QoS 1 on every topic, in the words of the protocol version in use.

    `foreign`: what devices of other makers say. Those ask for the retained flag on what is new as
    well, so here it must mark memories alone; and a last will that was spoken while we were away
    is only in what is retained, so that is wanted after every connection.
    """
    if settings.mqtt_protocol != "5":
        return [(topic, 1) for topic in topics]
    options = SubscribeOptions(
        qos=1, retainAsPublished=not foreign,
        retainHandling=_RETAIN_ALWAYS if foreign else _RETAIN_ONLY_WHEN_NEW,
        noLocal=not shares,  # the protocol forbids both; a gateway publishes on none of these
    )  # fmt: skip
    group = f"$share/{settings.mqtt_share}/" if shares else ""
    return [(f"{group}{topic}", options) for topic in topics]
