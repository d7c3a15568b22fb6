"""A terminal as its firmware would be: a pure state machine.

`step(state, event, now_ms)` gives the next state and what to do; `next_wakeup` says when it wants
a `Tick`. No I/O, no clock, no threads, no MQTT library: a driver carries the outputs out in
their order. What must never happen here: an alarm given up before its receipt, an event that
leaves the house before it lies in flash, "help is coming" without a person who accepted.

Times are milliseconds of the caller's clock. Rules come from the wire contract, version 1.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final, assert_never

from firmware_sim import outputs as out
from firmware_sim import wire
from firmware_sim.battery import LOW_AT
from firmware_sim.commands import heartbeat, on_command, on_config, status_online
from firmware_sim.flash import FlashImage, Led
from firmware_sim.hardware import BEFALLS, Hardware
from firmware_sim.presses import (
    impact,
    key_moved,
    look_at_keys,
    mains_changed,
    pressed,
    send,
    tell_mains,
)
from firmware_sim.state import (
    BUZZ_AFTER_MS,
    Pending,
    State,
    Stepped,
    Traits,
    made,
    resend_at_ms,
    say,
)
from firmware_sim.wire import Kind

__all__ = ["next_wakeup", "power_on", "step", "will"]

MAX_SKIPPED: Final = 64
WATCHDOG_MS: Final = 8_000
"""How long the firmware may loop before the watchdog starts it anew."""
# After the centre came back, backlogs come in over this time instead of all at once.
DRAIN_SPREAD_MS: Final = 10_000


def power_on(
    t: str,
    traits: Traits,
    image: FlashImage,
    now_ms: int,
    hardware: Hardware | None = None,
) -> Stepped:
    """A terminal just switched on, from what its flash holds and its parts show (None: as new). The
    new boot is persisted first."""
    alarm = image.alarm
    if alarm is not None and alarm.stage is Led.SENDING:
        alarm = replace(alarm, buzz_at_ms=now_ms + BUZZ_AFTER_MS)
    facts = hardware or made(traits, now_ms)
    state = State(
        t=t,
        traits=traits,
        config=image.config,
        boot=image.boot + 1,
        seq=image.seq,
        booted_ms=now_ms,
        clock_ok=facts.clock_ok,
        pending=tuple(Pending(event, buffered=True) for event in image.events),
        alarm=alarm,
        seen=image.seen,
        keys=image.keys,
        mains_told=image.mains_told,
    ).on(facts)
    # The plug lost or got its power while no program ran: nobody has been told yet.
    told = tell_mains(state, now_ms)
    state, outputs = told.state, (out.Persist(told.state.image), *told.outputs)
    if state.led is not Led.IDLE:
        outputs += (out.SetLed(state.led),)
    return Stepped(state, outputs)


def will(state: State) -> out.Publish:
    """The last will to hand to the broker with the connection."""
    topic = wire.topic(state.t, "status")
    return out.Publish(topic, wire.will_payload(state.boot), qos=1, retain=True)


def step(state: State, event: out.Input, now_ms: int) -> Stepped:
    """The next state, and the outputs in the order in which they must be carried out."""
    if isinstance(event, BEFALLS):
        facts = state.hardware.after(event, now_ms)
        if not facts.powered:
            # No program is left that could do anything about it, or tell anybody.
            return Stepped(state.on(facts), (out.PowerOff(),))
    if state.hung_ms is not None:
        return _hung(state, event, now_ms)
    done = _dispatch(state, event, now_ms)
    after, outputs = done.state, done.outputs
    if after.load != after.battery.load:
        after = replace(after, battery=after.battery.working(after.load, now_ms))
    if after.stores_more_than(state):
        outputs = (out.Persist(after.image), *outputs)
    if after.led is not state.led:
        outputs = (*outputs, out.SetLed(after.led))
    if after.buzzing != state.buzzing:
        outputs = (*outputs, out.Buzz(after.buzzing))
    return Stepped(after, outputs)


def _dispatch(state: State, event: out.Input, now_ms: int) -> Stepped:
    match event:
        case out.Pressed(kind, test, want):
            return pressed(state, kind, test, now_ms, want)
        case out.KeyMoved():
            return key_moved(state, event, now_ms)
        case out.Impact():
            return impact(state, event, now_ms)
        case out.MainsChanged(present):
            return mains_changed(state, present, now_ms)
        case (
            out.RadioRead() | out.TemperatureRead() | out.BatterySet() | out.BatteryFitted()
            | out.ClockMoved() | out.ClockDrifts()
        ):  # fmt: skip
            return Stepped(state.on(state.hardware.after(event, now_ms)), ())
        case out.Hang():
            return Stepped(replace(state, hung_ms=now_ms), ())
        case out.Tick():
            return _tick(state, now_ms)
        case out.Connected(coming):
            if coming:
                state = replace(state, keys=state.keys.taken())
            return _connected(state, now_ms)
        case out.Disconnected():
            waiting = tuple(replace(p, next_ms=None, sends=0) for p in state.pending)
            return Stepped(replace(state, connected=False, pending=waiting, drain_at_ms=None), ())
        case out.CommandArrived(payload):
            return on_command(state, payload, now_ms)
        case out.ConfigArrived(payload):
            return on_config(state, payload)
        case out.ServerStateArrived(payload):
            return _server_state(state, payload, now_ms)
        case _:
            assert_never(event)


def _hung(state: State, event: out.Input, now_ms: int) -> Stepped:
    """The firmware loops: it hears nothing. The watchdog is a chip of its own, and bites; plug,
    battery, clock and radio are what they are."""
    assert state.hung_ms is not None
    if isinstance(event, BEFALLS):
        return Stepped(state.on(state.hardware.after(event, now_ms)), ())
    if isinstance(event, out.Tick) and now_ms >= state.hung_ms + WATCHDOG_MS:
        return Stepped(state, (out.Reboot("watchdog"),))
    if isinstance(event, out.Disconnected):
        return Stepped(replace(state, connected=False), ())
    return Stepped(state, (out.Ignored("hung"),))


# ---- the line ----


def _connected(state: State, now_ms: int) -> Stepped:
    """Say that we are here, then everything that waits: alarms first, oldest first."""
    outputs: list[out.Output] = [status_online(state)]
    waiting: list[Pending] = []
    for pending in sorted(state.pending, key=lambda p: (not p.urgent, p.event.ref)):
        fresh = replace(pending, buffered=True, sends=0, base_ms=now_ms)
        fresh, publish = send(state, fresh)
        waiting.append(fresh)
        outputs.append(publish)
    hb_at_ms = state.hb_at_ms
    if hb_at_ms <= now_ms:
        # Anywhere in the first period: terminals that connect together must not beat together.
        hb_at_ms = now_ms + int(state.config.hb_s * 1000 * _chance(state, "phase"))
    state = replace(state, connected=True, pending=tuple(waiting), hb_at_ms=hb_at_ms)
    return Stepped(state, tuple(outputs))


def _server_state(state: State, payload: bytes, now_ms: int) -> Stepped:
    """When the server is back, don't wait for the slow resends: empty the backlog soon."""
    try:
        online = wire.parse_object(payload).get("s") == "online"
    except wire.BadCommand as bad:
        return Stepped(state, (out.Ignored(f"srv/state: {bad}"),))
    if not online or not state.connected or all(p.urgent for p in state.pending):
        return Stepped(state, ())
    spread_ms = int(DRAIN_SPREAD_MS * _chance(state, f"drain:{now_ms}"))
    return Stepped(replace(state, drain_at_ms=now_ms + spread_ms), ())


def _chance(state: State, purpose: str) -> float:
    """A repeatable draw in [0, 1): the same terminal, boot and purpose give the same."""
    return random.Random(f"{state.traits.seed}:{state.t}:{state.boot}:{purpose}").random()


# ---- time ----


def next_wakeup(state: State, now_ms: int) -> int | None:
    """When this terminal next wants a `Tick`; never earlier than `now_ms`; None: not at all."""
    battery = state.battery
    if state.hung_ms is not None:
        return max(now_ms, state.hung_ms + WATCHDOG_MS)
    wishes = [battery.reaches_ms(0.0), None if battery.low_told else battery.reaches_ms(LOW_AT)]
    wishes += [state.red.due_ms, state.green.due_ms]
    if state.connected:
        wishes += [state.hb_at_ms, state.drain_at_ms]
    for pending in state.pending:
        wishes += [pending.next_ms, pending.expires_ms]
    if state.alarm is not None:
        wishes.append(state.alarm.clears_at_ms)
        wishes.append(None if state.buzzing else state.alarm.buzz_at_ms)
    due = [wish for wish in wishes if wish is not None]
    return max(now_ms, min(due)) if due else None


def _tick(state: State, now_ms: int) -> Stepped:
    """All that is due by now: give up, resend, buzz, clear, beat, report the battery."""
    if state.battery.at(now_ms) <= 0 and not state.battery.mains:
        return Stepped(state, (out.PowerOff(),))
    outputs: list[out.Output] = []
    for part in (look_at_keys, _tick_events, _tick_alarm, _tick_heartbeat, _tick_battery):
        done = part(state, now_ms)
        state = done.state
        outputs.extend(done.outputs)
    return Stepped(state, tuple(outputs))


def _tick_events(state: State, now_ms: int) -> Stepped:
    outputs: list[out.Output] = []
    kept: list[Pending] = []
    drain = state.drain_at_ms is not None and state.drain_at_ms <= now_ms
    for pending in state.pending:
        if pending.expires_ms is not None and pending.expires_ms <= now_ms:
            outputs.append(out.Expired(pending.event.ref, pending.event.kind))
            continue
        due = pending.next_ms is not None and (drain or pending.next_ms <= now_ms)
        if state.connected and due:
            sent, publish = send(state, pending)
            outputs.append(publish)
            kept.append(_skip_missed(sent, now_ms))
        else:
            kept.append(pending)
    drain_at_ms = None if drain else state.drain_at_ms
    return Stepped(replace(state, pending=tuple(kept), drain_at_ms=drain_at_ms), tuple(outputs))


def _skip_missed(sent: Pending, now_ms: int) -> Pending:
    """After a late tick: one attempt for all that were missed, then on with the schedule."""
    for _ in range(MAX_SKIPPED):
        if sent.next_ms is not None and sent.next_ms > now_ms:
            return sent
        sent = replace(sent, sends=sent.sends + 1)
        sent = replace(sent, next_ms=resend_at_ms(sent))
    # The caller's clock has leapt; begin the schedule again from here.
    sent = replace(sent, base_ms=now_ms, sends=1)
    return replace(sent, next_ms=resend_at_ms(sent))


def _tick_alarm(state: State, now_ms: int) -> Stepped:
    alarm = state.alarm
    if alarm is None:
        return Stepped(state, ())
    if alarm.clears_at_ms is not None and alarm.clears_at_ms <= now_ms:
        return Stepped(replace(state, alarm=None, buzzing=False), ())
    if alarm.buzz_at_ms is not None and alarm.buzz_at_ms <= now_ms and not state.buzzing:
        return Stepped(replace(state, buzzing=True), (say(state, "no_answer_yet"),))
    return Stepped(state, ())


def _tick_heartbeat(state: State, now_ms: int) -> Stepped:
    if not state.connected or state.hb_at_ms > now_ms:
        return Stepped(state, ())
    lean = 1 + state.traits.hb_jitter * (2 * _chance(state, f"hb:{state.hb_count}") - 1)
    beat = heartbeat(state, now_ms)
    hb_at_ms = now_ms + int(state.config.hb_s * 1000 * lean)
    return Stepped(replace(state, hb_at_ms=hb_at_ms, hb_count=state.hb_count + 1), (beat,))


def _tick_battery(state: State, now_ms: int) -> Stepped:
    battery = state.battery
    if battery.mains or battery.low_told or battery.at(now_ms) > LOW_AT:
        return Stepped(state, ())
    state = replace(state, battery=replace(battery, low_told=True))
    return pressed(state, Kind.BATTERY_LOW, False, now_ms)
