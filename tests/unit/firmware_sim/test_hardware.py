"""The parts of a terminal: keys that bounce, a detector that errs, clocks, cells, releases."""

import itertools
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from firmware_sim import behaviour, device, keys
from firmware_sim import outputs as out
from firmware_sim.battery import LOW_AT, Battery
from firmware_sim.clock import SharedClock
from firmware_sim.flash import FlashImage, Led
from firmware_sim.manifest import Profile
from firmware_sim.residents import Residents
from firmware_sim.state import State, Traits, own_time_ms, rssi_now
from firmware_sim.wire import Kind, Ref
from server.clock import Clock

T0 = 1_760_000_000_000
H = 3_600_000
Edge = tuple[keys.Button, bool, int]
RED, GREEN = keys.Button.RED, keys.Button.GREEN


def fresh(**traits: object) -> State:
    """A terminal that has just been switched on, on the line."""
    state = device.power_on("t-1", Traits(**traits), FlashImage(), T0).state  # type: ignore[arg-type]
    return device.step(state, out.Connected(), T0).state


def played(state: State, edges: list[Edge]) -> tuple[State, list[Kind]]:
    """Give the edges at their offsets, waking the terminal when it asks; what was stored."""
    stored: list[Kind] = []

    def give(event: out.Input, now_ms: int) -> None:
        nonlocal state
        done = device.step(state, event, now_ms)
        state = done.state
        stored.extend(o.kind for o in done.outputs if isinstance(o, out.Stored))

    for button, down, at_ms in [*edges, (RED, False, 20_000)]:
        while (due := device.next_wakeup(state, T0)) is not None and due < T0 + at_ms:
            give(out.Tick(), due)
        if at_ms < 20_000:
            give(out.KeyMoved(button, down, T0 + at_ms), T0 + at_ms)
    return state, stored


def press(button: keys.Button, held_ms: int, bounces: int = 0) -> list[Edge]:
    """A finger, with a contact that bounces at both ends."""
    edges = [(button, n % 2 == 0, 4 * n) for n in range(2 * bounces)]
    edges.append((button, True, 8 * bounces))
    end = 8 * bounces + held_ms
    edges += [(button, n % 2 == 1, end + 4 * n) for n in range(2 * bounces)]
    return [*edges, (button, False, end + 8 * bounces)]


@pytest.mark.parametrize(
    ("edges", "kinds"),
    [
        (press(RED, 200), [Kind.SOS]),
        (press(RED, 200, bounces=5), [Kind.SOS]),
        (press(RED, 9_000), [Kind.SOS]),  # panic: holding on takes nothing back
        (press(RED, 10), []),  # a knock on the case is no press
        (press(GREEN, 200, bounces=3), [Kind.CHECKIN]),
        (press(GREEN, 3_500), [Kind.TEST]),
        (press(GREEN, 3_500, bounces=5), [Kind.TEST]),
        ([(RED, n % 2 == 0, 10 * n) for n in range(60)], [Kind.SOS]),  # worn: it only chatters
        (
            [*press(RED, 200), (GREEN, True, 2_000), (GREEN, False, 6_000)],
            [Kind.SOS, Kind.SOS_CANCEL],
        ),
    ],
)  # fmt: skip
def test_what_a_finger_means(edges: list[Edge], kinds: list[Kind]) -> None:
    """One press is one event, however the contact bounces."""
    state, stored = played(fresh(), edges)
    assert stored == kinds
    assert not state.red.down
    assert not state.green.down


@pytest.mark.parametrize(
    ("peak_g", "still", "falls"), [(3.6, True, True), (2.1, True, False), (4.0, False, False)]
)
def test_a_hard_chair_is_no_fall(peak_g: float, still: bool, falls: bool) -> None:
    """A blow and stillness together are a fall."""
    done = device.step(fresh(), out.Impact(peak_g, still), T0)
    assert (done.state.led is Led.SENDING) is falls


def test_the_detector_errs_as_real_ones_do() -> None:
    """Some falls go past it, some chairs and most dropped pendants do not; repeatably."""

    def called(kind: str) -> float:
        return sum(behaviour.blow(314, n, kind) >= 2.8 for n in range(2_000)) / 2_000

    assert 0.8 < called("fall") < 0.98
    assert 0.01 < called("sits_down_hard") < 0.1
    assert called("drops_it") > 0.9
    assert behaviour.blow(314, 7, "fall") == behaviour.blow(314, 7, "fall")


def test_a_watchdog_ends_a_hang_and_nothing_in_flash_is_lost() -> None:
    """Hung, it hears nothing; eight seconds later it starts again with its press."""
    state = device.step(fresh(), out.Pressed(Kind.SOS), T0).state
    hung = device.step(state, out.Hang(), T0).state
    assert device.step(hung, out.Pressed(Kind.CHECKIN), T0 + 1).state == hung
    assert device.next_wakeup(hung, T0) == T0 + 8_000
    assert device.step(hung, out.Tick(), T0 + 7_999).outputs == (out.Ignored("hung"),)
    assert device.step(hung, out.Tick(), T0 + 8_000).outputs == (out.Reboot("watchdog"),)
    again = device.power_on("t-1", Traits(), hung.image, T0 + 11_000).state
    assert [p.event.ref for p in again.pending] == [Ref(1, 1)]
    assert again.boot == 2


def test_what_happens_during_a_hang_is_found_after_it() -> None:
    """The program looped while the plug was pulled, the room grew cold and the clock was lost. It
    starts anew on these facts, and tells of the plug, which nobody has heard of."""
    hung = device.step(fresh(), out.Hang(), T0).state
    for event in (
        out.MainsChanged(False), out.TemperatureRead(-5), out.BatterySet(60), out.ClockMoved(None),
        out.RadioRead(-97, 5), out.ClockDrifts(200),
    ):  # fmt: skip
        done = device.step(hung, event, T0 + 1_000)
        assert done.outputs == ()
        hung = done.state
    started = device.power_on("t-1", Traits(), hung.image, T0 + 11_000, hung.hardware)
    state = started.state
    assert (state.battery.mains, state.battery.temp_c, state.battery.level_pct) == (False, -5, 60)
    assert (state.clock_ok, state.drift_ppm) == (False, 200)
    assert (state.rssi, state.rssi_spread) == (-97, 5)
    assert [p.event.kind for p in state.pending] == [Kind.MAINS_LOST]
    assert started.outputs[0] == out.Persist(state.image)
    again = device.power_on("t-1", Traits(), state.image, T0 + 20_000, state.hardware).state
    assert len(again.pending) == 1  # once


def test_a_power_cut_cures_no_clock() -> None:
    """Its coin cell keeps it as it was, unset or jumped; a board without one forgets the time, and
    a restart by the watchdog costs nobody the time."""
    jumped = device.step(fresh(), out.ClockMoved(86_400_000), T0).state.hardware
    assert jumped.without_power(clock_cell=True) == jumped
    dark = device.power_on("t-1", Traits(), FlashImage(boot=1), T0 + H, jumped).state
    assert own_time_ms(dark, T0 + H) == T0 + H + 86_400_000
    assert not jumped.without_power(clock_cell=False).clock_ok


def test_the_first_start_after_a_blackout_says_that_the_mains_are_back() -> None:
    """Its battery was empty when they came: it could not tell then."""
    lost = device.step(fresh(), out.MainsChanged(False), T0).state
    facts = lost.hardware.after(out.MainsChanged(True), T0 + 90 * H)
    back = device.power_on("t-1", Traits(), lost.image, T0 + 90 * H, facts).state
    assert [p.event.kind for p in back.pending] == [Kind.MAINS_LOST, Kind.MAINS_RESTORED]


def test_a_clock_drifts_until_it_is_set() -> None:
    """A hundred parts a million are 8.6 s a day; `time` sets it right, and it drifts on."""
    state = fresh(drift_ppm=100)
    day = T0 + 24 * H
    assert own_time_ms(state, day) - day == 8_640
    command = b'{"cmd_id":"c","cmd":"time","now":%d}' % day
    state = device.step(state, out.CommandArrived(command), day).state
    assert own_time_ms(state, day) == day
    assert own_time_ms(state, day + 24 * H) - day - 24 * H == 8_640
    slow = device.step(state, out.ClockDrifts(-1000), day).state
    assert own_time_ms(slow, day + H) - day - H == -3_600


def test_a_battery_works_harder_in_the_cold_and_while_it_calls() -> None:
    """A day at rest; less with buzzer and radio, less in the cold; no charge below 0 °C."""
    rest = Battery(since_ms=0, mains=False)
    cold = rest.at_temperature(-10, 0)
    busy = rest.working(2.5, 0)
    assert rest.at(12 * H) == pytest.approx(50)
    assert cold.at(12 * H) == pytest.approx(35)
    assert busy.at(6 * H) == pytest.approx(37.5)
    assert cold.reaches_ms(20) < rest.reaches_ms(20)  # type: ignore[operator]
    assert cold.switched(True, 12 * H).at(20 * H) == pytest.approx(35)
    unplugged = device.step(fresh(), out.MainsChanged(False), T0).state
    calling = device.step(unplugged, out.Pressed(Kind.SOS), T0).state
    assert calling.battery.load > unplugged.battery.load


def test_signal_wanders_around_what_the_radio_hears() -> None:
    """Within its spread, the same for the same minute, and on the wire."""
    state = device.step(fresh(), out.RadioRead(-97, 5), T0).state
    seen = {rssi_now(state, T0 + n * 60_000) for n in range(200)}
    assert seen == set(range(-102, -91))
    assert rssi_now(state, T0) == rssi_now(state, T0 + 1)


def test_an_older_release_says_that_it_does_not_know_a_word() -> None:
    """0.9 beside 1.0: `say` fails on one and is spoken by the other."""
    say = b'{"cmd_id":"c","cmd":"say","text":"\xe6\x82\xa8\xe5\xa5\xbd"}'
    for fw, result in (("0.9", b"failed"), ("1.0", b"shown")):
        done = device.step(fresh(fw=fw), out.CommandArrived(say), T0)
        (ack,) = [o for o in done.outputs if isinstance(o, out.Publish)]
        assert result in ack.payload


def test_people_who_are_often_in_hospital() -> None:
    """Eight days of each four weeks, in one stretch; nobody checks in then."""
    days = [date.fromordinal(739_000 + n) for n in range(56)]
    there = [behaviour.in_hospital(1, "t-1", day) for day in days]
    assert sum(there) == 16
    assert sum(a != b for a, b in itertools.pairwise(there)) <= 4
    day = days[there.index(True)]
    window = behaviour.Window("m", day, 0, H, 2 * H)
    assert behaviour.checkin_ms(1, "t-1", Profile.HOSPITAL, window) is None


def test_a_moved_clock_moves_server_and_terminals_alike(tmp_path: Path) -> None:
    """One file is the time of all processes; a damaged one changes nothing."""
    file = tmp_path / "clock"
    real_s = time.time()
    file.write_text(f"{real_s},{real_s},1.0")
    ours, theirs = SharedClock(file), Clock.parse(f"@{file}")
    ours.move(by_s=7_200, speed=30)
    assert theirs.now() > datetime.fromtimestamp(real_s + 7_199, UTC)
    assert (ours.speed, theirs.speed) == (30, 30)
    with pytest.raises(ValueError, match="above 0"):
        ours.move(speed=0)
    file.write_text("half a ti")
    assert theirs.now() > datetime.fromtimestamp(real_s + 7_199, UTC)
    assert ours.speed == 30
    with pytest.raises(ValueError, match="XUNLOU_CLOCK"):
        Clock.parse(f"@{tmp_path / 'nothing'}")


def test_a_rate_that_ramps_rises_from_nothing() -> None:
    """Of the calls in the first tenth of an hour's ramp few happen; after it, all do."""
    people = Residents(None, None, 1, ramp_s=3600)  # type: ignore[arg-type]

    def share(at_s: int) -> float:
        plans = [behaviour.SosPlan(n, at_s * 1000, "t-1") for n in range(500)]
        return sum(people._ramped_up("sos", plan) for plan in plans) / 500

    assert share(0) == 0
    assert 0.05 < share(360) < 0.15
    assert share(3600) == 1


def test_a_terminal_without_its_battery_lives_on_the_mains_and_not_a_moment_longer() -> None:
    """Taken out on the mains: it goes on, and reads 0 %. When the mains go it is dark at once and
    could tell nobody, hung or not. The battery keeps its charge meanwhile."""
    half = device.step(fresh(), out.BatterySet(50), T0).state
    without = device.step(half, out.BatteryFitted(False), T0)
    assert without.outputs == ()
    assert without.state.battery.at(T0 + H) == 0
    assert device.next_wakeup(without.state, T0) == device.next_wakeup(half, T0)
    for state in (without.state, device.step(without.state, out.Hang(), T0).state):
        dark = device.step(state, out.MainsChanged(False), T0 + H)
        assert dark.outputs == (out.PowerOff(),)
        assert dark.state.pending == ()
    back = dark.state.hardware.after(out.BatteryFitted(True), T0 + 9 * H)
    assert back.battery.at(T0 + 9 * H) == 50
    on_battery = device.step(half, out.MainsChanged(False), T0).state
    assert device.step(on_battery, out.BatteryFitted(False), T0).outputs == (out.PowerOff(),)


def test_a_fresh_battery_makes_a_low_one_news_again() -> None:
    """It was told as low; another is put in, and its fall is told as well."""
    low = device.step(fresh(), out.MainsChanged(False), T0).state
    low = device.step(low, out.BatterySet(LOW_AT - 1), T0).state
    low = device.step(low, out.Tick(), T0 + 1).state
    assert low.battery.low_told
    on_mains = device.step(low, out.MainsChanged(True), T0 + 2).state
    empty = device.step(on_mains, out.BatteryFitted(False), T0 + 3).state
    same = device.step(empty, out.BatteryFitted(True), T0 + 4).state
    assert same.battery.low_told
    full = device.step(device.step(empty, out.BatterySet(90), T0 + 4).state,
                       out.BatteryFitted(True), T0 + 5).state  # fmt: skip
    assert not full.battery.low_told
