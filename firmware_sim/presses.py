"""How a press becomes an event: identity, flash, lamp, words, first attempt. Pure.

Called by `device.step`, which puts the flash write in front of everything. An alarm is never
dropped to make room, and pressing again never puts the buzzer off or takes help away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from firmware_sim import keys, wire
from firmware_sim import outputs as out
from firmware_sim.flash import Alarm, Led
from firmware_sim.state import (
    BUZZ_AFTER_MS,
    MAX_PENDING,
    Pending,
    State,
    Stepped,
    own_time_ms,
    resend_at_ms,
    rssi_now,
    say,
    settled,
)
from firmware_sim.wire import ALARM_KINDS, Kind, Ref, StoredEvent

MAX_ALARM_REFS: Final = 32
FALL_G: Final = 2.8
"""A blow from here on, followed by stillness, is called a fall. Plausible, not measured."""

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


def pressed(
    state: State, kind: Kind, test: bool, now_ms: int, want: str | None = None
) -> Stepped:
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
        ts=own_time_ms(state, now_ms) if state.clock_ok else 0,
        ts_ok=state.clock_ok,
        up_ms=now_ms - state.booted_ms,
        bat=int(state.battery.at(now_ms)),
        mains=state.battery.mains,
        rssi=rssi_now(state, now_ms),
        test=test or kind is Kind.TEST,
        stored_ms=now_ms,
        want=want if kind is Kind.HELP else None,
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


def key_moved(state: State, event: out.KeyMoved, now_ms: int) -> Stepped:
    """An edge of a contact, and the gestures it completes."""
    before = state.red if event.button is keys.Button.RED else state.green
    after, told = keys.edge(before, event.down, event.at_ms)
    return _told(_with_key(state, event.button, after), event.button, told, now_ms)


def look_at_keys(state: State, now_ms: int) -> Stepped:
    """What has come to rest, or was held long enough, by now."""
    outputs: list[out.Output] = []
    for button, key in ((keys.Button.RED, state.red), (keys.Button.GREEN, state.green)):
        if key.due_ms is None or key.due_ms > now_ms:
            continue
        after, told = keys.look(key, now_ms)
        done = _told(_with_key(state, button, after), button, told, now_ms)
        state = done.state
        outputs.extend(done.outputs)
    return Stepped(state, tuple(outputs))


def _with_key(state: State, button: keys.Button, key: keys.Key) -> State:
    if button is keys.Button.RED:
        return replace(state, red=key)
    return replace(state, green=key)


def _told(
    state: State, button: keys.Button, told: tuple[keys.Gesture, ...], now_ms: int
) -> Stepped:
    outputs: list[out.Output] = []
    for gesture in told:
        kind = _meant(state, button, gesture)
        if kind is not None:
            done = pressed(state, kind, False, now_ms)
            state = done.state
            outputs.extend(done.outputs)
    return Stepped(state, tuple(outputs))


def _meant(state: State, button: keys.Button, gesture: keys.Gesture) -> Kind | None:
    """What a gesture asks for. Holding the red key never takes a call back."""
    match button, gesture:
        case keys.Button.RED, keys.Gesture.DOWN:
            return Kind.SOS
        case keys.Button.GREEN, keys.Gesture.SHORT:
            return Kind.CHECKIN
        case keys.Button.GREEN, keys.Gesture.HELD:
            calling = state.alarm is not None and state.alarm.stage is not Led.RESOLVED
            return Kind.SOS_CANCEL if calling else Kind.TEST
    return None


def impact(state: State, event: out.Impact, now_ms: int) -> Stepped:
    """The fall detector's verdict. It can't tell a dropped pendant from a fall, and a soft fall
    goes past it: both happen with real ones."""
    if event.peak_g < FALL_G or not event.still:
        return Stepped(state, (out.Ignored("impact: no fall"),))
    return pressed(state, Kind.FALL, False, now_ms)


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
    """The plug's power came or went: the battery turns round, and the centre is told."""
    if present == state.battery.mains:
        return Stepped(state, (out.Ignored("mains: unchanged"),))
    changed = state.hardware.after(out.MainsChanged(present), now_ms)
    return tell_mains(state.on(changed), now_ms)


def tell_mains(state: State, now_ms: int) -> Stepped:
    """An event, where the centre was told something else of the plug before."""
    present = state.battery.mains
    if present == state.mains_told:
        return Stepped(state, ())
    kind = Kind.MAINS_RESTORED if present else Kind.MAINS_LOST
    return pressed(replace(state, mains_told=present), kind, False, now_ms)

