"""What a terminal does when the centre speaks to it. Pure; called by `device.step`.

A receipt is itself an acknowledgement and is not acknowledged in turn: at a round that would
double the traffic for nothing. Every other command gets a cmd_ack, repeats included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from firmware_sim import firmware, wire
from firmware_sim import outputs as out
from firmware_sim.flash import Alarm, Led
from firmware_sim.state import (
    BUZZ_AFTER_MS,
    MAX_SEEN,
    RESOLVED_SHOWN_MS,
    State,
    Stepped,
    alarm_pending,
    kind_of,
    own_time_ms,
    rssi_now,
    say,
    settled,
)
from firmware_sim.texts import LANGUAGES
from firmware_sim.wire import ALARM_KINDS, AckResult, BadCommand, Command, Kind, Ref

HB_S_RANGE: Final = (5, 86_400)
VOLUME_RANGE: Final = (0, 10)
# How long the lamp announces a visit that no press of ours asked for (a missed check-in).
VISIT_SHOWN_MS: Final = 30 * 60_000


def _ack(state: State, cmd_id: str, result: str) -> out.Publish:
    payload = wire.encode({"cmd_id": cmd_id, "result": result})
    return out.Publish(wire.topic(state.t, "cmd_ack"), payload, qos=1)


def on_command(state: State, payload: bytes, now_ms: int) -> Stepped:
    """One message on the cmd topic, whatever its bytes."""
    try:
        command = wire.parse_command(payload)
    except BadCommand as bad:
        ignored = out.Ignored(f"command: {bad}")
        if bad.cmd_id is None or len(bad.cmd_id) > 200:
            return Stepped(state, (ignored,))
        return Stepped(state, (ignored, _ack(state, bad.cmd_id, AckResult.FAILED)))
    # A clock that was never set can't tell what is stale; refusing everything would be worse.
    own_ms = own_time_ms(state, now_ms)
    stale = command.exp is not None and state.clock_ok and own_ms > command.exp
    if command.cmd in firmware.of(state.traits.fw).lacks:
        # An older release does not know the word, as any word it does not know.
        return Stepped(
            state,
            (out.Ignored(f"command: unknown cmd {command.cmd!r}"),
             _ack(state, command.cmd_id, AckResult.FAILED)),
        )  # fmt: skip
    if command.cmd == "receipt":
        assert command.ref is not None
        if stale:
            return Stepped(state, (out.Ignored("receipt: expired"),))
        return on_receipt(state, command.ref)
    before = dict(state.seen).get(command.cmd_id)
    if before is not None:
        return Stepped(
            state, (out.Ignored("command: repeated"), _ack(state, command.cmd_id, before))
        )
    if stale:
        return _remember(state, command, AckResult.EXPIRED, (out.Ignored("command: expired"),))
    return _obey(state, command, now_ms)


def _remember(
    state: State, command: Command, result: AckResult, outputs: tuple[out.Output, ...]
) -> Stepped:
    """Keep the command's id and answer it after the other outputs."""
    seen = (*state.seen, (command.cmd_id, str(result)))[-MAX_SEEN:]
    ack = _ack(state, command.cmd_id, result)
    return Stepped(replace(state, seen=seen), (*outputs, ack))


def _obey(state: State, command: Command, now_ms: int) -> Stepped:
    match command.cmd:
        case "prompt":
            spoken = (out.Chime(), say(state, "prompt"))
            return _remember(state, command, AckResult.SHOWN, spoken)
        case "help_coming":
            return _help_coming(state, command, now_ms)
        case "resolved":
            return _resolved(state, command, now_ms)
        case "say":
            words = (out.Say(command.text or "", "say"),)
            return _remember(state, command, AckResult.SHOWN, words)
        case "test":
            # No test *event*: that is a sign of life of the resident, and nobody pressed.
            return _remember(
                state, command, AckResult.SHOWN, (say(state, "self_test"), heartbeat(state, now_ms))
            )
        case "time":
            assert command.now is not None
            state = replace(state, clock_ok=True, skew_ms=command.now - now_ms, set_ms=now_ms)
            return _remember(state, command, AckResult.RECEIVED, ())
        case "key":
            # Into flash with this step, before the answer leaves: a promise that outlives a cut.
            assert command.key is not None
            assert command.key_v is not None
            keys = replace(state.keys, coming=command.key, coming_version=command.key_v)
            return _remember(replace(state, keys=keys), command, AckResult.RECEIVED, ())
        case "reboot":
            done = _remember(state, command, AckResult.RECEIVED, ())
            # In flash before the reboot, or a redelivery afterwards would reboot it for ever.
            image = out.Persist(done.state.image)
            return Stepped(done.state, (image, *done.outputs, out.Reboot()))
        case _:
            raise AssertionError(f"the parser let {command.cmd!r} through")


def on_receipt(state: State, ref: Ref) -> Stepped:
    """The centre has committed `ref`; a second receipt for it changes nothing."""
    kind = kind_of(state, ref)
    if kind is None:
        return Stepped(state, (out.Ignored("receipt: not waiting for it"),))
    state = settled(state, ref)
    outputs: list[out.Output] = [out.Receipted(ref, kind)]
    if kind in ALARM_KINDS and state.alarm is not None and not alarm_pending(state):
        alarm = replace(state.alarm, buzz_at_ms=None)
        if alarm.stage is Led.SENDING:
            alarm = replace(alarm, stage=Led.CENTRE_HAS_IT)
            outputs.append(say(state, "centre_has_it"))
        state = replace(state, alarm=alarm, buzzing=False)
    elif kind is Kind.CHECKIN:
        outputs.append(say(state, "checkin_received"))
    elif kind is Kind.TEST:
        outputs.append(say(state, "test_received"))
    return Stepped(state, tuple(outputs))


def _help_coming(state: State, command: Command, now_ms: int) -> Stepped:
    """A person has accepted: say who, light the lamp.

    For an alarm that is over here ("resolved" overtook it) it is stale and only acknowledged.
    Without an alarm of our own, or for one that a blank flash forgot, the centre is believed.
    """
    alarm = state.alarm
    if alarm is not None and alarm.stage is Led.RESOLVED and command.ref in alarm.refs:
        return _remember(state, command, AckResult.EXPIRED, (out.Ignored("help_coming: over"),))
    clears_at_ms = None
    if alarm is None or alarm.stage is Led.RESOLVED:
        refs = () if command.ref is None else (command.ref,)
        alarm = Alarm(refs=refs, stage=Led.HELP_COMING, since_ms=now_ms)
        clears_at_ms = now_ms + VISIT_SHOWN_MS
    who = command.who or say(state, "somebody").text
    alarm = replace(
        alarm, stage=Led.HELP_COMING, who=who, buzz_at_ms=None, clears_at_ms=clears_at_ms
    )
    state = replace(state, alarm=alarm, buzzing=False)
    if command.text is not None:
        words = out.Say(command.text, "help_coming")
    elif command.eta_min is not None:
        words = say(state, "help_coming", who=who, eta_min=command.eta_min)
    else:
        words = replace(say(state, "help_coming_soon", who=who), key="help_coming")
    return _remember(state, command, AckResult.SHOWN, (words,))


def _resolved(state: State, command: Command, now_ms: int) -> Stepped:
    """The alarm is over, unless the resident has pressed again and that press is not told yet."""
    alarm = state.alarm
    if alarm is None or (command.ref is not None and command.ref not in alarm.refs):
        return _remember(state, command, AckResult.RECEIVED, ())
    untold = tuple(p.event.ref for p in state.pending if p.event.kind in ALARM_KINDS)
    if untold:
        # What was asked for is done; the press that nobody has yet begins an alarm of its own.
        fresh = Alarm(untold, Led.SENDING, now_ms, buzz_at_ms=now_ms + BUZZ_AFTER_MS)
        return _remember(replace(state, alarm=fresh), command, AckResult.RECEIVED, ())
    over = replace(
        alarm, stage=Led.RESOLVED, buzz_at_ms=None, clears_at_ms=now_ms + RESOLVED_SHOWN_MS
    )
    state = replace(state, alarm=over, buzzing=False)
    return _remember(state, command, AckResult.SHOWN, (say(state, "resolved"),))


def heartbeat(state: State, now_ms: int) -> out.Publish:
    """A sign of the device's life. `seq` is the newest event's: a gap shows the server a loss."""
    payload = wire.encode(
        {
            "boot": state.boot,
            "seq": state.seq,
            "bat": int(state.battery.at(now_ms)),
            "mains": state.battery.mains,
            "rssi": rssi_now(state, now_ms),
            "up_ms": now_ms - state.booted_ms,
        }
    )
    return out.Publish(wire.topic(state.t, "hb"), payload, qos=0)


def status_online(state: State) -> out.Publish:
    """The retained status of a terminal that has just connected, or changed its settings."""
    payload = wire.encode(
        {
            "s": "online",
            "boot": state.boot,
            "fw": state.traits.fw,
            "hb_s": state.config.hb_s,
            "cfg_v": state.config.cfg_v,
            **({"key_v": state.keys.version} if state.keys.version else {}),
        }
    )
    return out.Publish(wire.topic(state.t, "status"), payload, qos=1, retain=True)


def on_config(state: State, payload: bytes) -> Stepped:
    """Desired settings; a field out of range keeps its old value."""
    try:
        fields = wire.parse_object(payload)
    except BadCommand as bad:
        return Stepped(state, (out.Ignored(f"cfg: {bad}"),))
    config = state.config
    version, hb_s, lang, volume = (fields.get(k) for k in ("cfg_v", "hb_s", "lang", "volume"))
    if type(version) is int:
        config = replace(config, cfg_v=version)
    if type(hb_s) is int and HB_S_RANGE[0] <= hb_s <= HB_S_RANGE[1]:
        config = replace(config, hb_s=hb_s)
    if isinstance(lang, str) and lang in LANGUAGES:
        config = replace(config, lang=lang)
    if type(volume) is int and VOLUME_RANGE[0] <= volume <= VOLUME_RANGE[1]:
        config = replace(config, volume=volume)
    if config == state.config:
        return Stepped(state, ())
    state = replace(state, config=config)
    return Stepped(state, (status_online(state),))
