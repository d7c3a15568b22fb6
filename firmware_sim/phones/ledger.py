"""The messages this provider has carried, in memory, and which phone they lie on.

It must never grow without bound, and never decide anything: callers change a message and then
say so with `touch`, which is what the page of phones follows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from firmware_sim.phones.config import PhoneEntry


@dataclass(slots=True)
class Message:
    """One SMS in either direction. `phone` is the person's end of it, whatever the direction."""

    phone: str
    direction: str  # inbound | outbound-api | outbound-reply
    body: str
    status: str
    created_s: float
    num_segments: int
    sid: str
    from_number: str | None = None
    to_number: str = ""
    updated_s: float = 0.0
    sent_s: float | None = None
    error_code: int | None = None
    messaging_service_sid: str | None = None
    status_callback: str | None = None
    on_phone: bool = False  # it has reached, or left, the phone
    read: bool = False
    author: str = "server"  # server | person | auto | provider
    webhook: str | None = None  # what became of our post to the server; None: not tried


def new_sid() -> str:
    """A message sid in the provider's form: SM and 32 hexadecimal digits."""
    return "SM" + uuid4().hex


class Ledger:
    """Messages in order of creation, bounded, with an index by phone and a change counter."""

    def __init__(self, book: tuple[PhoneEntry, ...], max_messages: int) -> None:
        self.book: dict[str, PhoneEntry] = {entry.number: entry for entry in book}
        self.seq = 0
        self._max_messages = max_messages
        self._messages: dict[str, Message] = {}
        self._by_phone: dict[str, dict[str, Message]] = {}
        self._changed: dict[str, int] = {}
        self._rung: set[str] = set()

    def add(self, message: Message) -> None:
        """Keep a message; forget the oldest when the ledger is full."""
        while len(self._messages) >= self._max_messages:
            oldest = self._messages.pop(next(iter(self._messages)))
            on_phone = self._by_phone[oldest.phone]
            on_phone.pop(oldest.sid, None)
            if not on_phone and oldest.phone not in self._rung:
                del self._by_phone[oldest.phone]
                self._changed.pop(oldest.phone, None)
        self._messages[message.sid] = message
        self._by_phone.setdefault(message.phone, {})[message.sid] = message
        self.touch(message)

    def touch(self, message: Message) -> None:
        """Note that something about this message changed."""
        if message.phone in self._by_phone:
            self.seq += 1
            self._changed[message.phone] = self.seq

    def rang(self, number: str) -> None:
        """Note that something about a call to this phone changed."""
        self._rung.add(number)
        self._by_phone.setdefault(number, {})
        self.seq += 1
        self._changed[number] = self.seq

    def get(self, sid: str) -> Message | None:
        """The message with this sid, or None."""
        return self._messages.get(sid)

    def newest_first(self) -> Iterator[Message]:
        """All messages, the most recently created first."""
        return reversed(self._messages.values())

    def on_phone(self, number: str) -> list[Message]:
        """What the owner of the phone can see, oldest first: nothing still on its way."""
        return [m for m in self._by_phone.get(number, {}).values() if m.on_phone]

    def unread(self, number: str) -> int:
        """How many texts to this phone its owner has not looked at."""
        return sum(1 for m in self.on_phone(number) if m.direction != "inbound" and not m.read)

    def mark_read(self, number: str) -> None:
        """The owner has looked at the phone."""
        fresh = [m for m in self.on_phone(number) if m.direction != "inbound" and not m.read]
        for message in fresh:
            message.read = True
        if fresh:
            self.touch(fresh[-1])

    def active_numbers(self) -> list[str]:
        """Phones with a message on them, the most recently changed first."""
        recent = sorted(self._changed.items(), key=lambda item: -item[1])
        return [number for number, _ in recent if self._shown(number)]

    def _shown(self, number: str) -> bool:
        return number in self._rung or bool(self.on_phone(number))

    @property
    def active_count(self) -> int:
        """How many phones have a message on them or on its way."""
        return len(self._by_phone)

    def changed_since(self, seq: int) -> list[tuple[int, str]]:
        """(seq, phone) for each phone on which something changed after `seq`, in that order."""
        late = [(at, number) for number, at in self._changed.items() if at > seq]
        return [(at, number) for at, number in sorted(late) if self._shown(number)]

    def entry(self, number: str) -> PhoneEntry:
        """The phone book's line for a number; a number nobody listed gets a nameless one."""
        return self.book.get(number) or PhoneEntry(number, "未登记", "unknown")

    def knows(self, number: str) -> bool:
        """Whether the number is in the book or has ever been written to."""
        return number in self.book or number in self._by_phone
