"""Every knob of the gateway, read from `XUNLOU_*`. It must never hold a default secret.

The descriptions are the documentation: `docs/` is generated and tested from these fields.
"""

import ssl
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def trust(authority: str) -> ssl.SSLContext:
    """TLS that trusts this authority and no other. Raises OSError."""
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class GatewaySettings(BaseSettings):
    """Where the server and the broker are, and how much the gateway may hold in its hands."""

    model_config = SettingsConfigDict(env_prefix="XUNLOU_", extra="ignore")

    server_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://",
        description="Base URL of the server, without a path.",
    )
    gateway_token: SecretStr = Field(
        description="Bearer token the server knows this gateway by. Required; no default.",
    )
    gateway_id: str = Field(
        default="gw-1",
        pattern=r"^[a-z0-9-]{1,32}$",
        description=(
            "Name of this gateway. Two running gateways need two names: the MQTT sessions are"
            " named after it and after the password, and when one of the two changes, the old"
            " sessions' messages are left behind."
        ),
    )
    mqtt_host: str = Field(default="127.0.0.1", description="Broker's host name or address.")
    mqtt_port: int = Field(default=1883, ge=1, le=65535, description="Broker's TCP port.")
    mqtt_username: str = Field(default="gateway", description="Broker account of the gateway.")
    mqtt_password: SecretStr = Field(
        description="Password of the broker account. Required; no default.",
    )
    mqtt_ca: str = Field(
        default="",
        description=(
            "File of the authority (PEM) that signed the broker's certificate: with it the gateway"
            " speaks TLS to XUNLOU_MQTT_PORT (8884 in the network edition), and its password goes"
            " to no other broker. Empty = in the clear, for a broker on this machine or in a"
            " network that is yours alone."
        ),
    )
    mqtt_protocol: Literal["5", "3.1.1"] = Field(
        default="5",
        description=(
            "MQTT version. 5 bounds what the broker sends ahead of our acks and shows the"
            " retained flag of live messages; 3.1.1 is for brokers that speak nothing newer."
        ),
    )
    mqtt_keepalive_s: int = Field(
        default=15,
        ge=2,
        le=600,
        description="Seconds of silence after which the broker is asked whether it is there.",
    )
    mqtt_session_expiry_s: int = Field(
        default=604_800,
        ge=60,
        le=4_294_967_295,
        description="How long the broker keeps messages for a gateway that is away (MQTT 5).",
    )
    mqtt_share: str = Field(
        default="",
        pattern=r"^([a-z0-9-]{1,32})?$",
        description=(
            "Name of a group of gateways that share the routine messages between them (`$share`,"
            " MQTT 5); empty = this gateway hears everything. Presses for help are never shared:"
            " each gateway hears each."
        ),
    )
    mqtt_share_expiry_s: int = Field(
        default=10,
        ge=0,
        le=300,
        description=(
            "How long the broker keeps a sharing gateway's routine messages while it is away."
            " Short, because nobody else gets them meanwhile."
        ),
    )
    mqtt_receive_maximum: int = Field(
        default=2_000,
        ge=1,
        le=65_535,
        description=(
            "Most routine messages that may wait here un-acked; the broker keeps the rest."
        ),
    )
    mqtt_sos_receive_maximum: int = Field(
        default=20_000,
        ge=1,
        le=65_535,
        description=(
            "The same for presses, about 1.5 KB each. The broker hands them out as they came; only"
            " what is here is taken by turns, so that a terminal that presses without end stands"
            " before nobody."
        ),
    )
    mqtt_max_inflight: int = Field(
        default=500,
        ge=1,
        le=1_000,
        description="Most receipts and commands sent to the broker ahead of its acks.",
    )
    batch_max: int = Field(
        default=500, ge=1, le=1_000, description="Most entries in one POST to the server."
    )
    batch_wait_ms: int = Field(
        default=20,
        ge=0,
        le=1_000,
        description="How long the bulk lane waits for a batch to fill. The SOS lane never waits.",
    )
    sos_concurrency: int = Field(
        default=4,
        ge=1,
        le=16,
        description="POSTs the SOS lane may have under way, so that a hung one holds up nobody.",
    )
    sos_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Time-out of one POST of the SOS lane."
    )
    bulk_timeout_s: float = Field(
        default=15.0, gt=0, le=120, description="Time-out of one POST of the bulk lane."
    )
    sos_backoff_max_s: float = Field(
        default=2.0, gt=0, le=60, description="Longest pause between tries of the SOS lane."
    )
    bulk_backoff_max_s: float = Field(
        default=15.0,
        gt=0,
        le=300,
        description="Longest pause between tries of the bulk lane and of the broker connection.",
    )
    auth_retry_s: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="Pause between tries while the server refuses our token (401, 403).",
    )
    lease_max: int = Field(
        default=100, ge=1, le=1_000, description="Most commands taken from the server at once."
    )
    lease_wait_s: float = Field(
        default=20.0,
        ge=0,
        le=60,
        description="How long the server may hold the question for commands open.",
    )
    probe_every_s: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description=(
            "With no traffic for this long, an empty POST asks whether a press would be stored;"
            " the answer is what terminals read on the state topic."
        ),
    )
    devices_file: str = Field(
        default="",
        description=(
            "YAML file of other makers' devices (docs/devices.md), read at the start;"
            " empty = none."
        ),
    )
    homeassistant_prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?$",
        description=(
            "Home Assistant's discovery prefix (`homeassistant`): our own terminals are announced"
            " there, retained (docs/devices.md); empty = they are not."
        ),
    )
    canary_every_s: float = Field(
        default=20.0,
        ge=0,
        le=600,
        description=(
            "How often a canary goes through the whole chain, on each lane; the server calls us"
            " blind when three in a row are missing (never before a minute). 0 sends none, and"
            " then a stuck broker is noticed by nobody."
        ),
    )
    gateway_metrics: str = Field(
        default="",
        pattern=r"^(\S+:\d{1,5})?$",
        description=(
            "`address:port` where this gateway shows its figures (docs/metrics.md) to anybody who"
            " asks; keep it on the loopback address or an internal network. Empty = nowhere."
        ),
    )
    stop_grace_s: float = Field(
        default=0.8,
        ge=0,
        le=10,
        description="How long a stopping gateway waits for answers that are under way.",
    )

    @field_validator("mqtt_ca")
    @classmethod
    def _an_authority(cls, path: str) -> str:
        """Found out at the start, with what to do, and not at every try to connect."""
        if path:
            try:
                trust(path)
            except OSError as error:  # ssl.SSLError is one
                raise ValueError(
                    f"{path} is no readable file of a certificate authority (PEM):"
                    f" {error.strerror or error}"
                ) from error
        return path

    @model_validator(mode="after")
    def _sharing_needs_mqtt_5(self) -> Self:
        if self.mqtt_share and self.mqtt_protocol != "5":
            raise ValueError("XUNLOU_MQTT_SHARE needs XUNLOU_MQTT_PROTOCOL=5: only there does a"
                             " session end soon after its gateway")  # fmt: skip
        return self
