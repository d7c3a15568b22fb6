"""What `.ci/setup` says to somebody whose machine lacks something."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script reads, in which it may do as it likes."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "setup", tmp_path / ".ci" / "setup")
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
    return tmp_path


def setup(
    checkout: Path, *words: str, python: str | Path = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run the script; apt is never called."""
    return subprocess.run(
        ["sh", ".ci/setup", *words],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "PYTHON": str(python), "XUNLOU_APT": "no"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def fake_python(checkout: Path, *, has_venv: bool) -> Path:
    """A Python of a suitable version without pip, and perhaps without venv."""
    script = checkout / "fake-python"
    venv = "exit 0" if has_venv else "exit 1"
    script.write_text(
        '#!/bin/sh\ncase "$2" in *pip*) exit 1 ;; *"import venv"*) ' + venv + " ;; esac\nexit 0\n"
    )
    script.chmod(0o755)
    return script


def test_without_a_python_it_says_what_to_install(checkout: Path) -> None:
    """No suitable interpreter: one line with the apt command, and a failure."""
    run = setup(checkout, "venv", python="no-such-python")
    assert run.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 found as PYTHON=no-such-python" in run.stderr
    assert "apt install python3 python3-pip" in run.stderr


@pytest.mark.parametrize(
    ("has_venv", "package"), [(True, "python3-pip"), (False, "python3-venv")]
)
def test_without_pip_or_venv_it_says_what_to_install(
    checkout: Path, has_venv: bool, package: str
) -> None:
    """A Python that can't make an environment is named, with the package that is missing."""
    run = setup(checkout, "venv", python=fake_python(checkout, has_venv=has_venv))
    assert run.returncode == 1
    assert f"apt install {package}" in run.stderr.splitlines()[-1]


def test_a_finished_environment_is_left_alone(checkout: Path) -> None:
    """The second run does nothing, says nothing, and needs no interpreter but the one it has."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable)
    inputs = subprocess.run(
        "cksum requirements.lock pyproject.toml; pwd",
        shell=True, cwd=checkout, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (checkout / ".venv" / ".xunlou-setup").write_text(inputs.stdout)
    run = setup(checkout, "venv", python="no-such-python")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_changed_lock_is_noticed(checkout: Path) -> None:
    """A finished environment of another lock is not taken for finished."""
    test_a_finished_environment_is_left_alone(checkout)
    (checkout / "requirements.lock").write_text("something==1\n")
    assert setup(checkout, "venv", python="no-such-python").returncode == 1


def test_an_unknown_word_is_refused(checkout: Path) -> None:
    """A slip of the hand installs nothing."""
    run = setup(checkout, "everything")
    assert run.returncode == 1
    assert "venv, demo or test" in run.stderr
