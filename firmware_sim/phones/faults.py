"""Switches that make the provider misbehave, a counted number of times.

They serve tests and testers. It must never be possible to set a fault without an end: each has
a bounded count, and there is a bounded number of them.
"""

from dataclasses import dataclass
from typing import Final

REQUEST_KINDS: Final = ("503", "429", "slow_ms", "timeout_after_accept", "refused")
TEXT_KINDS: Final = ("no_texts",)
DELIVERY_KINDS: Final = (
    "undelivered",
    "failed",
    "blackhole",
    "duplicate_callbacks",
    "out_of_order",
)
CALL_KINDS: Final = ("busy", "no_answer", "call_failed", "machine", "fax", "picks_up")
OUTAGE: Final = "down"
KINDS: Final = (*REQUEST_KINDS, *TEXT_KINDS, *DELIVERY_KINDS, *CALL_KINDS, OUTAGE)
MAX_FAULTS: Final = 100
MAX_COUNT: Final = 10_000
MAX_MS: Final = 60_000

#: Reasons the provider gives for a text that did not arrive.
ERROR_TEXTS: Final[dict[int, str]] = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
    30008: "Unknown error",
}


@dataclass(slots=True)
class Fault:
    """One switch: what happens, to whose texts (None: everyone's), and how often still."""

    fault_id: int
    kind: str
    number: str | None
    count: int
    error_code: int
    ms: int


@dataclass(frozen=True, slots=True)
class Twist:
    """What the switches do to the delivery of one message."""

    outcome: str = "delivered"  # delivered | undelivered | failed | blackhole
    error_code: int | None = None
    duplicate_callbacks: bool = False
    out_of_order: bool = False


class Faults:
    """The switches that are on, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next_id = 1

    def set(self, kind: str, *, number: str | None, count: int, error_code: int, ms: int) -> Fault:
        """Turn a switch on. ValueError says which bound was broken."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}: use one of {', '.join(KINDS)}")
        if not 1 <= count <= MAX_COUNT:
            raise ValueError(f"count must be 1 to {MAX_COUNT}, not {count}")
        if not 0 <= ms <= MAX_MS:
            raise ValueError(f"ms must be 0 to {MAX_MS}, not {ms}")
        if len(self._faults) >= MAX_FAULTS:
            raise ValueError(f"{MAX_FAULTS} faults are set already: DELETE /faults first")
        fault = Fault(self._next_id, kind, number, count, error_code, ms)
        self._next_id += 1
        self._faults.append(fault)
        return fault

    def clear(self) -> int:
        """Turn every switch off; returns how many were on."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def all(self) -> list[Fault]:
        """The switches still on."""
        return list(self._faults)

    def take_request(self, number: str) -> Fault | None:
        """The fault, if any, that this POST to Messages meets; one use of it is spent."""
        return self._take(number, REQUEST_KINDS)

    def take_text(self, number: str) -> bool:
        """Whether texts are down (and calls are not) for this request."""
        return self._take(number, TEXT_KINDS) is not None

    def take_outage(self) -> bool:
        """Whether the whole provider is down for this request, whatever it asks."""
        return self._take("", (OUTAGE,)) is not None

    def take_call(self, number: str) -> str | None:
        """What becomes of a call to this number by itself; None: it rings until somebody acts."""
        fault = self._take(number, CALL_KINDS)
        return fault.kind if fault else None

    def take_delivery(self, number: str) -> Twist:
        """What happens to a message on its way to the phone; one use of each part is spent."""
        ending = self._take(number, ("undelivered", "failed", "blackhole"))
        double = self._take(number, ("duplicate_callbacks",)) is not None
        shuffled = self._take(number, ("out_of_order",)) is not None
        if ending is None:
            return Twist(duplicate_callbacks=double, out_of_order=shuffled)
        code = None if ending.kind == "blackhole" else ending.error_code
        return Twist(ending.kind, code, double, shuffled)

    def _take(self, number: str, kinds: tuple[str, ...]) -> Fault | None:
        for fault in self._faults:
            if fault.kind in kinds and fault.number in (None, number):
                fault.count -= 1
                if fault.count == 0:
                    self._faults.remove(fault)
                return fault
        return None
