"""The demo never texts or rings anybody real, whatever accounts the shell knows."""

from pathlib import Path

import pytest

from server.settings import Settings
from xunlou.demo import Demo, Options
from xunlou.keys import Keys


def test_no_account_of_the_shell_reaches_the_demos_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First and second provider are set where somebody works; the demo's server knows its stand-in
    alone."""
    for part in ("", "BACKUP_"):
        for name in ("ACCOUNT_SID", "AUTH_TOKEN", "FROM_NUMBER", "API_BASE_URL"):
            monkeypatch.setenv(f"TWILIO_{part}{name}", "real")
    demo = Demo(Options(directory=tmp_path, port=0, mqtt_port=1883), Keys.fresh())
    environment = demo.place.environment()
    assert "real" not in environment.values()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.has_sms
    assert not settings.has_backup
    assert settings.twilio_api_base_url.startswith("http://127.0.0.1:")
