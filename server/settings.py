"""The server's settings, all from the environment. docs/settings.md lists them (tested)."""

import re

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting with its default; secrets have none."""

    model_config = SettingsConfigDict(env_prefix="XUNLOU_", extra="ignore", populate_by_name=True)

    database_url: str = Field(
        "sqlite:///xunlou.db",
        description="SQLAlchemy URL: `sqlite:///file` (embedded) or `postgresql+psycopg://…`",
    )
    host: str = Field("127.0.0.1", description="Address the server listens on")
    port: int = Field(8000, ge=0, le=65535, description="Port the server listens on")
    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="The address people and Twilio use, exactly; webhooks are signed over it",
    )
    link_url: str = Field(
        "",
        description="A shorter address of the same server, for the links in SMS "
        "([operations](operations.md#a-short-address-for-links)); empty = `XUNLOU_PUBLIC_URL`",
    )
    secret: SecretStr | None = Field(
        None, description="Key of the links in stewards' SMS; at least 16 characters. Required"
    )
    terminal_secret: SecretStr | None = Field(
        None,
        description="What terminals' broker passwords are derived from; set by `xunlou up`. "
        "Without it no password is changed over the air",
    )
    notes_keys: SecretStr | None = Field(
        None,
        description="Keys that access notes, health notes and places of keys are sealed under "
        "([privacy](privacy.md#sealed-notes)), apart by commas; the first seals, all open. "
        "`xunlou keys new` makes one. Without a key notes can't be written",
    )
    notes_keys_file: str = Field(
        "",
        description="A file of such keys, one a line, before those of the setting; read again when "
        "it changes. `xunlou up` keeps its own, `notes.keys`",
    )
    gateway_token: SecretStr | None = Field(
        None, description="Bearer token of the gateways. Required"
    )
    api_token: SecretStr | None = Field(
        None, description="Bearer token for programs; without it programs can't log in"
    )
    operator_password: SecretStr | None = Field(
        None,
        description="Password of an account `operator` that is there from the start, for demos and "
        "tests; empty = no such account, and people get accounts of their own",
    )
    session_hours: int = Field(
        14, ge=1, le=24 * 31,
        description="A login ends so long after it began, used or not; not in the middle of an SOS",
    )
    session_idle_min: int = Field(
        240, ge=5, le=60 * 24 * 31,
        description="A login ends when nothing was asked for so long; an open wall asks all the "
        "time. Administrators: 30 minutes at most",
    )
    argon2_memory_kib: int = Field(
        65_536, ge=32, le=4_194_304,
        description="Memory of a password's hash (argon2id), RFC 9106; for tests and tiny machines",
    )
    argon2_passes: int = Field(3, ge=1, le=20, description="Passes of a password's hash")
    kiosk_token: SecretStr | None = Field(
        None,
        description="Opens the screen of the community hall at `/kiosk/<token>`, which shows no "
        "names; at least 16 letters and digits. Empty = no such screen",
    )
    kiosk_wall: bool = Field(
        False,
        description="Whether the same token also opens `/kiosk/wall`: the wall's windows in their "
        "true places, without names, for a screen that staff alone see",
    )
    oidc_issuer: str = Field(
        "",
        description="Address of the house's identity provider (OpenID Connect), as its discovery "
        "document names it; people with an account here may then log in there. Empty = off",
    )
    oidc_client_id: str = Field("", description="Our name with the provider")
    oidc_client_secret: SecretStr | None = Field(None, description="Our secret with the provider")
    oidc_claim: str = Field(
        "preferred_username", pattern=r"^[A-Za-z0-9_:/.-]{1,128}$",
        description="What the provider says of a person that is the name of their account here; "
        "`email` counts only when the provider has verified it",
    )
    oidc_name: str = Field(
        "单位账号 organisation account", min_length=1, max_length=60,
        description="What the login page calls the provider",
    )
    clock: str = Field(
        "",
        description="Demo time `<real epoch s>,<virtual epoch s>,<speed>`, or `@<file>` with that "
        "line in it, to be changed while it runs; empty = real time",
    )
    sim_url: str = Field(
        "",
        description="Address of the simulator's phones: `/sim` then leads to its page for testers. "
        "Set by the demo; empty = there is no `/sim`",
    )
    ladder_file: str = Field(
        "",
        description="YAML file of the ladders (docs/ladder.md), read again when it changes; "
        "empty = the built-in ones",
    )
    keep_signals_days: int = Field(
        180, ge=30, description="Days events and commands of terminals are kept; longer than any "
        "broker keeps a session, or an old copy would count anew",
    )
    keep_journal_days: int = Field(
        730, ge=30, description="Days the journal is kept; entries of open alerts stay"
    )
    keep_messages_days: int = Field(
        365, ge=30, description="Days messages and replies are kept; those of open alerts stay"
    )
    keep_quarantine_days: int = Field(
        30, ge=1, description="Days after its last copy that a quarantined message is kept"
    )
    keep_services_days: int = Field(
        730, ge=90, description="Days that help requests, visits and greeting calls are kept after "
        "their end; the ledger of hours stays"
    )
    keep_ended_days: int = Field(
        0, ge=0, description="Days after which those who are watched no more, and contacts without "
        "a role, are erased by themselves (docs/privacy.md): at least 30; 0 = by hand",
    )
    deadman_url: SecretStr | None = Field(
        None,
        description="Address outside the house, pinged every 20 s while all is well; its owner "
        "raises the alarm when the pings stop",
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token of `/metrics`; without it nobody may look"
    )
    twilio_account_sid: str = Field(
        "", alias="TWILIO_ACCOUNT_SID", description="Twilio account (AC…); empty = no SMS"
    )
    twilio_auth_token: SecretStr | None = Field(
        None, alias="TWILIO_AUTH_TOKEN", description="Signs requests and webhooks"
    )
    twilio_from_number: str = Field(
        "", alias="TWILIO_FROM_NUMBER", description="The sender, E.164"
    )
    twilio_api_base_url: str = Field(
        "", alias="TWILIO_API_BASE_URL", description="A stand-in for Twilio; empty = Twilio itself"
    )

    twilio_backup_account_sid: str = Field(
        "", alias="TWILIO_BACKUP_ACCOUNT_SID",
        description="A second account, with Twilio or a provider that speaks like it; takes over "
        "after the first was down for 60 s. Empty = none",
    )
    twilio_backup_auth_token: SecretStr | None = Field(
        None, alias="TWILIO_BACKUP_AUTH_TOKEN",
        description="Signs the second account's requests and webhooks",
    )
    twilio_backup_from_number: str = Field(
        "", alias="TWILIO_BACKUP_FROM_NUMBER", description="The second account's sender, E.164"
    )
    twilio_backup_api_base_url: str = Field(
        "", alias="TWILIO_BACKUP_API_BASE_URL",
        description="Where the second provider is; empty = Twilio itself",
    )
    sms_two_way: bool = Field(
        True,
        description="Whether people can answer an SMS and links get through; `false` in mainland "
        "China: other words, and every step of a ladder rings too",
    )
    voice: bool = Field(
        True, description="Whether calls are placed (same account and number as SMS)"
    )
    duty_phone: str = Field(
        "", max_length=20,
        description="The care centre's telephone as people dial it; stands in the SMS where "
        "nobody can answer one",
    )
    night: str = Field(
        "22:00-06:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        description="When a text wakes nobody, in the community's time: an SOS that opens then "
        "rings from the first step on. Both ends alike = never",
    )
    sms_per_s: float = Field(
        10.0, ge=0, le=1000,
        description="Most messages a second that one sender may send; servers on one database "
        "share it. SOS are never held back, others wait behind them. 0 = no limit",
    )

    @field_validator(
        "secret", "terminal_secret", "notes_keys", "gateway_token", "api_token",
        "operator_password", "twilio_auth_token", "twilio_backup_auth_token", "deadman_url",
        "kiosk_token", "metrics_token", "oidc_client_secret", mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """An empty secret would be one that anybody knows."""
        return None if value == "" else value

    @field_validator("kiosk_token")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        """It stands in an address: long, and only what an address carries as it is."""
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{16,128}",
                                                  value.get_secret_value()):  # fmt: skip
            raise ValueError("kiosk_token must be 16 to 128 letters, digits, - or _")
        return value

    @field_validator("keep_ended_days")
    @classmethod
    def _no_slip(cls, value: int) -> int:
        """What is erased does not come back."""
        if 0 < value < 30:
            raise ValueError("keep_ended_days must be 0 (by hand) or at least 30")
        return value

    @field_validator("public_url", "link_url", "sim_url", "oidc_issuer")
    @classmethod
    def _no_slash_at_the_end(cls, value: str) -> str:
        return value.rstrip("/")

    @property
    def links_at(self) -> str:
        """The address that links in SMS begin with."""
        return self.link_url or self.public_url

    @property
    def has_sms(self) -> bool:
        """Whether an SMS account is configured."""
        return bool(self.twilio_account_sid and self.twilio_auth_token and self.twilio_from_number)

    @property
    def has_backup(self) -> bool:
        """Whether a second account is configured."""
        return bool(
            self.twilio_backup_account_sid
            and self.twilio_backup_auth_token
            and self.twilio_backup_from_number
        )
