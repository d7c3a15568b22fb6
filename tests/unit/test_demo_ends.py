"""When a demo that was given a time ends."""

from pathlib import Path

import pytest

from xunlou import demo
from xunlou.keys import Keys


def a_demo(tmp_path: Path, for_s: float | None) -> demo.Demo:
    return demo.Demo(demo.Options(for_s=for_s, directory=tmp_path / "demo", port=0), Keys.fresh())


def test_it_goes_on_for_so_long_from_the_start_of_its_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs sooner than expected waits for the start; what runs later gets all of its time."""
    at_s = [1_000_000.0]
    monkeypatch.setattr(demo.time, "time", lambda: at_s[0])
    one = a_demo(tmp_path, 45)
    (tmp_path / "demo" / demo.SWITCHES).mkdir(parents=True)
    one._set_clock(15)
    at_s[0] += 3
    assert one.left_s() == 12 + 45
    at_s[0] += 60
    assert one.left_s() == 45


def test_without_a_time_it_goes_on(tmp_path: Path) -> None:
    assert a_demo(tmp_path, None).left_s() is None
