"""The schema: every table, and nothing but tables. Queries are in store.py.

Instants are stored as UTC epoch milliseconds (BIGINT): SQLite drops time zones, and an integer
sorts, indexes and compares alike everywhere.
"""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ms(at: datetime) -> int:
    """Epoch milliseconds of an aware instant, without float rounding."""
    delta = at - EPOCH
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def from_ms(ms: int) -> datetime:
    """The aware UTC instant of epoch milliseconds."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in Python, epoch milliseconds in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        """To the database; refuses a naive datetime rather than guess its zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no instant; pass an aware one")
        return to_ms(value)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else from_ms(value)


EARLIEST_MS, LATEST_MS = -62_135_596_800_000, 253_402_300_799_999
"""What lies outside is no instant (years 1 to 9999). SQLite sorts every text after every number, so
a column above the latest may hold anything."""


def unreadable_ms(value: Any) -> bool:
    """Whether a stored value that is not NULL is no instant: a disk's fault, a hand in the
    database."""
    return not isinstance(value, int) or not EARLIEST_MS <= value <= LATEST_MS


class ReadableInstant(Instant):
    """An instant of the register of which a value that can't be read is as none: with one bad row
    all who are in the register with it must still be told and watched (store/unreadable.py finds
    them for staff)."""

    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        """From the database; never raises."""
        return None if value is None or unreadable_ms(value) else from_ms(value)


BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite makes only INTEGER PRIMARY KEY a row id."""


def _id() -> Any:
    return Field(default=None, sa_column=Column(BigId, primary_key=True, autoincrement=True))


def _at(*, nullable: bool = True, index: bool = False) -> Any:
    column = Column(Instant, nullable=nullable, index=index)
    return Field(default=None, sa_column=column) if nullable else Field(sa_column=column)


def _register_at() -> Any:
    return Field(default=None, sa_column=Column(ReadableInstant, nullable=True))


def _flag() -> Any:
    return Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=false())
    )


class Community(SQLModel, table=True):
    """One community: the zone its days are lived in, and its rounds (JSON list of plans).
    `address`: as 120 needs it, from the province down to the number on the road and the gate;
    `address_en`: the same for whoever reads English. `series`: of its houses' numbers
    (core/houses.py)."""

    __table_args__ = (Index("ux_community_series", "series", unique=True),)
    id: int | None = _id()
    series: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    name: str
    tz: str
    rounds: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    address: str = ""
    address_en: str = ""
    district: str = ""
    street: str = ""


class Building(SQLModel, table=True):
    """A house with two stewards. `number`: in the installation; what is on its wall is
    `core.houses.sign` of it. `address`: only where it has another than its community, as a house
    on the next road has."""

    __table_args__ = (
        UniqueConstraint("community_id", "number"),
        Index("ux_building_number", "number", unique=True),
    )
    id: int | None = _id()
    community_id: int = Field(foreign_key="community.id")
    number: int
    address: str = ""
    address_en: str = ""
    rehearsal: bool = _flag()
    """Nobody lives there: its terminals are simulated, its messages go to the rehearsal list."""


class Flat(SQLModel, table=True):
    """One front door."""

    __table_args__ = (UniqueConstraint("building_id", "label"),)
    id: int | None = _id()
    building_id: int = Field(foreign_key="building.id", index=True)
    stairwell: str
    floor: int
    label: str


class Person(SQLModel, table=True):
    """Somebody with a phone: a steward, a key holder, a daughter, the desk on duty …"""

    id: int | None = _id()
    name: str
    phone: str = Field(index=True, unique=True)
    lang: str = "zh"
    opted_out_at: datetime | None = _register_at()
    failing_since: datetime | None = _at()
    roleless_since: datetime | None = _at()
    """When the daily clearing first found them behind no target (server/service/past.py)."""


class DutyShift(SQLModel, table=True):
    """When somebody of the care centre, a steward or a substitute has the duty, in the community's
    time. `days`: the ISO weekdays on which it begins, like "12345"; `starts`, `ends`: "HH:MM". No
    rows: always."""

    __tablename__ = "duty_shift"
    id: int | None = _id()
    person_id: int = Field(foreign_key="person.id", index=True)
    days: str
    starts: str
    ends: str


class Assignment(SQLModel, table=True):
    """Who stands behind which target: `steward` (position 1, 2) and `substitute` for a building;
    `key_holder`, `befriender` and `family` for a resident; `duty`, `street`, `district` and
    `rehearsal` for the community. Until `absent_until` they are passed over."""

    __table_args__ = (
        Index("ix_assignment_office", "community_id",
              sqlite_where=text("community_id IS NOT NULL"),
              postgresql_where=text("community_id IS NOT NULL")),
    )
    id: int | None = _id()
    person_id: int = Field(foreign_key="person.id", index=True)
    role: str
    position: int = 0
    community_id: int | None = Field(default=None, foreign_key="community.id")
    building_id: int | None = Field(default=None, foreign_key="building.id", index=True)
    resident_id: int | None = Field(default=None, foreign_key="resident.id", index=True)
    key_place: str = ""
    absent_until: datetime | None = _register_at()


class Resident(SQLModel, table=True):
    """A person of 65 or over whom we watch. `next_due_at` is the deadline of the next round in
    which they owe a sign of life; the sweep asks for those that have passed. `absent_until` ends
    the state `paused`, and stays until they have been heard of or missed again. `class_by` is set
    while staff's word and not the rule's decides the risk class."""

    __table_args__ = (
        Index("ix_resident_due", "next_due_at", "building_id",
              sqlite_where=text("state = 'active'"), postgresql_where=text("state = 'active'")),
        Index("ix_resident_back", "absent_until", sqlite_where=text("state = 'paused'"),
              postgresql_where=text("state = 'paused'")),
    )
    id: int | None = _id()
    flat_id: int | None = Field(default=None, foreign_key="flat.id", index=True)
    """None: erased. Only what figures count is left (server/service/erasing.py)."""
    building_id: int = Field(foreign_key="building.id", index=True)
    name: str
    birth_date: date
    sex: str = ""
    living: str = "alone"
    risk_class: str = "B"
    state: str = "active"
    phone: str = ""
    access_notes: str = ""
    risks: str = ""
    next_due_at: datetime | None = _register_at()
    last_sign_at: datetime | None = _register_at()
    absent_until: datetime | None = _register_at()
    class_by: str | None = None
    class_why: str = ""
    class_at: datetime | None = _at()
    ended_at: datetime | None = _at()
    ended_how: str | None = None
    sounds: str = ""
    """The name in pinyin, whole and by initials, for the search (server/pinyin.py)."""


class Consent(SQLModel, table=True):
    """What a resident has agreed to (`purpose`: core/consent.py), who said so (`given_by`) and in
    which form (`how`), who wrote it down, and when it was withdrawn. Kept as proof."""

    __table_args__ = (
        # One standing consent a resident and purpose.
        Index("ux_consent_standing", "resident_id", "purpose", unique=True,
              sqlite_where=text("withdrawn_at IS NULL"),
              postgresql_where=text("withdrawn_at IS NULL")),
    )
    id: int | None = _id()
    resident_id: int = Field(foreign_key="resident.id")
    purpose: str
    given_by: str
    how: str
    given_at: datetime = _at(nullable=False)
    recorded_by: str
    withdrawn_at: datetime | None = _at()
    withdrawn_by: str | None = None


class RegisterChange(SQLModel, table=True):
    """One change of the register: who, when, why, and each field before and after. `subject`:
    "resident:17", "person:3", "flat:9", "building:2", "terminal:gd-11-301" … What leads into a
    home or tells of health is never in `fields`: only that it changed."""

    __tablename__ = "register_change"
    __table_args__ = (Index("ix_register_change_subject", "subject", "id"),)
    id: int | None = _id()
    at: datetime = _at(nullable=False)
    by: str
    why: str = ""
    via: str
    subject: str
    what: str
    fields: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Terminal(SQLModel, table=True):
    """An alarm device, and what it last said of itself."""

    __table_args__ = (
        Index("ix_terminal_mains_due", "mains_due_at",
              sqlite_where=text("mains_due_at IS NOT NULL"),
              postgresql_where=text("mains_due_at IS NOT NULL")),
        Index("ix_terminal_via", "via", sqlite_where=text("via != ''"),
              postgresql_where=text("via != ''")),
    )
    id: str = Field(primary_key=True, max_length=32)
    resident_id: int | None = Field(default=None, foreign_key="resident.id", index=True)
    state: str = "active"
    simulated: bool = _flag()
    """No device stands anywhere. Taken at its word in a building of a rehearsal only."""
    status: str = "unknown"
    boot: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    firmware: str = ""
    heartbeat_s: int = 900
    battery: int | None = None
    mains: bool | None = None
    rssi: int | None = None
    last_seen_at: datetime | None = _at()
    heartbeat_due_at: datetime | None = _at(index=True)
    lost_at: datetime | None = _at()
    """When it was last judged silent."""
    mains_lost_at: datetime | None = _at()
    mains_due_at: datetime | None = _at()
    """When the loss of mains is judged: until then its neighbours may tell of theirs."""
    key_v: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    """Which of its passwords it uses at the broker (core/device_key.py); 0: from setting up."""
    key_next: int | None = None
    key_state: str | None = None
    via: str = Field(default="", sa_column=Column(String, nullable=False, server_default=""))
    """The bridge that it hangs on, a terminal's id; empty: it speaks for itself."""
    key_at: datetime | None = _at()
    newest_event: int | None = Field(default=None, sa_column=Column(BigInteger))
    """The last of its stored events in their order: boot x 2^31 + seq. Kept in one transaction with
    them: what comes after it is surely new (docs/adr/0035)."""


class Signal(SQLModel, table=True):
    """One event of a terminal, once: its identity is (terminal, boot, seq).

    On PostgreSQL it is partitioned by id, and each partition is unique by itself: how an identity
    is there once in all of them is in store/partitions.py."""

    __table_args__ = (UniqueConstraint("terminal_id", "boot", "seq"),)
    id: int | None = _id()
    terminal_id: str = Field(foreign_key="terminal.id", max_length=32)
    boot: int = Field(sa_column=Column(BigInteger, nullable=False))
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    type: str
    occurred_at: datetime | None = _at()
    received_at: datetime = _at(nullable=False)
    late: bool = False
    test: bool = False


class Quarantine(SQLModel, table=True):
    """What could not be taken, kept for people to look at. The same event again raises the
    count. `digest`: of what its copies have in common."""

    __table_args__ = (UniqueConstraint("topic", "digest", "reason"),)
    id: int | None = _id()
    topic: str
    digest: str
    reason: str
    payload: bytes
    count: int = 1
    first_at: datetime = _at(nullable=False)
    last_at: datetime = _at(nullable=False)


class Round(SQLModel, table=True):
    """One round of one day that has opened: what was rung for it, once. `next_at`: when it is
    looked at again, first at its deadline, then when its stewards should have reported."""

    __table_args__ = (
        UniqueConstraint("community_id", "due_at"),
        Index("ix_round_next", "next_at", sqlite_where=text("next_at IS NOT NULL"),
              postgresql_where=text("next_at IS NOT NULL")),
    )
    id: int | None = _id()
    community_id: int = Field(foreign_key="community.id")
    name: str
    due_at: datetime = _at(nullable=False)
    opened_at: datetime = _at(nullable=False)
    prompted_at: datetime | None = _at()
    called_at: datetime | None = _at()
    opens_at: datetime | None = _at()
    deadline: datetime | None = _at()
    next_at: datetime | None = _at()
    tallied: bool = False


class RoundTally(SQLModel, table=True):
    """How many residents of a building owed a round a sign of life, counted at its deadline."""

    __tablename__ = "round_tally"
    round_id: int = Field(foreign_key="round.id", primary_key=True)
    building_id: int = Field(foreign_key="building.id", primary_key=True)
    owing: int


class RoundReport(SQLModel, table=True):
    """A steward's word that a building was walked in a round. `via`: sms, worklist or staff."""

    __tablename__ = "round_report"
    __table_args__ = (UniqueConstraint("round_id", "building_id", "by"),)
    id: int | None = _id()
    round_id: int = Field(foreign_key="round.id")
    building_id: int = Field(foreign_key="building.id", index=True)
    person_id: int | None = Field(default=None, foreign_key="person.id")
    by: str
    via: str
    at: datetime = _at(nullable=False)


class Gateway(SQLModel, table=True):
    """When we last heard each gateway, and which of its canaries came through (the instants are
    those of their sending): with none that sees we are blind, and judge nobody."""

    id: str = Field(primary_key=True)
    last_heard_at: datetime = _at(nullable=False)
    resumed_at: datetime = _at(nullable=False)
    canary_every_s: float | None = None
    canary_sos_at: datetime | None = _at()
    canary_bulk_at: datetime | None = _at()
    canary_returned_at: datetime | None = _at()
    canary_rtt_ms: int | None = None


class BlindInterval(SQLModel, table=True):
    """A time in which we could not hear the terminals: from the last proof of sight to the first
    one after it. One row an outage. `drained_at`: what was queued had come in and judging went on.
    `parts` names what failed, in the order it was seen."""

    __tablename__ = "blind_interval"
    id: int | None = _id()
    current: int | None = Field(default=1, unique=True)
    """1 until it is drained, then nothing: no second outage can be open beside it."""
    started_at: datetime = _at(nullable=False)
    ended_at: datetime | None = _at()
    drained_at: datetime | None = _at()
    parts: list[str] = Field(sa_column=Column(JSON, nullable=False))
    told_at: datetime | None = _at()


class BatteryDay(SQLModel, table=True):
    """One reading of a terminal's battery and signal a day, kept for sixty days. `day` counts from
    1970."""

    __tablename__ = "battery_day"
    terminal_id: str = Field(foreign_key="terminal.id", primary_key=True, max_length=32)
    day: int = Field(primary_key=True)
    level: int
    mains: bool | None = None
    rssi: int | None = None


class Chore(SQLModel, table=True):
    """Work that is done once a day, in lots: the day it was last begun, and how far it has come
    (`after`: the last key done; None when that day's work is finished)."""

    name: str = Field(primary_key=True)
    day: int
    after: str | None = None


class Alert(SQLModel, table=True):
    """An open matter. `ladder` is the policy frozen at opening; `version` is the fencing token of
    every change."""

    __table_args__ = (
        Index("ix_alert_step_due", "next_step_at",
              sqlite_where=text("next_step_at IS NOT NULL"),
              postgresql_where=text("next_step_at IS NOT NULL")),
        Index("ix_alert_emergency", "emergency_look_at",
              sqlite_where=text("emergency_look_at IS NOT NULL"),
              postgresql_where=text("emergency_look_at IS NOT NULL")),
        # Faults are few among a city's worklists, and are asked for at every ring of the bell.
        Index("ix_alert_fault_open", "fault",
              sqlite_where=text("fault IS NOT NULL AND state <> 'resolved'"),
              postgresql_where=text("fault IS NOT NULL AND state <> 'resolved'")),
        Index("ix_alert_fault", "fault", "opened_at", sqlite_where=text("fault IS NOT NULL"),
              postgresql_where=text("fault IS NOT NULL")),
        # One open SOS a resident, one worklist a building and round, one open fault a subject.
        Index("ux_alert_open", "subject", unique=True, sqlite_where=text("state <> 'resolved'"),
              postgresql_where=text("state <> 'resolved'")),
    )
    id: int | None = _id()
    subject: str
    kind: str
    state: str = Field(default="open", index=True)
    building_id: int | None = Field(default=None, foreign_key="building.id", index=True)
    resident_id: int | None = Field(default=None, foreign_key="resident.id", index=True)
    terminal_id: str | None = Field(default=None, max_length=32)
    boot: int | None = Field(default=None, sa_column=Column(BigInteger))
    seq: int | None = Field(default=None, sa_column=Column(BigInteger))
    code: str = Field(index=True)
    fault: str | None = None
    detail: str = ""
    fall: bool = False
    test: bool = False
    late: bool = False
    round_due_at: datetime | None = _at()
    opened_at: datetime = _at(nullable=False, index=True)
    ladder: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    step: int = 0
    repeats: int = 0
    next_step_at: datetime | None = _at()
    lease_until: datetime | None = _at()
    responders: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    presses: int = 1
    again_at: datetime | None = _at()
    cancelled_by_resident: bool = False
    outcome: str | None = None
    note: str = ""
    resolved_at: datetime | None = _at()
    resolved_by: str | None = None
    version: int = 0
    emergency_look_at: datetime | None = _at()
    emergency_since: datetime | None = _at()
    pressed_at: datetime | None = _at()
    """None: when it opened, as of every alert from before there was this column."""
    declined: list[int | None] = Field(
        sa_column=Column(JSON, nullable=False, server_default=text("'[]'"))
    )
    news_at: datetime | None = _at()


class AlertItem(SQLModel, table=True):
    """One flat of a missed round."""

    __tablename__ = "alert_item"
    alert_id: int = Field(foreign_key="alert.id", primary_key=True)
    resident_id: int = Field(foreign_key="resident.id", primary_key=True, index=True)
    flat_id: int | None = Field(default=None, foreign_key="flat.id")
    label: str
    outcome: str | None = None
    after_absence: datetime | None = _at()


class Message(SQLModel, table=True):
    """The outbox. Each message is for one person who stands on a ladder, or for one resident, who
    does not. The unique keys make a second enqueue of one decision impossible. `provider` is the
    account that was asked to carry it; `tried_at` is when it first was; `sender` is the server
    that leased it last: when that one dies, another looks after it at once."""

    __table_args__ = (
        UniqueConstraint("alert_id", "step", "person_id", "channel", "template", "attempt"),
        CheckConstraint("(person_id IS NULL) <> (resident_id IS NULL)", name="ck_message_whom"),
        Index("ux_message_resident", "resident_id", "channel", "template", "attempt", unique=True,
              sqlite_where=text("resident_id IS NOT NULL"),
              postgresql_where=text("resident_id IS NOT NULL")),
        Index("ix_message_due", "lane", "due_at", sqlite_where=text("due_at IS NOT NULL"),
              postgresql_where=text("due_at IS NOT NULL")),
    )
    id: int | None = _id()
    alert_id: int | None = Field(default=None, foreign_key="alert.id", index=True)
    person_id: int | None = Field(default=None, foreign_key="person.id", index=True)
    resident_id: int | None = Field(default=None, foreign_key="resident.id")
    role: str
    step: int = 0
    attempt: int = Field(default=0, sa_column=Column(BigId, nullable=False))
    channel: str = "sms"
    template: str
    lane: int = 1
    phone: str
    body: str
    state: str = "queued"
    sender: str | None = None
    tries: int = 0
    due_at: datetime | None = _at()
    created_at: datetime = _at(nullable=False)
    sent_at: datetime | None = _at()
    updated_at: datetime | None = _at()
    provider: str | None = None
    provider_id: str | None = Field(default=None, index=True)
    tried_at: datetime | None = _at()
    error: str | None = None


class Inbound(SQLModel, table=True):
    """An SMS that came to us, once per provider id."""

    __table_args__ = (Index("ix_inbound_person", "person_id", "received_at"),)
    provider_id: str = Field(primary_key=True)
    phone: str
    body: str
    received_at: datetime = _at(nullable=False)
    person_id: int | None = Field(default=None, foreign_key="person.id")
    alert_id: int | None = Field(default=None, foreign_key="alert.id")
    meaning: str = ""


class Command(SQLModel, table=True):
    """Something a terminal shall do; leased to a gateway until its broker has it. What is about an
    alert is told again while the terminal has not answered it (`core.retelling`), and when it comes
    online."""

    __table_args__ = (
        Index("ix_command_due", "due_at", sqlite_where=text("due_at IS NOT NULL"),
              postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_command_unheard", "terminal_id",
              sqlite_where=text("result = 'published' AND alert_id IS NOT NULL"),
              postgresql_where=text("result = 'published' AND alert_id IS NOT NULL")),
    )
    id: int | None = _id()
    terminal_id: str = Field(foreign_key="terminal.id", max_length=32)
    alert_id: int | None = Field(default=None, foreign_key="alert.id")
    payload: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: datetime = _at(nullable=False)
    expires_at: datetime = _at(nullable=False)
    due_at: datetime | None = _at()
    result: str | None = None


class Journal(SQLModel, table=True):
    """What happened, in order; the live feed reads it. Signals, which are most of it, are kept
    out of the index of a flat's history: they come on the hot path."""

    __table_args__ = (
        Index("ix_journal_flat", "flat_id", "seq", sqlite_where=text("kind <> 'signal'"),
              postgresql_where=text("kind <> 'signal'")),
    )
    seq: int | None = _id()
    at: datetime = _at(nullable=False)
    kind: str
    building_id: int | None = None
    flat_id: int | None = None
    alert_id: int | None = Field(default=None, index=True)
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class StewardLink(SQLModel, table=True):
    """The page in a steward's SMS. Only the token's hash is kept, so a copy of the database opens
    no page."""

    __tablename__ = "steward_link"
    digest: str = Field(primary_key=True)
    alert_id: int = Field(foreign_key="alert.id", index=True)
    person_id: int = Field(foreign_key="person.id")
    role: str
    expires_at: datetime = _at(nullable=False)


class Handover(SQLModel, table=True):
    """One shift gave the duty to the next. `picture` is what it told, as it was then.
    `community_id`: whose desk it was; empty where the installation had one community only."""

    id: int | None = _id()
    community_id: int | None = None
    at: datetime = _at(nullable=False)
    since: datetime = _at(nullable=False)
    outgoing: str
    incoming: str
    note: str = ""
    by: str
    picture: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Account(SQLModel, table=True):
    """Somebody who may log in, as what (`role`) and for which houses (`scope_level`, `scope_id`).

    `password_until`: a one-time password, to be changed at the first login and void after that
    instant. Of the second factor only `totp_nonce` is here: the secret is derived from it and a
    key outside the database. `totp_step`: the last code that was used.
    """

    id: int | None = _id()
    username: str = Field(unique=True)
    password_hash: str
    name: str
    role: str = "operator"
    scope_level: str = "all"
    scope_id: int | None = None
    created_at: datetime | None = _at()
    password_at: datetime | None = _at()
    password_until: datetime | None = _at()
    totp_nonce: str | None = None
    totp_on: bool = False
    totp_step: int = 0
    disabled_at: datetime | None = _at()


class Session(SQLModel, table=True):
    """A login, kept on the server so that it can be ended there. `expires_at` is its absolute end;
    it also ends when it is not used for some time after `seen_at`. `agent`: which browser, in
    the few words it gives of itself."""

    digest: str = Field(primary_key=True)
    account_id: int = Field(foreign_key="account.id", index=True)
    expires_at: datetime = _at(nullable=False)
    created_at: datetime | None = _at()
    seen_at: datetime | None = _at()
    agent: str = ""


class RecoveryCode(SQLModel, table=True):
    """Opens an account once instead of a code, for whoever has lost the telephone. Hashed."""

    __tablename__ = "recovery_code"
    account_id: int = Field(foreign_key="account.id", primary_key=True)
    digest: str = Field(primary_key=True)


class ApiToken(SQLModel, table=True):
    """A program's key: what it may (`rights`) and for which houses. Only the hash is kept; the
    token itself is shown once."""

    __tablename__ = "api_token"
    id: int | None = _id()
    name: str
    digest: str = Field(unique=True)
    rights: list[str] = Field(sa_column=Column(JSON, nullable=False))
    scope_level: str = "all"
    scope_id: int | None = None
    created_by: str
    created_at: datetime = _at(nullable=False)
    used_at: datetime | None = _at()
    revoked_at: datetime | None = _at()


class Audit(SQLModel, table=True):
    """What a person saw or did. `position` and `digest` are given when it is sealed into the chain
    (core/chain.py); nothing here is ever changed or deleted after that."""

    __table_args__ = (
        Index("ix_audit_unsealed", "id", sqlite_where=text("position IS NULL"),
              postgresql_where=text("position IS NULL")),
    )
    id: int | None = _id()
    at: datetime = _at(nullable=False)
    who: str
    what: str
    about: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    position: int | None = Field(default=None, sa_column=Column(BigInteger, unique=True))
    digest: str | None = None


class HelpRequest(SQLModel, table=True):
    """Help that was asked for and can wait. `resident_id` empty: a steward named no door that we
    know. `steps`: who took it, handed it on, closed it, and why. `request_key`: what it came by
    (an SMS, a form), so that the same word twice is one request. `version` fences changes."""

    __tablename__ = "help_request"
    __table_args__ = (
        Index("ix_help_request_waiting", "due_at", sqlite_where=text("closed_at IS NULL"),
              postgresql_where=text("closed_at IS NULL")),
    )
    id: int | None = _id()
    building_id: int = Field(foreign_key="building.id", index=True)
    resident_id: int | None = Field(default=None, foreign_key="resident.id", index=True)
    kind: str
    source: str
    words: str
    asked_at: datetime = _at(nullable=False, index=True)
    asked_by: str
    due_at: datetime = _at(nullable=False)
    stage: str = "open"
    helper: str | None = None
    helper_id: int | None = Field(default=None, foreign_key="person.id")
    taken_at: datetime | None = _at()
    closed_at: datetime | None = _at()
    closed_by: str | None = None
    ending: str | None = None
    why: str = ""
    minutes: int = 0
    payer_id: int | None = Field(default=None, foreign_key="person.id")
    steps: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    request_key: str | None = Field(default=None, unique=True)
    version: int = 0


class HoursAccount(SQLModel, table=True):
    """An account of the ledger of hours: a volunteer's savings, what was drawn for a resident, or
    the community's pool. `balance_min` follows its lines and is never negative."""

    __tablename__ = "hours_account"
    __table_args__ = (CheckConstraint("balance_min >= 0", name="ck_hours_account_balance"),)
    id: int | None = _id()
    name: str = Field(unique=True)
    kind: str
    community_id: int | None = Field(default=None, foreign_key="community.id")
    person_id: int | None = Field(default=None, foreign_key="person.id", index=True)
    resident_id: int | None = Field(default=None, foreign_key="resident.id", index=True)
    balance_min: int = 0


class HoursEntry(SQLModel, table=True):
    """One movement of minutes, never changed. `entry_key` is what it is about, once; `counters`
    names the entry that it undoes. `happened_at`: when the hours were given or drawn."""

    __tablename__ = "hours_entry"
    id: int | None = _id()
    entry_key: str = Field(unique=True)
    kind: str
    at: datetime = _at(nullable=False)
    happened_at: datetime = _at(nullable=False)
    by: str
    why: str = ""
    building_id: int | None = Field(default=None, foreign_key="building.id")
    counters: int | None = Field(default=None, foreign_key="hours_entry.id", unique=True)


class HoursLine(SQLModel, table=True):
    """Minutes of one entry for one account; those of an entry sum to zero."""

    __tablename__ = "hours_line"
    entry_id: int = Field(foreign_key="hours_entry.id", primary_key=True)
    account_id: int = Field(foreign_key="hours_account.id", primary_key=True, index=True)
    minutes: int


class Visit(SQLModel, table=True):
    """A visit that is owed, or was paid by `visitor`. `visit_key`: what made it owed, once."""

    __table_args__ = (
        Index("ix_visit_owed", "due_at", sqlite_where=text("closed_at IS NULL"),
              postgresql_where=text("closed_at IS NULL")),
    )
    id: int | None = _id()
    resident_id: int = Field(foreign_key="resident.id", index=True)
    building_id: int = Field(foreign_key="building.id", index=True)
    cause: str
    opened_at: datetime = _at(nullable=False)
    opened_by: str
    why: str = ""
    due_at: datetime = _at(nullable=False)
    state: str = "owed"
    closed_at: datetime | None = _at()
    closed_by: str | None = None
    visited_on: date | None = None
    visitor: str | None = None
    visitor_id: int | None = Field(default=None, foreign_key="person.id")
    note: str = ""
    visit_key: str | None = Field(default=None, unique=True)
    version: int = 0


class Greeting(SQLModel, table=True):
    """One greeting call to a resident who lives alone, and what came of it. `day`: the community's
    date. No sign of life, and no part of any alert."""

    __table_args__ = (UniqueConstraint("resident_id", "day", "turn"),)
    id: int | None = _id()
    resident_id: int = Field(foreign_key="resident.id")
    building_id: int = Field(foreign_key="building.id", index=True)
    day: date = Field(index=True)
    turn: int
    at: datetime = _at(nullable=False)
    by: str
    outcome: str
    note: str = ""
    request_id: int | None = None


def table(model: type[SQLModel]) -> Table:
    """The Core table of a model: queries are Core, for speed and for RETURNING."""
    return SQLModel.metadata.tables[str(model.__tablename__)]
