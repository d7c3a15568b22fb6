"""The words of a help request that came by a terminal's key. Pure.

What the terminal says is for the resident: Chinese, as all that a terminal is told to say. What
stands in the register is for the office, in both languages.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from server.core.help_requests import Want

NAMES: Final[Mapping[Want, tuple[str, str]]] = {
    Want.ERRAND: ("跑腿代办", "errand"),
    Want.REPAIR: ("小修", "repair"),
    Want.HAIRCUT: ("理发", "haircut"),
    Want.WISH: ("心愿", "wish"),
    Want.COMPLAINT: ("意见", "complaint"),
    Want.OTHER: ("有事要办", "something else"),
}
IN_TIME: Final = "已登记:{want},最迟{month}月{day}日办。急事请按报警键。"
OVERDUE: Final = "已登记过:{want},过了期限,值班室看得到。急事请按报警键。"


def words(want: Want) -> str:
    """What stands in the register: which key it was. Nobody has said more."""
    zh, en = NAMES[want]
    return f"终端按键:{zh}(pressed: {en})"


def answer(want: Want, due_at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """What the terminal says: that it is written down, and the last day on which it is due."""
    if now >= due_at:
        return OVERDUE.format(want=NAMES[want][0])
    last = (due_at - timedelta(milliseconds=1)).astimezone(zone)
    return IN_TIME.format(want=NAMES[want][0], month=last.month, day=last.day)
