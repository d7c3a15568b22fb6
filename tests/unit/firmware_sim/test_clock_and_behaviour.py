"""Virtual time, and residents that keep their habits."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from firmware_sim import behaviour, clock
from firmware_sim.manifest import ManifestError, Profile, Round, parse

TZ = ZoneInfo("Asia/Shanghai")
MORNING = Round("morning", time(4, 30), time(5, 45), time(6, 0))
EVENING = Round("evening", time(17, 30), time(18, 45), time(19, 0))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=TZ).timestamp() * 1000)


def test_the_virtual_clock_runs_at_its_speed_from_the_anchor() -> None:
    """Ten real seconds at speed 60 are ten virtual minutes, and back."""
    scaled = clock.ScaledClock(1000, 5000, 60, real_now_s=lambda: 1010.0)
    assert scaled.now_ms() == (5000 + 600) * 1000
    assert scaled.real_delay_s((5000 + 1200) * 1000) == pytest.approx(10)
    assert scaled.real_delay_s(0) == 0


@pytest.mark.parametrize("text", ["x", "1,2", "1,2,0", "1,2,-1", "1,2,nan", "1,2,inf"])
def test_a_bad_clock_setting_says_what_it_should_be(text: str) -> None:
    """The message names the variable and its form."""
    with pytest.raises(clock.ClockSettingError, match="XUNLOU_CLOCK must be"):
        clock.from_text(text)


def test_an_empty_setting_is_real_time() -> None:
    """Unset or empty: speed 1, anchored nowhere else."""
    assert clock.from_env({}) == clock.from_text(" ") == clock.ScaledClock()


def test_windows_begin_with_the_open_one() -> None:
    """At 05:00 this morning's round is open; at 06:00 sharp it is over."""
    open_now = behaviour.windows((MORNING, EVENING), TZ, at("2026-03-14T05:00"))
    assert [(w.name, w.day) for w in open_now][:2] == [
        ("morning", date(2026, 3, 14)),
        ("evening", date(2026, 3, 14)),
    ]
    assert open_now[0].due_ms == at("2026-03-14T06:00")
    over = behaviour.windows((MORNING, EVENING), TZ, at("2026-03-14T06:00"))
    assert over[0].name == "evening"


def test_profiles_keep_the_round_as_their_names_say() -> None:
    """Of 1,000 each: early before regular, all of them; forgetful in part; away never."""
    window = behaviour.windows((MORNING,), TZ, at("2026-03-14T05:00"))[0]
    times: dict[Profile, list[int]] = {}
    for profile in Profile:
        drawn = (behaviour.checkin_ms(7, f"t-{n}", profile, window) for n in range(1000))
        times[profile] = sorted(t for t in drawn if t is not None)
    assert len(times[Profile.EARLY]) == len(times[Profile.REGULAR]) == 1000
    assert times[Profile.EARLY][500] < times[Profile.REGULAR][500]
    assert 600 < len(times[Profile.FORGETFUL]) < 800
    assert times[Profile.AWAY] == []
    everyone = [t for drawn in times.values() for t in drawn]
    assert window.opens_ms <= min(everyone)
    assert max(everyone) <= window.prompt_ms


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    """A run can be repeated."""
    window = behaviour.windows((MORNING,), TZ, at("2026-03-14T05:00"))[0]

    def day(seed: int) -> list[int | None]:
        return [behaviour.checkin_ms(seed, f"t-{n}", Profile.FORGETFUL, window) for n in range(50)]

    assert day(1) == day(1) != day(2)


def test_calls_for_help_come_at_their_rate() -> None:
    """At 60 an hour, 600 calls take about ten hours; at 0 there are none."""
    at_ms = 0
    for number in range(600):
        plan = behaviour.next_sos(7, number, ("a", "b"), 60.0, at_ms)
        assert plan is not None
        assert plan.at_ms >= at_ms
        at_ms = plan.at_ms
    assert 8.5 < at_ms / 3_600_000 < 11.5
    assert behaviour.next_sos(7, 0, ("a",), 0.0, 0) is None


def test_most_answer_the_chime_and_the_away_never() -> None:
    """Shares by profile, and never later than five minutes."""
    for profile, low, high in [
        (Profile.REGULAR, 850, 950),
        (Profile.FORGETFUL, 530, 670),
        (Profile.AWAY, 0, 0),
    ]:
        delays = [behaviour.answer_delay_ms(7, f"t-{n}", profile, 0) for n in range(1000)]
        answered = [delay for delay in delays if delay is not None]
        assert low <= len(answered) <= high
        assert all(0 < delay <= 300_000 for delay in answered)


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"tz": "Mars/Base"}, "tz"),
        ({"terminals": [{"id": "A B", "password": "x"}]}, r"terminals\[0\].id"),
        (
            {"terminals": [{"id": "a", "password": "x", "building": "1", "flat": "1", "floor": 1}]},
            r"terminals\[0\].building",
        ),
        (
            {"rounds": [{"name": "m", "opens": "06:00", "prompt": "05:45", "due": "06:00"}]},
            r"rounds\[0\]",
        ),
        ({"phones": [{"number": 1}]}, r"phones\[0\].number"),
    ],
)
def test_a_bad_manifest_is_told_by_its_place(raw: dict[str, object], where: str) -> None:
    """The error names entry and field."""
    with pytest.raises(ManifestError, match=where):
        parse(raw)
