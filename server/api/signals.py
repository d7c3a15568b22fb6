"""The way in for gateways: signals up, commands down."""

import asyncio
from collections import Counter as Tally
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from server import metrics
from server.api.answers import GATEWAY
from server.api.deps import GatewayDep, RuntimeDep
from server.clock import Clock
from server.core.words import ALARMS, SignalType
from server.service import commanding, ingest, presence, quarantine, sight
from server.store import commands
from server.tables import from_ms

router = APIRouter(
    prefix="/api/v1", tags=["gateway"], dependencies=[GatewayDep], responses=GATEWAY
)
MOST = 1000
COUNTER_MAX = 2**53 - 1
EPOCH_MS_MAX = 253_402_300_799_000  # the end of the year 9999

TerminalId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")]
Counter = Annotated[int, Field(ge=0, le=COUNTER_MAX)]


class Form(BaseModel):
    """Unknown fields are ignored, so that a newer gateway can speak to an older server."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class SignalForm(Form):
    """One event of a terminal (docs/contract.md). Its identity is (t, boot, seq)."""

    t: TerminalId
    type: SignalType
    boot: Counter
    seq: Counter
    ts: Annotated[int, Field(ge=0, le=EPOCH_MS_MAX)] | None = None
    ts_ok: bool = False
    buffered: bool = False
    test: bool = False
    bat: Annotated[int, Field(ge=0, le=100)] | None = None
    mains: bool | None = None
    rssi: Annotated[int, Field(ge=-32768, le=32767)] | None = None
    attempt: Annotated[int, Field(ge=1)] = 1
    held_ms: Annotated[int, Field(ge=0, le=7 * 86_400_000)] = 0
    want: Literal["errand", "repair", "haircut", "wish", "other"] | None = None
    """What a `help` asks for."""


class HeartbeatForm(Form):
    """A device lives."""

    t: TerminalId
    boot: Counter | None = None
    bat: Annotated[int, Field(ge=0, le=100)] | None = None
    mains: bool | None = None
    rssi: Annotated[int, Field(ge=-32768, le=32767)] | None = None


class StatusForm(Form):
    """A device came online, or its will says that it is lost."""

    t: TerminalId
    s: Literal["online", "lost"]
    boot: Counter | None = None
    fw: Annotated[str, Field(max_length=64)] | None = None
    hb_s: Annotated[int, Field(ge=1, le=604_800)] | None = None
    key_v: Counter | None = None
    via: Annotated[str, Field(pattern=r"^[a-z0-9-]{0,32}$")] | None = None


class CommandAckForm(Form):
    """What a terminal did with a command."""

    t: TerminalId
    cmd_id: Annotated[str, Field(max_length=64)]
    result: Literal["received", "shown", "failed", "expired"]


class RejectForm(Form):
    """What the gateway could not read, for the quarantine."""

    topic: str
    payload_b64: str
    reason: Annotated[str, Field(max_length=64)]


class CanaryForm(Form):
    """One of the gateway's own canaries that came back to it on this lane, and how long ago it was
    sent; `returned_age_ms`, `rtt_ms`: of the newest whose receipt has returned."""

    lane: Literal["sos", "bulk"]
    age_ms: Annotated[int, Field(ge=0, le=7 * 86_400_000)]
    returned_age_ms: Annotated[int, Field(ge=0, le=7 * 86_400_000)] | None = None
    rtt_ms: Annotated[int, Field(ge=0, le=7 * 86_400_000)] | None = None


class BatchForm(Form):
    """All that a gateway has at hand; at most 1,000 entries of each kind."""

    gateway: Annotated[str, Field(min_length=1, max_length=64)]
    signals: Annotated[list[SignalForm], Field(max_length=MOST)] = []
    heartbeats: Annotated[list[HeartbeatForm], Field(max_length=MOST)] = []
    statuses: Annotated[list[StatusForm], Field(max_length=MOST)] = []
    cmd_acks: Annotated[list[CommandAckForm], Field(max_length=MOST)] = []
    rejects: Annotated[list[RejectForm], Field(max_length=MOST)] = []
    canaries: Annotated[list[CanaryForm], Field(max_length=MOST)] = []
    canary_every_s: Annotated[float, Field(ge=0, le=3600)] | None = None


class ReceiptForm(Form):
    """What became of one event. Only `stored` and `duplicate` are for the terminal."""

    t: str
    boot: int
    seq: int
    result: Literal["stored", "duplicate", "quarantined"]


class Receipts(Form):
    """One receipt a signal, in the order sent; true because they are made after the commit."""

    receipts: list[ReceiptForm]


@router.post("/signals", response_model=Receipts)
async def take_signals(form: BatchForm, runtime: RuntimeDep) -> JSONResponse:
    """Store a batch in one transaction and answer with its receipts."""
    try:
        rejects = [
            quarantine.Reject(r.topic, quarantine.decode_payload(r.payload_b64), r.reason)
            for r in form.rejects
        ]
    except ValueError as error:
        raise HTTPException(422, f"payload_b64 is not base64: {error}") from error
    batch = ingest.Batch(
        gateway=form.gateway,
        signals=[_signal(s) for s in form.signals],
        heartbeats=[presence.Heartbeat(**h.model_dump()) for h in form.heartbeats],
        statuses=[presence.Status(**s.model_dump()) for s in form.statuses],
        cmd_acks=[presence.CommandAck(**a.model_dump()) for a in form.cmd_acks],
        rejects=rejects,
        canaries=[sight.Canary(**c.model_dump()) for c in form.canaries],
        canary_every_s=form.canary_every_s,
    )
    urgent = any(s.type in ALARMS for s in form.signals)
    with metrics.taking(urgent=urgent):
        receipts = await runtime.database.write(
            lambda tx: ingest.ingest(tx, runtime.house, batch), urgent=urgent
        )
    _count(batch, receipts, runtime.clock)
    # Of what we have just made ourselves nothing has to be checked: by hand, 500 at a time.
    said = [{"t": r.t, "boot": r.boot, "seq": r.seq, "result": r.result} for r in receipts]
    return JSONResponse({"receipts": said})


def _signal(s: SignalForm) -> ingest.SignalIn:
    """By hand: `model_dump` and keywords took several times as long, 10,000 times a second."""
    return ingest.SignalIn(
        s.t, s.type, s.boot, s.seq, s.ts, s.ts_ok, s.buffered, s.test, s.bat, s.mains, s.rssi,
        s.attempt, s.held_ms, s.want,
    )  # fmt: skip


def _count(batch: ingest.Batch, receipts: list[ingest.Receipt], clock: Clock) -> None:
    """The committed batch in figures. A live press tells how long its way to us took."""
    now = clock.now()
    pairs = list(zip(batch.signals, receipts, strict=True))
    for (kind, result), n in Tally((s.type.value, r.result) for s, r in pairs).items():
        metrics.SIGNALS.labels(kind, result).inc(n)
        if result == "quarantined":
            metrics.QUARANTINED.labels("unknown_terminal").inc(n)
    for signal, receipt in pairs:
        live = signal.ts_ok and not signal.buffered and signal.attempt == 1
        if live and signal.ts is not None and receipt.result == "stored":
            transit_s = (now - from_ms(signal.ts)).total_seconds()
            metrics.OCCURRED_TO_RECEIVED.observe(max(0.0, transit_s))
    for reject in batch.rejects:
        known = reject.reason in metrics.REASONS
        metrics.QUARANTINED.labels(reject.reason if known else "other").inc()


class LeaseForm(Form):
    """A gateway asks for work, and waits up to `wait_s` seconds for it."""

    gateway: Annotated[str, Field(min_length=1, max_length=64)]
    max: Annotated[int, Field(ge=1, le=MOST)] = 100
    wait_s: Annotated[float, Field(ge=0, le=60)] = 20


class Commands(Form):
    """Commands to publish; each is handed out again unless reported done within 8 s."""

    commands: list[dict[str, object]]


class DoneForm(Form):
    """Commands that the broker has taken."""

    cmd_ids: Annotated[list[str], Field(max_length=MOST)]


@router.post("/commands/lease")
async def lease_commands(form: LeaseForm, runtime: RuntimeDep) -> Commands:
    """Long poll: commands as soon as there are any, an empty list after `wait_s`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + form.wait_s
    with runtime.database.bell.listening("commands") as rung:
        leased = await runtime.database.write(
            lambda tx: commanding.lease(tx, runtime.house, form.gateway, form.max)
        )
        while not leased and not runtime.stop.is_set() and (left := end - loop.time()) > 0:
            # Short waits: a stop must not hang on a poll, and another server's commit rings no
            # bell in this process.
            try:
                await asyncio.wait_for(rung.wait(), min(left, 0.5))
            except TimeoutError:
                now = runtime.clock.now()
                if not await runtime.database.read(lambda c: commands.waiting(c, now)):  # noqa: B023
                    continue
            rung.clear()
            leased = await runtime.database.write(
                lambda tx: commanding.lease(tx, runtime.house, form.gateway, form.max)
            )
    return Commands(commands=leased)


@router.post("/commands/done", status_code=204)
async def commands_done(form: DoneForm, runtime: RuntimeDep) -> None:
    """The broker has taken these."""
    await runtime.database.write(lambda tx: commanding.done(tx, form.cmd_ids))
