"""The units of xunlou/deploy/systemd: complete, confined, and calling commands that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from xunlou.cli import _parser

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "xunlou" / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
CONFINED = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict",
    "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "ProtectClock": "yes",
    "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
    "SystemCallArchitectures": "native", "UMask": "0077", "User": "xunlou",
}  # fmt: skip


def told(unit: Path) -> dict[str, list[str]]:
    """Every directive of a unit with its values, in order."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", SERVICES, ids=lambda u: u.name)
def test_a_unit_may_do_what_it_must_and_no_more(unit: Path) -> None:
    """An account of its own, no rights to gain, and nothing to write but its own directories."""
    directives = told(unit)
    for key, value in CONFINED.items():
        assert directives.get(key) == [value], key
    writes = {*directives.get("ReadWritePaths", [""])[0].split(),
              *(f"/var/lib/{d}" for d in directives.get("StateDirectory", []))}  # fmt: skip
    assert writes <= {"/var/lib/xunlou", "/var/backups/xunlou"}


def test_the_house_comes_back_whatever_ended_it() -> None:
    """Always, soon, and however often."""
    directives = told(UNITS / "xunlou.service")
    assert directives["Restart"] == ["always"]
    assert directives["StartLimitIntervalSec"] == ["0"]
    assert float(directives["RestartSec"][0]) <= 5
    assert directives["WantedBy"] == ["multi-user.target"]
    assert "network-online.target" in directives["After"][0]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda u: u.name)
def test_a_unit_calls_a_command_that_exists(unit: Path) -> None:
    """With options that the command knows: a misspelt one would be found by nobody until then."""
    calls = [words for line in told(unit)["ExecStart"]
             for words in re.findall(r"\.venv/bin/xunlou ([^']+)", line)]  # fmt: skip
    assert calls
    for words in calls:
        _parser().parse_args(shlex.split(words.replace("$(", "(").replace("%%", "%")))


def test_the_drop_in_of_the_documentation_replaces_the_line_with_one_that_exists() -> None:
    """The door for terminals is opened beside the unit: the unit's own call, and more words."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    drop_in = page.partition("tls.conf <<'EOF'\n")[2].partition("EOF")[0]
    lines = re.findall(r"^ExecStart=(.*)$", drop_in, re.MULTILINE)
    (own,) = told(UNITS / "xunlou.service")["ExecStart"]
    assert lines[0] == "", "systemd would run both"
    assert lines[1].startswith(f"{own} --tls-name ")
    words = _parser().parse_args(shlex.split(lines[1].partition(" ")[2]))
    assert len(words.tls_name) == 2


def test_systemd_itself_has_nothing_to_say(tmp_path: Path) -> None:
    """`systemd-analyze verify` and its judgement of the exposure, where it is installed; a machine
    without systemd runs no unit, and what it would say is in the tests above."""
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8").replace("/opt/xunlou/.venv/bin/xunlou", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    program = shutil.which("systemd-analyze")
    if program is None:
        return
    units = [str(p) for p in sorted(tmp_path.iterdir())]
    verified = subprocess.run(
        [program, "verify", "--man=no", *units], capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    ours = [line for line in verified.stderr.splitlines() if "xunlou" in line]
    assert ours == []
    for unit in SERVICES:
        judged = subprocess.run(
            [program, "security", "--offline=yes", "--threshold=25", str(tmp_path / unit.name)],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert judged.returncode == 0, judged.stdout.splitlines()[-1:]
