"""A terminal keeps its promises to the resident, second by second."""

import itertools
import json
from dataclasses import asdict, fields, replace

import pytest

from firmware_sim import device
from firmware_sim import outputs as out
from firmware_sim.battery import Battery
from firmware_sim.flash import DeviceConfig, FlashImage, Keys, Led, image_from_json
from firmware_sim.state import STORED, State, Traits
from firmware_sim.wire import Kind, Ref

T0 = 1_760_000_000_000
S = 1_000
H = 3_600_000


class Bench:
    """A terminal on a bench: moves the time it is given and writes down what comes out."""

    def __init__(self, image: FlashImage | None = None, traits: Traits | None = None) -> None:
        self.now_ms = T0
        self.flash = image or FlashImage()
        self.outputs: list[tuple[int, out.Output]] = []
        self.state: State
        self._take(device.power_on("gd-11-301", traits or Traits(), self.flash, T0))

    def _take(self, stepped: device.Stepped) -> tuple[out.Output, ...]:
        self.state = stepped.state
        for output in stepped.outputs:
            if isinstance(output, out.Persist):
                self.flash = output.image
            self.outputs.append((self.now_ms - T0, output))
        return stepped.outputs

    def give(self, event: out.Input) -> tuple[out.Output, ...]:
        return self._take(device.step(self.state, event, self.now_ms))

    def command(self, cmd: str, cmd_id: str = "c-1", **fields: object) -> tuple[out.Output, ...]:
        body = {"cmd_id": cmd_id, "cmd": cmd, **fields}
        return self.give(out.CommandArrived(json.dumps(body).encode()))

    def receipt(self, ref: Ref) -> tuple[out.Output, ...]:
        return self.command("receipt", ref={"boot": ref.boot, "seq": ref.seq})

    def wait(self, ms: int) -> None:
        """Let time pass, waking the terminal exactly when it asked."""
        end_ms = self.now_ms + ms
        while True:
            due_ms = device.next_wakeup(self.state, self.now_ms)
            if due_ms is None or due_ms > end_ms:
                break
            self.now_ms = due_ms
            if out.PowerOff() in self.give(out.Tick()):
                return  # dark: nobody wakes it
        self.now_ms = end_ms

    def events(self, kind: str) -> list[tuple[int, dict[str, object]]]:
        """(ms since T0, payload) of what was published under evt/kind."""
        return [
            (at, json.loads(o.payload))
            for at, o in self.outputs
            if isinstance(o, out.Publish) and o.topic.endswith(f"/evt/{kind}")
        ]

    def acks(self) -> list[dict[str, object]]:
        return [
            json.loads(o.payload)
            for _, o in self.outputs
            if isinstance(o, out.Publish) and o.topic.endswith("/cmd_ack")
        ]

    def said(self) -> list[str]:
        return [o.key for _, o in self.outputs if isinstance(o, out.Say)]


@pytest.fixture
def bench() -> Bench:
    """A terminal that is connected and idle."""
    bench = Bench()
    bench.give(out.Connected())
    return bench


def pressed(bench: Bench, kind: Kind = Kind.SOS) -> Ref:
    stored = [o for o in bench.give(out.Pressed(kind)) if isinstance(o, out.Stored)]
    return stored[0].ref


def test_sos_is_resent_at_2_4_8_15_s_and_every_15_s_under_one_identity(bench: Bench) -> None:
    """The contract's schedule, attempt by attempt, and one identity all along."""
    ref = pressed(bench)
    bench.wait(61 * S)
    sent = bench.events("sos")
    assert [at for at, _ in sent] == [0, 2000, 4000, 8000, 15000, 30000, 45000, 60000]
    assert {(p["boot"], p["seq"]) for _, p in sent} == {(ref.boot, ref.seq)}
    assert [p["attempt"] for _, p in sent] == list(range(1, 9))
    assert not any(p["buffered"] for _, p in sent)


def test_an_unanswered_sos_is_still_sent_after_two_days(bench: Bench) -> None:
    """An SOS never expires."""
    pressed(bench)
    bench.wait(48 * H)
    before = len(bench.events("sos"))
    bench.wait(15 * S)
    assert len(bench.events("sos")) == before + 1


def test_a_help_request_is_kept_for_a_day_and_says_what_is_wanted(bench: Bench) -> None:
    """Resent like a check-in, no lamp and no buzzer, through a power cut; a press of another kind
    says nothing of it."""
    bench.give(out.Pressed(Kind.HELP, want="haircut"))
    bench.give(out.Pressed(Kind.CHECKIN, want="haircut"))
    assert bench.flash == image_from_json(json.dumps(asdict(bench.flash)))
    bench.wait(5 * 60 * S)
    sent = [payload for _, payload in bench.events("help")]
    assert len(sent) > 1
    assert {p["want"] for p in sent} == {"haircut"}
    assert all("want" not in p for _, p in bench.events("checkin"))
    assert (bench.state.led, bench.state.buzzing) == (Led.IDLE, False)
    bench.wait(24 * H)
    assert bench.flash.events == ()


def test_the_receipt_ends_the_resending(bench: Bench) -> None:
    """After the receipt nothing of this SOS is sent again and flash holds no event."""
    ref = pressed(bench)
    bench.wait(3 * S)
    bench.receipt(ref)
    count = len(bench.events("sos"))
    bench.wait(5 * 60 * S)
    assert len(bench.events("sos")) == count == 2
    assert bench.flash.events == ()


def test_flash_is_written_before_anything_leaves_the_house(bench: Bench) -> None:
    """Persist with the event stands before its first publish."""
    outputs = bench.give(out.Pressed(Kind.SOS))
    first = outputs[0]
    assert isinstance(first, out.Persist)
    assert [e.kind for e in first.image.events] == [Kind.SOS]
    assert any(isinstance(o, out.Publish) for o in outputs[1:])


def test_the_resident_sees_sending_then_centre_then_help_then_resolved_then_idle(
    bench: Bench,
) -> None:
    """The lamp walks through its five states, and speech names who is coming."""
    ref = pressed(bench)
    seen = [bench.state.led]
    bench.receipt(ref)
    seen.append(bench.state.led)
    as_json = {"boot": ref.boot, "seq": ref.seq}
    words = bench.command("help_coming", "c-2", ref=as_json, who="梁玉珍", eta_min=8)
    seen.append(bench.state.led)
    bench.command("resolved", "c-3", ref=as_json)
    seen.append(bench.state.led)
    bench.wait(60 * S)
    seen.append(bench.state.led)
    assert seen == [Led.SENDING, Led.CENTRE_HAS_IT, Led.HELP_COMING, Led.RESOLVED, Led.IDLE]
    assert any(isinstance(o, out.Say) and "梁玉珍" in o.text and "8" in o.text for o in words)


def test_no_receipt_in_ten_seconds_sounds_the_buzzer_until_the_receipt(bench: Bench) -> None:
    """Silent at 9.999 s, loud at 10 s, silent again with the receipt."""
    ref = pressed(bench)
    bench.wait(9_999)
    assert not bench.state.buzzing
    bench.wait(1)
    assert bench.state.buzzing
    assert out.Buzz(False) in bench.receipt(ref)


def test_pressing_again_does_not_put_the_buzzer_off(bench: Bench) -> None:
    """Ten seconds count from the first unanswered press."""
    pressed(bench)
    bench.wait(9 * S)
    pressed(bench)
    bench.wait(1 * S)
    assert bench.state.buzzing


def test_without_a_line_the_press_waits_and_goes_out_first_of_all_as_buffered() -> None:
    """Pending events leave at once on reconnect, the SOS before the older check-in."""
    bench = Bench()
    pressed(bench, Kind.CHECKIN)
    pressed(bench, Kind.SOS)
    bench.wait(5 * S)
    assert not bench.events("sos")
    bench.give(out.Connected())
    topics = [o.topic for at, o in bench.outputs if isinstance(o, out.Publish)]
    assert [topic.rsplit("/", 1)[1] for topic in topics] == ["status", "sos", "checkin"]
    assert bench.events("sos")[0][1]["buffered"] is True
    assert bench.events("sos")[0][1]["ts"] == T0


def test_a_dropped_line_resends_at_once_on_return(bench: Bench) -> None:
    """Sent live, then the line fell: the next attempt is buffered and keeps the identity."""
    ref = pressed(bench)
    bench.give(out.Disconnected())
    bench.wait(100 * S)
    bench.give(out.Connected())
    (_, first), (at, second) = bench.events("sos")
    assert (first["buffered"], second["buffered"]) == (False, True)
    assert (second["boot"], second["seq"], second["attempt"]) == (ref.boot, ref.seq, 2)
    assert at == 100 * S


def test_a_power_cut_keeps_identity_and_lamp(bench: Bench) -> None:
    """After a cut the same (boot, seq) goes out under a new boot, and help is still coming."""
    ref = pressed(bench)
    bench.command("help_coming", "c-2", ref={"boot": ref.boot, "seq": ref.seq}, who="陈")
    again = Bench(bench.flash)
    again.give(out.Connected())
    assert again.state.led is Led.HELP_COMING
    payload = again.events("sos")[0][1]
    assert (payload["boot"], payload["seq"], payload["buffered"]) == (ref.boot, ref.seq, True)
    assert again.state.boot == ref.boot + 1


def test_the_will_names_the_boot() -> None:
    """A stale will can be told from a fresh one."""
    bench = Bench(FlashImage(boot=6))
    will = device.will(bench.state)
    assert (json.loads(will.payload), will.retain, will.qos) == ({"s": "lost", "boot": 7}, True, 1)


def test_checkins_are_resent_with_growing_gaps_and_given_up_after_24_h(bench: Bench) -> None:
    """A check-in is patient: 10 s … 5 min apart, kept a day, not a minute longer."""
    ref = pressed(bench, Kind.CHECKIN)
    bench.wait(24 * H - 1)
    times = [at for at, _ in bench.events("checkin")]
    assert times[:7] == [0, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000]
    assert bench.state.pending
    bench.wait(1)
    assert not bench.state.pending
    assert (24 * H, out.Expired(ref, Kind.CHECKIN)) in bench.outputs


@pytest.mark.parametrize("cmd", ["help_coming", "prompt", "say", "resolved", "reboot"])
def test_an_expired_command_is_dropped_and_says_so(bench: Bench, cmd: str) -> None:
    """A stale command changes nothing that a resident could see."""
    ref = pressed(bench)
    bench.receipt(ref)
    before = bench.state
    body = {"ref": {"boot": ref.boot, "seq": ref.seq}, "who": "x", "text": "x", "exp": T0 - 1}
    outputs = bench.command(cmd, "c-9", **body)
    assert bench.acks()[-1] == {"cmd_id": "c-9", "result": "expired"}
    assert replace(bench.state, seen=()) == replace(before, seen=())
    assert not any(isinstance(o, out.Say | out.SetLed | out.Reboot | out.Chime) for o in outputs)


def test_a_command_at_its_exact_expiry_still_counts(bench: Bench) -> None:
    """`exp` is the last good instant, not the first bad one."""
    bench.command("prompt", exp=T0)
    assert bench.acks()[-1]["result"] == "shown"


def test_a_repeated_command_is_acknowledged_again_and_not_obeyed_again(bench: Bench) -> None:
    """At-least-once delivery must not chime twice."""
    first = bench.command("prompt", "c-5")
    second = bench.command("prompt", "c-5")
    assert out.Chime() in first
    assert out.Chime() not in second
    assert bench.acks() == [{"cmd_id": "c-5", "result": "shown"}] * 2


def test_a_redelivered_reboot_does_not_reboot_again(bench: Bench) -> None:
    """The command id is in flash before the terminal goes down."""
    outputs = bench.command("reboot", "c-7")
    assert outputs[-1] == out.Reboot()
    again = Bench(bench.flash)
    again.give(out.Connected())
    assert out.Reboot() not in again.command("reboot", "c-7")


def test_help_coming_after_resolved_is_stale(bench: Bench) -> None:
    """Overtaken commands must not promise a person who is not coming."""
    ref = pressed(bench)
    bench.receipt(ref)
    as_json = {"boot": ref.boot, "seq": ref.seq}
    bench.command("resolved", "c-3", ref=as_json)
    bench.command("help_coming", "c-2", ref=as_json, who="陈")
    assert bench.state.led is Led.RESOLVED
    assert bench.acks()[-1]["result"] == "expired"


def test_resolving_the_first_alarm_leaves_a_press_nobody_has_yet(bench: Bench) -> None:
    """The press that is still on its way begins an alarm of its own."""
    first = pressed(bench)
    bench.receipt(first)
    bench.command("help_coming", "c-2", ref={"boot": first.boot, "seq": first.seq}, who="陈")
    second = pressed(bench)
    bench.command("resolved", "c-3", ref={"boot": first.boot, "seq": first.seq})
    assert bench.state.led is Led.SENDING
    bench.receipt(second)
    assert bench.state.led is Led.CENTRE_HAS_IT


def test_a_test_from_the_centre_is_no_sign_of_life_of_the_resident(bench: Bench) -> None:
    """The terminal answers with a heartbeat, never with a test event."""
    outputs = bench.command("test")
    topics = [o.topic.rsplit("/", 1)[1] for o in outputs if isinstance(o, out.Publish)]
    assert topics == ["hb", "cmd_ack"]


def test_cancel_is_news_and_leaves_the_alarm_on(bench: Bench) -> None:
    """sos_cancel goes out, the lamp stays; without an alarm there is nothing to cancel."""
    outputs = bench.give(out.Pressed(Kind.SOS_CANCEL))
    assert not any(isinstance(o, out.Publish) for o in outputs)
    pressed(bench)
    pressed(bench, Kind.SOS_CANCEL)
    assert bench.events("sos_cancel")
    assert bench.state.led is Led.SENDING


def test_the_clock_can_be_set_and_an_unset_one_says_so() -> None:
    """ts_ok is false until `time`; afterwards ts is the centre's time."""
    bench = Bench(traits=Traits(clock_ok=False))
    bench.give(out.Connected())
    pressed(bench, Kind.TEST)
    bench.command("time", now=T0 + 5 * H)
    pressed(bench, Kind.TEST)
    (_, before), (_, after) = bench.events("test")
    assert (before["ts_ok"], before["ts"]) == (False, 0)
    assert (after["ts_ok"], after["ts"]) == (True, T0 + 5 * H)
    assert after["test"] is True


def test_battery_low_is_told_once_and_a_flat_battery_goes_dark() -> None:
    """One event at the threshold, then PowerOff; a second drain is told again."""
    bench = Bench()
    bench.give(out.Connected())
    bench.give(out.MainsChanged(False))
    bench.wait(23 * H)
    assert bench.events("mains_lost")
    lows = [o for _, o in bench.outputs if isinstance(o, out.Stored)]
    assert [o.kind for o in lows] == [Kind.MAINS_LOST, Kind.BATTERY_LOW]
    bench.wait(2 * H)
    assert bench.outputs[-1][1] == out.PowerOff()


def test_battery_drains_in_a_day_and_charges_in_six_hours() -> None:
    """Figures of the model at three instants."""
    battery = Battery(since_ms=0).switched(False, 0)
    assert battery.at(12 * H) == pytest.approx(50)
    charging = battery.switched(True, 12 * H)
    assert charging.at(12 * H + 108 * 60_000) == pytest.approx(80)
    assert charging.at(15 * H) < 90
    assert charging.at(18 * H) == pytest.approx(100)


def test_heartbeats_keep_their_period_within_the_jitter(bench: Bench) -> None:
    """Gaps lie within hb_s ± 10 % and are not all the same."""
    bench.wait(24 * H)
    times = [
        at
        for at, o in bench.outputs
        if isinstance(o, out.Publish) and o.topic.endswith("/hb") and o.qos == 0
    ]
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert len(gaps) > 80
    assert all(810 * S <= gap <= 990 * S for gap in gaps)
    assert len(set(gaps)) > 10


@pytest.mark.parametrize(
    ("payload", "ack"),
    [
        (b"\xff", None),
        (b"[]", None),
        (b'{"cmd":"say"}', None),
        (b'{"cmd_id":"x","cmd":"dance"}', "failed"),
        (b'{"cmd_id":"x","cmd":"say"}', "failed"),
        (b'{"cmd_id":"x","cmd":"receipt","ref":{"boot":true,"seq":1}}', "failed"),
        (b'{"cmd_id":"x","cmd":"say","text":"' + b"a" * 2000 + b'"}', None),
    ],
)
def test_bad_commands_change_nothing(bench: Bench, payload: bytes, ack: str | None) -> None:
    """Whatever the bytes, the state stays; with a readable cmd_id the answer is "failed"."""
    before = bench.state
    bench.give(out.CommandArrived(payload))
    assert bench.state == before
    assert [a["result"] for a in bench.acks()] == ([] if ack is None else [ack])


def test_config_takes_what_is_in_range_and_tells_the_new_status(bench: Bench) -> None:
    """hb_s of 60 is taken, a volume of 99 is not; the status names the new version."""
    cfg = {"cfg_v": 4, "hb_s": 60, "lang": "en", "volume": 99}
    outputs = bench.give(out.ConfigArrived(json.dumps(cfg).encode()))
    status = next(json.loads(o.payload) for o in outputs if isinstance(o, out.Publish))
    assert (status["cfg_v"], status["hb_s"]) == (4, 60)
    assert (bench.state.config.lang, bench.state.config.volume) == ("en", 7)
    assert bench.give(out.ConfigArrived(json.dumps(cfg).encode())) == ()


def test_a_server_that_is_back_gets_the_backlog_within_ten_seconds(bench: Bench) -> None:
    """The patient check-in does not wait five minutes once the server is known to be there."""
    pressed(bench, Kind.CHECKIN)
    bench.wait(301 * S)
    count = len(bench.events("checkin"))
    bench.give(out.ServerStateArrived(b'{"s":"online","since":1}'))
    bench.wait(10 * S)
    assert len(bench.events("checkin")) == count + 1


def test_a_flash_full_of_reports_makes_room_for_an_sos_and_never_the_reverse() -> None:
    """128 events: an old report goes for an SOS; among alarms only, nothing is dropped."""
    bench = Bench()
    for _ in range(128):
        pressed(bench, Kind.TAMPER)
    ref = pressed(bench, Kind.SOS)
    assert len(bench.flash.events) == 128
    for _ in range(127):
        pressed(bench, Kind.SOS)
    outputs = bench.give(out.Pressed(Kind.CHECKIN))
    assert not any(isinstance(o, out.Stored | out.Expired) for o in outputs)
    assert bench.flash.events[0].ref == ref
    assert {event.kind for event in bench.flash.events} == {Kind.SOS}


def test_a_late_tick_sends_once_for_all_it_missed(bench: Bench) -> None:
    """A driver that slept a minute must not fire a salvo."""
    pressed(bench)
    bench.now_ms += 62 * S
    bench.give(out.Tick())
    assert len(bench.events("sos")) == 2
    assert device.next_wakeup(bench.state, bench.now_ms) == T0 + 75 * S


def test_whatever_lies_in_flash_is_a_reason_to_write_it() -> None:
    """A step compares states by what they store, without making their images: no field of an image
    may be missing there, and each of them is noticed when it alone changes."""
    kept = {field.name for field in fields(FlashImage) if field.compare}
    assert set(STORED) == {"pending" if name == "events" else name for name in kept}
    before = Bench().state
    pressed = device.step(before, out.Pressed(Kind.SOS), T0).state
    changed = {
        "boot": 7, "seq": 9, "pending": pressed.pending, "alarm": pressed.alarm,
        "config": DeviceConfig(cfg_v=3), "keys": Keys("k", 1), "mains_told": False,
    }  # fmt: skip
    assert set(changed) == set(STORED)
    for name, value in changed.items():
        assert replace(before, **{name: value}).stores_more_than(before), name  # type: ignore[arg-type]
    assert not replace(before, rssi=-90, connected=True).stores_more_than(before)
    # Sent once more: another tuple, and the same events in it.
    again = replace(pressed, pending=tuple(replace(p, sends=4) for p in pressed.pending))
    assert not again.stores_more_than(pressed)
