"""The ladder file while people edit it: in force at once, or not at all, and never in the way."""

import os
from pathlib import Path

import pytest

from server.core.ladder import Policy
from server.ladders.keeping import DEFAULT_FILE, LadderFile

GOOD = DEFAULT_FILE.read_text(encoding="utf-8")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A copy of the built-in file."""
    copy = tmp_path / "ladder.yaml"
    copy.write_text(GOOD, encoding="utf-8")
    return copy


def first_wait_s(file: LadderFile) -> int:
    """How long an SOS waits for the stewards."""
    return file.ladders[Policy.SOS].steps[0].wait_s


def write(path: Path, text: str) -> None:
    """Save as editors do: a new file in the old one's place."""
    other = path.with_suffix(".new")
    other.write_text(text, encoding="utf-8")
    os.replace(other, path)


def test_an_edit_is_in_force_at_the_next_question(path: Path) -> None:
    """No restart: what was saved counts from then on, under a version of its own."""
    file = LadderFile(path)
    before = file.book().version
    write(path, GOOD.replace("wait: 2 min", "wait: 60 s", 1))
    assert first_wait_s(file) == 60
    assert file.book().version != before
    assert file.problems == ()


def test_a_broken_edit_keeps_the_last_good_one_until_it_is_mended(path: Path) -> None:
    """The last good ladders stay, all problems are told, and mending ends them."""
    write(path, GOOD.replace("wait: 2 min", "wait: 60 s", 1))
    file = LadderFile(path)
    write(path, GOOD.replace("[duty]", "[nobody]"))
    assert first_wait_s(file) == 60
    assert len(file.problems) == 4
    assert file.problems[0].startswith("ladder.yaml:")
    write(path, GOOD)
    assert (first_wait_s(file), file.problems) == (120, ())


@pytest.mark.parametrize("what", ["absent", "broken", "directory", "pipe"])
def test_a_start_with_an_unusable_file_has_the_built_in_ladders(tmp_path: Path, what: str) -> None:
    """There is never no ladder, and nothing in the file's place can make an SOS wait."""
    path = tmp_path / "ladder.yaml"
    match what:
        case "broken":
            path.write_text("steps: none")
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
    file = LadderFile(path)
    assert first_wait_s(file) == 120
    assert file.problems


def test_a_file_that_goes_away_changes_nothing_but_is_told(path: Path) -> None:
    """Removed: the last good ladders hold, and staff hear what to do; put back: all is well."""
    file = LadderFile(path)
    path.unlink()
    assert first_wait_s(file) == 120
    assert "put it back" in file.problems[0]
    write(path, GOOD)
    assert file.problems == ()


def test_a_file_that_fails_in_an_unforeseen_way_stops_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a fault of our own reader leaves the last good ladders in force."""
    file = LadderFile(path)

    def fail(_raw: bytes, _name: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("server.ladders.keeping.read", fail)
    write(path, GOOD + "\n")
    assert first_wait_s(file) == 120
    assert "ZeroDivisionError" in file.problems[0]


def test_an_unchanged_file_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look costs a `stat`, no more: an SOS must not parse YAML."""
    file = LadderFile(path)
    monkeypatch.setattr(Path, "read_bytes", lambda _self: pytest.fail("read again"))
    assert first_wait_s(file) == 120
