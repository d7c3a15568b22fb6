"""A missing program skips a test at home and fails it in CI."""

import parts
import pytest


def test_a_missing_part_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CI=true a run without Mosquitto is red, and says what to install."""
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(parts, "find", lambda _part: None)
    with pytest.raises(pytest.fail.Exception, match="apt-get install mosquitto"):
        parts.require("mosquitto")


def test_a_missing_part_is_a_skip_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CI the test is skipped, and says what to install."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(parts, "find", lambda _part: None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        parts.require("chromium")
