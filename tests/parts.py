"""Programs of the machine that some tests need: found, or the test is skipped with what to install.

With CI=true a missing one is a failure: a green run must never mean "not looked at".
"""

import os
import shutil
from pathlib import Path
from typing import Final, Literal, NoReturn

import pytest

Part = Literal["mosquitto", "mosquitto_pub", "mosquitto_passwd", "chromium", "cjk_fonts", "openssl"]

# /usr/sbin is not on an ordinary user's PATH.
_PATH: Final = os.pathsep.join(
    (os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")
)
_PROGRAMS: Final[dict[Part, tuple[str, ...]]] = {
    "mosquitto": ("mosquitto",),
    "mosquitto_pub": ("mosquitto_pub",),
    "mosquitto_passwd": ("mosquitto_passwd",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "openssl": ("openssl",),
}
_PACKAGES: Final[dict[Part, str]] = {
    "mosquitto": "mosquitto",
    "mosquitto_pub": "mosquitto-clients",
    "mosquitto_passwd": "mosquitto",
    "chromium": "chromium",
    "cjk_fonts": "fonts-noto-cjk",
    "openssl": "openssl",
}


def find(part: Part) -> str | None:
    """Path of a part, or None."""
    if part == "cjk_fonts":
        fonts = Path("/usr/share/fonts").rglob("*")
        return next((str(p) for p in fonts if "cjk" in p.name.lower()), None)
    found = (shutil.which(name, path=_PATH) for name in _PROGRAMS[part])
    return next((path for path in found if path is not None), None)


def missing(part: Part) -> NoReturn:
    """End the test: skipped, or failed in CI."""
    words = f"{part} is not installed: apt-get install {_PACKAGES[part]}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{words} (CI=true, so this is no skip)", pytrace=False)
    pytest.skip(words)


def require(part: Part) -> str:
    """Path of a part; without it the test ends here."""
    path = find(part)
    if path is None:
        missing(part)
    return path
