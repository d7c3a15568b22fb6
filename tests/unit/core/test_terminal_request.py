"""Claims about what a terminal is answered when its resident asks for help that can wait."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.core import terminal_request
from server.core.help_requests import Want, due_at

GZ = ZoneInfo("Asia/Shanghai")
T0 = datetime(2026, 3, 14, 9, 0, tzinfo=GZ)


@pytest.mark.parametrize(
    ("want", "at", "said"),
    [
        (Want.REPAIR, T0, "已登记:小修,最迟3月14日办。"),
        (Want.REPAIR, T0.replace(hour=16), "已登记:小修,最迟3月15日办。"),  # the office has closed
        (Want.ERRAND, T0, "已登记:跑腿代办,最迟3月15日办。"),
        (Want.HAIRCUT, T0, "已登记:理发,最迟3月21日办。"),
        (Want.WISH, T0, "已登记:心愿,最迟4月13日办。"),
        (Want.OTHER, T0, "已登记:有事要办,最迟3月17日办。"),
    ],
)
def test_the_resident_hears_the_last_day(want: Want, at: datetime, said: str) -> None:
    """The day by whose end it is due, in the community's time, and what to do when it is urgent."""
    answer = terminal_request.answer(want, due_at(want, at, GZ), at, GZ)
    assert answer == f"{said}急事请按报警键。"


def test_a_day_that_has_passed_is_not_promised_again() -> None:
    """Pressed again when the day that was named is over."""
    due = due_at(Want.REPAIR, T0, GZ)
    assert "最迟" in terminal_request.answer(Want.REPAIR, due, due - timedelta(seconds=1), GZ)
    assert "过了期限" in terminal_request.answer(Want.REPAIR, due, due, GZ)


@pytest.mark.parametrize("want", list(Want))
def test_the_register_has_both_languages(want: Want) -> None:
    """And does not claim that anybody said more than a key can say."""
    zh, en = terminal_request.NAMES[want]
    assert terminal_request.words(want) == f"终端按键:{zh}(pressed: {en})"
