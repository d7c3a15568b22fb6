"""What a run of the phones needs to know: the account it plays, and who owns which phone.

It must never read the environment or a file: whoever starts the phones does that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

INBOUND_PATH = "/webhooks/twilio/inbound"


@dataclass(frozen=True, slots=True)
class PhoneEntry:
    """One line of the phone book: a person and the number that rings in their pocket."""

    number: str  # E.164, e.g. "+8610011000101"
    name: str
    role: str = "steward"  # steward | substitute | key_holder | duty
    building: int | None = None  # None: belongs to the community, not to one building
    lang: str = "zh"  # zh | en


@dataclass(frozen=True, slots=True)
class PhonesConfig:
    """Settings of one Twilio stand-in.

    `clock` gives virtual epoch seconds and stamps every message; `speed` is how many virtual
    seconds pass in a real one, so that waits here keep step with it. Times named "real" ignore
    `speed`, because sockets do too.
    """

    account_sid: str
    auth_token: str
    from_number: str
    webhook_base: str  # the server's public URL, exactly as the server knows it: it is signed
    clock: Callable[[], float]
    phones: tuple[PhoneEntry, ...] = ()
    speed: float | Callable[[], float] = 1.0
    seed: int = 314
    auto_answer: bool = False
    tz: str = "Asia/Shanghai"
    sent_delay_s: float = 0.4  # virtual, from acceptance to `sent`
    delivered_delay_s: float = 1.6  # virtual, from `sent` to `delivered`
    webhook_timeout_s: float = 15.0  # real; Twilio's documented limit (error 11205)
    hold_s: float = 20.0  # real; how long `timeout_after_accept` keeps a caller waiting
    rings_s: float | None = None  # virtual; None: as long as the caller's own Timeout says
    calls_wait: bool = False  # a call rings until somebody acts, whatever the clock says
    tick_s: float = 0.25  # real; how often the automatic stewards look at the clock
    max_messages: int = 20_000  # oldest forgotten first
    max_in_flight: int = 5_000  # accepted and not yet settled; beyond it: 429
    inbound_path: str = field(default=INBOUND_PATH)

    def __post_init__(self) -> None:
        """Refuse settings that would only fail later, in the middle of a run."""
        if self.pace <= 0:
            raise ValueError(f"speed must be above 0, not {self.pace}")
        if not self.webhook_base.startswith(("http://", "https://")):
            raise ValueError(f"webhook_base must be an http(s) URL, not {self.webhook_base!r}")
        if self.max_messages < 1 or self.max_in_flight < 1:
            raise ValueError("max_messages and max_in_flight must be at least 1")

    @property
    def pace(self) -> float:
        """The speed of this moment: a tester may change it."""
        return self.speed() if callable(self.speed) else self.speed

    @property
    def inbound_url(self) -> str:
        """Where a text from a phone is posted; also the URL that is signed."""
        return self.webhook_base.rstrip("/") + self.inbound_path
