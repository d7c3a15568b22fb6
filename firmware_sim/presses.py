"""How a press becomes an event: identity, flash, lamp, words, first attempt. Pure.

Called by `device.step`, which puts the flash write in front of everything. An alarm is never
dropped to make room, and pressing again never puts the buzzer off or takes help away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from firmware_sim import outputs as out
from firmware_sim import wire
from firmware_sim.battery import LOW_CLEARED_AT
from firmware_sim.flash import Alarm, Led
from firmware_sim.state import (
    BUZZ_AFTER_MS,
    MAX_PENDING,
    Pending,
    State,
    Stepped,
    resend_at_ms,
    say,
    settled,
)
from firmware_sim.wire import ALARM_KINDS, Kind, Ref, StoredEvent

MAX_ALARM_REFS: Final = 32

_SPOKEN_ON_PRESS: Final = {
    Kind.SOS: "sos_sending",
    Kind.FALL: "fall_sending",
    Kind.SOS_CANCEL: "cancel_sending",
    Kind.MAINS_LOST: "mains_lost",
    Kind.BATTERY_LOW: "battery_low",
}


def send(state: State, pending: Pending) -> tuple[Pending, out.Publish]:
    """One more attempt of an event, under its one identity."""
    pending = replace(pending, attempt=pending.attempt + 1, sends=pending.sends + 1)
    pending = replace(pending, next_ms=resend_at_ms(pending))
    event = pending.event
    publish = out.Publish(
        wire.topic(state.t, f"evt/{event.kind}"),
        wire.event_payload(event, pending.attempt, pending.buffered),
        qos=1,
        ref=event.ref,
        kind=event.kind,
        attempt=pending.attempt,
    )
    return pending, publish


def pressed(state: State, kind: Kind, test: bool, now_ms: int) -> Stepped:
    """A press becomes an event in flash, a lamp, a word, and an attempt if there is a line."""
    if kind is Kind.SOS_CANCEL and (state.alarm is None or state.alarm.stage is Led.RESOLVED):
        return Stepped(state, (out.Ignored("nothing to cancel"), say(state, "nothing_to_cancel")))
    roomy = _make_room(state)
    if roomy is None:
        # Over a hundred unanswered alarms lie in flash and are being sent: this one says no more.
        return Stepped(state, (out.Ignored("flash full of alarms"), say(state, "no_answer_yet")))
    state = replace(roomy.state, seq=roomy.state.seq + 1)
    event = StoredEvent(
        kind=kind,
        ref=Ref(state.boot, state.seq),
        ts=now_ms + state.skew_ms if state.clock_ok else 0,
        ts_ok=state.clock_ok,
        up_ms=now_ms - state.booted_ms,
        bat=int(state.battery.at(now_ms)),
        mains=state.battery.mains,
        rssi=state.traits.rssi,
        test=test or kind is Kind.TEST,
        stored_ms=now_ms,
    )
    pending = Pending(event, buffered=not state.connected, base_ms=now_ms)
    outputs = [*roomy.outputs, out.Stored(event.ref, kind, event.test)]
    if state.connected:
        pending, publish = send(state, pending)
        outputs.append(publish)
    state = replace(state, pending=(*state.pending, pending))
    if kind in ALARM_KINDS:
        state = replace(state, alarm=_raised(state, event.ref, now_ms))
    if kind in _SPOKEN_ON_PRESS:
        outputs.append(say(state, _SPOKEN_ON_PRESS[kind]))
    return Stepped(state, tuple(outputs))


def _make_room(state: State) -> Stepped | None:
    """A state with space for one more event; the oldest report goes first, an alarm never."""
    if len(state.pending) < MAX_PENDING:
        return Stepped(state, ())
    for pending in state.pending:
        if not pending.urgent:
            gone = pending.event
            return Stepped(settled(state, gone.ref), (out.Expired(gone.ref, gone.kind),))
    return None


def _raised(state: State, ref: Ref, now_ms: int) -> Alarm:
    """The alarm with one more press. Help on its way stays on its way."""
    alarm = state.alarm
    if alarm is None or alarm.stage is Led.RESOLVED:
        return Alarm((ref,), Led.SENDING, now_ms, buzz_at_ms=now_ms + BUZZ_AFTER_MS)
    refs = (*alarm.refs, ref)[-MAX_ALARM_REFS:]
    if alarm.stage is Led.HELP_COMING:
        return replace(alarm, refs=refs, clears_at_ms=None)
    buzz_at_ms = now_ms + BUZZ_AFTER_MS
    if alarm.stage is Led.SENDING and alarm.buzz_at_ms is not None:
        buzz_at_ms = alarm.buzz_at_ms  # pressing again must not put the buzzer off
    return replace(alarm, refs=refs, stage=Led.SENDING, buzz_at_ms=buzz_at_ms)


def mains_changed(state: State, present: bool, now_ms: int) -> Stepped:
    """The plug's power came or went: an event, and the battery turns round."""
    if present == state.battery.mains:
        return Stepped(state, (out.Ignored("mains: unchanged"),))
    battery = state.battery.switched(present, now_ms)
    if battery.level_pct > LOW_CLEARED_AT:
        battery = replace(battery, low_told=False)
    state = replace(state, battery=battery)
    return pressed(state, Kind.MAINS_RESTORED if present else Kind.MAINS_LOST, False, now_ms)
