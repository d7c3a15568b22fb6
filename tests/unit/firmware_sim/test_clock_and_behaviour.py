"""Virtual time, and residents that keep their habits."""

import heapq
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from firmware_sim import behaviour, clock
from firmware_sim.manifest import ManifestError, Profile, Round, TerminalEntry, parse
from firmware_sim.residents import Residents

TZ = ZoneInfo("Asia/Shanghai")
MORNING = Round("morning", time(4, 30), time(5, 45), time(6, 0))
EVENING = Round("evening", time(17, 30), time(18, 45), time(19, 0))


FLAT = {"id": "a", "password": "x", "building": 1, "flat": "1", "floor": 1}


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
        delays = [behaviour.answer_delay_ms(7, f"t-{n}", profile, 0, TZ) for n in range(1000)]
        answered = [delay for delay in delays if delay is not None]
        assert low <= len(answered) <= high
        assert all(0 < delay <= 300_000 for delay in answered)


def test_nobody_in_hospital_presses_anything_at_home() -> None:
    """Over eight weeks of one who is often there: no check-in, no answer to a chime and no trial on
    the sixteen days of the stays, and some of each on the others."""
    seen: dict[tuple[bool, str], int] = Counter()
    for n, day in product(range(40), range(56)):
        who, today = f"t-{n}", date(2026, 3, 1) + timedelta(days=day)
        noon_ms = at(f"{today}T12:00")
        home = behaviour.at_home(7, who, Profile.HOSPITAL, today)
        assert home != behaviour.in_hospital(7, who, today)
        (window,) = [w for w in behaviour.windows((MORNING,), TZ, at(f"{today}T05:00"))
                     if w.day == today]  # fmt: skip
        seen[home, "days"] += 1
        for what, pressed in (
            ("checkin", behaviour.checkin_ms(7, who, Profile.HOSPITAL, window)),
            ("answer", behaviour.answer_delay_ms(7, who, Profile.HOSPITAL, noon_ms, TZ)),
            ("trial", behaviour.trial_press_ms(7, who, Profile.HOSPITAL, today, TZ)),
        ):
            seen[home, what] += pressed is not None
    assert seen[False, "days"] == 40 * 16
    assert [seen[False, what] for what in ("checkin", "answer", "trial")] == [0, 0, 0]
    assert all(seen[True, what] for what in ("checkin", "answer", "trial"))


def test_calls_for_help_come_from_flats_with_somebody_in_them() -> None:
    """Of a house whose people are all away or often in hospital, over two days at a high rate: the
    terminals that call are those with somebody at home."""
    start_ms = at("2026-03-14T00:00")
    terminals = [
        {"id": f"t-{n}", "password": "x", "building": 1, "flat": str(n), "floor": 1,
         "profile": "away" if n % 4 == 0 else "hospital"}
        for n in range(40)
    ]  # fmt: skip
    town = parse({"tz": "Asia/Shanghai", "terminals": terminals})
    toy = ToyFleet(town.terminals, start_ms)
    residents = Residents(town, toy, 7, sos_per_hour=60.0)  # type: ignore[arg-type]
    residents.start()
    toy.run(start_ms + 2 * behaviour.DAY_MS)
    assert len(toy.pressed) > 1_000
    for at_ms, terminal in toy.pressed:
        day = behaviour.day_of(at_ms, TZ)
        assert behaviour.at_home(7, terminal, toy.entry(terminal).profile, day)


def test_a_round_is_planned_shortly_before_it_opens_and_kept_by_everybody() -> None:
    """600 regulars, two rounds a day: at midnight no check-in is planned yet, and over three days
    each of them presses once in each round, before its chime."""
    start_ms, everybody = at("2026-03-14T00:00"), 600
    toy = toy_town(everybody, start_ms)
    assert len(toy.heap) < everybody / 4  # trials of the day, and the next look
    toy.run(start_ms + 3 * behaviour.DAY_MS)
    kept = Counter(
        (behaviour.day_of(at_ms, TZ).day, each.name, terminal)
        for at_ms, terminal in toy.of("checkin")
        for each in (MORNING, EVENING)
        if each.opens <= datetime.fromtimestamp(at_ms / 1000, TZ).time() <= each.prompt
    )
    assert len(kept) == len(toy.of("checkin")) == 3 * 2 * everybody
    assert Counter(day for day, name, _ in kept if name == "evening") == {
        14: everybody, 15: everybody, 16: everybody,
    }  # fmt: skip
    trials = {behaviour.day_of(at_ms, TZ).day for at_ms, _ in toy.of("test")}
    assert trials == {14, 15, 16}


def test_a_start_within_a_round_draws_habits_a_few_hundred_at_a_time() -> None:
    """Begun at 05:10, when many have pressed already: the first few hundred are planned before the
    first line is dialled, the rest while they connect, and nobody's check-in is missing."""
    start_ms, everybody = at("2026-03-14T05:10"), 1_000
    toy = toy_town(everybody, start_ms)
    assert 200 < len(toy.heap) < 400
    toy.run(at("2026-03-14T05:45"))
    assert Counter(terminal for _, terminal in toy.of("checkin")) == {
        f"t-{n}": 1 for n in range(everybody)
    }


class ToyFleet:
    """Keeps time and notes who pressed; has no broker."""

    speed = 1.0

    def __init__(self, terminals: tuple[TerminalEntry, ...], now_ms: int) -> None:
        self.entries = {t.id: t for t in terminals}
        self.time_ms = now_ms
        self.heap: list[tuple[int, int, Callable[[], None]]] = []
        self.pressed: list[tuple[int, str]] = []
        self.kinds: list[str] = []
        self.planned = 0
        self.clock = self.timers = self

    def now_ms(self) -> int:
        return self.time_ms

    def watch(self, _watcher: object) -> None:
        return

    def entry(self, terminal: str) -> TerminalEntry:
        return self.entries[terminal]

    def at_ms(self, due_ms: int, call: Callable[[], None]) -> None:
        self.planned += 1
        heapq.heappush(self.heap, (due_ms, self.planned, call))

    def press(self, terminal: str, kind: str) -> None:
        self.pressed.append((self.time_ms, terminal))
        self.kinds.append(str(kind))

    def of(self, kind: str) -> list[tuple[int, str]]:
        return [
            press for press, its in zip(self.pressed, self.kinds, strict=True) if its == kind
        ]

    def run(self, until_ms: int) -> None:
        while self.heap and self.heap[0][0] < until_ms:
            self.time_ms, _, call = heapq.heappop(self.heap)
            call()


def toy_town(everybody: int, start_ms: int) -> ToyFleet:
    """A fleet of regulars that keep two rounds a day, just begun."""
    terminals = [
        {"id": f"t-{n}", "password": "x", "building": 1, "flat": str(n), "floor": 1,
         "profile": "regular"}
        for n in range(everybody)
    ]  # fmt: skip
    rounds = [
        {"name": each.name, "opens": f"{each.opens:%H:%M}", "prompt": f"{each.prompt:%H:%M}",
         "due": f"{each.due:%H:%M}"}
        for each in (MORNING, EVENING)
    ]  # fmt: skip
    town = parse({"tz": "Asia/Shanghai", "terminals": terminals, "rounds": rounds})
    toy = ToyFleet(town.terminals, start_ms)
    Residents(town, toy, 7).start()  # type: ignore[arg-type]
    return toy


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
        ({"terminals": [FLAT | {"link": "fibre"}]}, r"terminals\[0\].link: 'fibre' is none of"),
        ({"terminals": [FLAT | {"clock_ok": 1}]}, r"terminals\[0\].clock_ok"),
    ],
)
def test_a_bad_manifest_is_told_by_its_place(raw: dict[str, object], where: str) -> None:
    """The error names entry and field."""
    with pytest.raises(ManifestError, match=where):
        parse(raw)


def test_a_manifest_says_how_a_terminal_is_connected_and_whether_it_knows_the_time() -> None:
    """A whole fleet may stand on narrowband, or come out of the box with its clock unset."""
    plain, other = parse(
        {"terminals": [FLAT, FLAT | {"id": "b", "link": "nb_iot", "clock_ok": False,
                                     "clock_cell": False}]}
    ).terminals  # fmt: skip
    assert (plain.link, plain.clock_ok, plain.clock_cell) == ("clear", True, True)
    assert (other.link, other.clock_ok, other.clock_cell) == ("nb_iot", False, False)
