"""When a battery will be flat: a table of daily readings."""

from collections.abc import Sequence

import pytest

from server.core.battery import CLEAR_DAYS, SOON_DAYS, Forecast, Outlook, Sample, foresee

TODAY = 20_526


def days(levels: Sequence[int | None], mains: bool | None = None) -> list[Sample]:
    """One reading a day, the last of them today; None is a day without."""
    first = TODAY - len(levels) + 1
    return [Sample(first + i, v, mains) for i, v in enumerate(levels) if v is not None]


def falling(a_day: float, to: float, count: int = 14) -> list[int]:
    """Levels that fall so much a day and end at `to`."""
    return [round(to + a_day * (count - 1 - i)) for i in range(count)]


@pytest.mark.parametrize(
    ("levels", "outlook", "days_left"),
    [
        ([], Outlook.TOO_LITTLE, None),
        ([50], Outlook.TOO_LITTLE, None),
        ([54, 53, 52, 51, 50, 49], Outlook.TOO_LITTLE, None),  # six days are no trend
        ([60, None, None, None, None, None, None, None, 50], Outlook.TOO_LITTLE, None),
        (falling(1, 40), Outlook.FALLING, 30),
        (falling(2, 40), Outlook.FALLING, 15),
        (falling(2, 30), Outlook.FALLING, 10),
        (falling(5, 15), Outlook.FALLING, 1),
        (falling(0, 80), Outlook.STEADY, None),
        (falling(0.1, 40), Outlook.STEADY, None),
        (falling(-1, 90), Outlook.STEADY, None),  # it is being charged
        ([12, 11, 11, 10, 10, 10, 9, 9], Outlook.FLAT, 0),
        ([8, 8], Outlook.TOO_LITTLE, None),  # two readings may be wrong
    ],
)
def test_days_left(levels: list[int | None], outlook: Outlook, days_left: int | None) -> None:
    """A steady fall is foreseen to the day, give or take one; too little says so."""
    forecast = foresee(days(levels), TODAY)
    assert forecast.outlook is outlook
    if days_left is None:
        assert forecast.days_left is None
    else:
        assert forecast.days_left == pytest.approx(days_left, abs=1)


def test_wrong_readings_do_not_move_it() -> None:
    """Zeroes, hundreds and gaps among a month of readings change it by days, not weeks."""
    levels: list[int | None] = list(falling(1, 40, 30))
    straight = foresee(days(levels), TODAY).days_left
    for i, wrong in ((3, 0), (9, 100), (14, None), (15, None), (20, 0), (26, 100)):
        levels[i] = wrong
    crooked = foresee(days(levels), TODAY)
    assert crooked.outlook is Outlook.FALLING
    assert straight is not None
    assert crooked.days_left == pytest.approx(straight, abs=4)


def test_readings_older_than_a_month_do_not_count() -> None:
    """What the battery did in another season says little of it now."""
    old = [Sample(TODAY - 31 - i, 100) for i in range(20)]
    assert foresee([*old, Sample(TODAY, 50)], TODAY).outlook is Outlook.TOO_LITTLE


def test_a_replaced_battery_is_judged_by_its_own_readings() -> None:
    """Two high readings in a row are a new battery: the warning is over, the new one is watched
    from its first day, and a replacement of long ago does not count again."""
    low = falling(2, 16)
    assert foresee(days(low), TODAY).soon
    once = foresee(days([*low, 100]), TODAY)
    assert (once.outlook, once.soon, once.clear) == (Outlook.TOO_LITTLE, False, False)
    twice = foresee(days([*low, 100, 99]), TODAY)
    assert (twice.outlook, twice.replaced, twice.clear) == (Outlook.TOO_LITTLE, True, True)
    week = foresee(days([*low, *falling(3, 76, 9)]), TODAY)
    assert (week.outlook, week.replaced) == (Outlook.FALLING, True)
    assert week.days_left == pytest.approx(22, abs=1)


def test_one_high_reading_ends_no_warning() -> None:
    """A wrong reading in the middle is no replacement."""
    forecast = foresee(days([*falling(2, 30, 8), 100, *falling(2, 16, 6)]), TODAY)
    assert (forecast.soon, forecast.replaced) == (True, False)


def test_a_power_cut_is_no_old_battery() -> None:
    """A terminal that lives on mains empties its battery in a power cut: that is the power's
    trouble, and those days do not count."""
    well = days(falling(0, 100, 14), mains=True)
    cut = [Sample(TODAY - 2, 60, False), Sample(TODAY - 1, 30, False), Sample(TODAY, 15, False)]
    before = [s for s in well if s.day < TODAY - 2]
    assert foresee([*before, *cut], TODAY).outlook is Outlook.STEADY
    assert foresee(days(falling(2, 30), mains=False), TODAY).soon


@pytest.mark.parametrize(
    ("forecast", "soon", "clear"),
    [
        (Forecast(Outlook.FALLING, 40, SOON_DAYS), True, False),
        (Forecast(Outlook.FALLING, 40, SOON_DAYS + 1), False, False),
        (Forecast(Outlook.FALLING, 40, CLEAR_DAYS), False, False),
        (Forecast(Outlook.FALLING, 40, CLEAR_DAYS + 1), False, True),
        (Forecast(Outlook.STEADY, 90), False, True),
        (Forecast(Outlook.TOO_LITTLE), False, False),
        (Forecast(Outlook.TOO_LITTLE, 100, None, True), False, True),
        (Forecast(Outlook.FLAT, 5, 0), False, False),  # too late to foresee; the warning stays
    ],
)
def test_a_warning_begins_and_ends_at_different_levels(
    forecast: Forecast, soon: bool, clear: bool
) -> None:
    """It comes at two weeks and goes above three, so that noise does not ring it on and off."""
    assert (forecast.soon, forecast.clear) == (soon, clear)
