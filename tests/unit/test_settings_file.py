"""Settings from a file: the environment wins, and a line that can't be meant says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xunlou.settings_file import FILE, BadSettings, take

ROOT = Path(__file__).parents[2]


def written(tmp_path: Path, text: str) -> dict[str, str]:
    """An environment that names a file with this text."""
    file = tmp_path / "xunlou.conf"
    file.write_text(text, encoding="utf-8")
    return {FILE: str(file)}


def test_a_file_sets_what_the_environment_does_not(tmp_path: Path) -> None:
    """Comments, blank lines, quotes and a byte order mark are understood; the environment wins."""
    environment = written(tmp_path, "\ufeff# ours\n\nXUNLOU_PORT=8100\r\nXUNLOU_HOST='::1'\n"
                                    'XUNLOU_SECRET="a = b # c"\nTWILIO_FROM_NUMBER=\n')  # fmt: skip
    environment["XUNLOU_PORT"] = "9000"
    origins = take(environment)
    assert environment == {
        "XUNLOU_PORT": "9000", "XUNLOU_HOST": "::1", "XUNLOU_SECRET": "a = b # c",
        "TWILIO_FROM_NUMBER": "",
    }  # fmt: skip
    assert "XUNLOU_PORT" not in origins
    assert origins["XUNLOU_HOST"].endswith("xunlou.conf, line 4")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("XUNLOU_PROT=1", "line 1: there is no setting XUNLOU_PROT; did you mean XUNLOU_PORT?"),
        ("\n\nSOMETHING=1", "line 3: there is no setting SOMETHING (docs/settings.md lists all)"),
        ("xunlou_port=1", "did you mean XUNLOU_PORT?"),
        ("export XUNLOU_PORT=1", "line 1: write NAME=value"),
        ("XUNLOU_PORT = 1", "line 1: write NAME=value"),
        ("XUNLOU_PORT", "line 1: write NAME=value"),
        ("XUNLOU_HOST='a", "line 1: XUNLOU_HOST begins with a quote that is not closed"),
        ("XUNLOU_PORT=1\nXUNLOU_PORT=2", "line 1 already; keep one"),
        ("XUNLOU_PORT_FILE=/x", "there is no setting XUNLOU_PORT_FILE"),
        ("XUNLOU_SECRET_FILE=/no/such/file", "can't be read: No such file"),
        ("XUNLOU_SECRET=a\nXUNLOU_SECRET_FILE=/x", "are both set; keep one"),
    ],
)  # fmt: skip
def test_a_line_that_cant_be_meant_says_where_and_what(
    tmp_path: Path, text: str, words: str
) -> None:
    """File, line, name and advice; nothing of the file holds then."""
    environment = written(tmp_path, text)
    with pytest.raises(BadSettings) as refused:
        take(environment)
    assert words in str(refused.value)
    assert "xunlou.conf" in str(refused.value)
    assert environment.keys() == {FILE}


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """Named in the environment or in the settings file; without the line's end; never both ways."""
    secret = tmp_path / "secret"
    secret.write_text("sixteen characters and more\n")
    environment = written(tmp_path, f"XUNLOU_GATEWAY_TOKEN_FILE={secret}\n"
                                    "XUNLOU_SECRET=of the settings file\n")  # fmt: skip
    environment["XUNLOU_SECRET_FILE"] = str(secret)
    take(environment)
    assert environment == dict.fromkeys(
        ("XUNLOU_SECRET", "XUNLOU_GATEWAY_TOKEN"), "sixteen characters and more"
    )
    with pytest.raises(BadSettings, match="both set"):
        take({"XUNLOU_SECRET": "x", "XUNLOU_SECRET_FILE": str(secret)})
    secret.write_text("two\nlines\n")
    with pytest.raises(BadSettings, match="one line"):
        take({"XUNLOU_SECRET_FILE": str(secret)})


def test_settings_that_name_files_are_no_secrets() -> None:
    """A ladder file is the name of a file, and stays one."""
    environment = {"XUNLOU_LADDER_FILE": "/etc/ladder.yaml", "XUNLOU_DEVICES_FILE": "/x"}
    assert take(environment) == {}
    assert environment == {"XUNLOU_LADDER_FILE": "/etc/ladder.yaml", "XUNLOU_DEVICES_FILE": "/x"}


def test_a_file_of_several_keys_is_a_setting_of_its_own(tmp_path: Path) -> None:
    """The notes' keys stand one a line in a file that is read again when it changes: it is left
    to who reads it, and the environment goes on naming it."""
    keys = tmp_path / "notes.keys"
    keys.write_text("one\ntwo\n")
    environment = {"XUNLOU_NOTES_KEYS_FILE": str(keys)}
    assert take(environment) == {}
    assert environment == {"XUNLOU_NOTES_KEYS_FILE": str(keys)}


def test_without_a_file_nothing_is_read() -> None:
    """The environment alone is as it was."""
    assert take({"XUNLOU_PORT": "1"}) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("XUNLOU_PRT=1", "there is no setting XUNLOU_PRT; did you mean XUNLOU_PORT?"),
        ("XUNLOU_PORT=many", "XUNLOU_PORT (xunlou.conf, line 1): Input should be a valid integer"),
        ("XUNLOU_LOG_LEVEL=loud", "XUNLOU_LOG_LEVEL='LOUD': use DEBUG"),
    ],
)  # fmt: skip
def test_the_command_says_it_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    """A wrong line or a wrong value of the file ends every command with its place, and no trace."""
    (tmp_path / "xunlou.conf").write_text(text + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "xunlou", "serve"], cwd=tmp_path, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), FILE: "xunlou.conf"},
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
