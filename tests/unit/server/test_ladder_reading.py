"""Ladder files: what is read from them, and what is said of those that can't be used."""

from dataclasses import replace

import pytest

from server.core.ladder import DEFAULT_LADDERS, Ladder, Target
from server.ladders.keeping import DEFAULT_FILE
from server.ladders.reading import MOST_BYTES, Broken, read

GOOD = DEFAULT_FILE.read_text(encoding="utf-8")


def problems(text: str | bytes) -> tuple[str, ...]:
    """What is wrong with a file."""
    with pytest.raises(Broken) as caught:
        read(text.encode() if isinstance(text, str) else text, "f.yaml")
    return caught.value.problems


def edited(old: str, new: str) -> tuple[str, int]:
    """The built-in file with the first `old` made `new`, and the line it stands in."""
    assert old in GOOD
    return GOOD.replace(old, new, 1), GOOD[: GOOD.index(old)].count("\n") + 1


def test_the_built_in_file_says_what_the_rules_say() -> None:
    """The file that people copy describes exactly the ladders of the core."""
    book = read(GOOD.encode(), "default.yaml")
    assert {k: replace(v, version="") for k, v in book.ladders.items()} == dict(DEFAULT_LADDERS)


def test_an_edition_is_its_number_and_its_content() -> None:
    """Another wait is another version, also when nobody raised the number; it is frozen along."""
    first = read(GOOD.encode(), "f")
    second = read(edited("wait: 2 min", "wait: 90 s")[0].encode(), "f")
    assert first.version != second.version
    assert first.version.startswith("1-")
    frozen = second.ladders["sos"].to_json()
    assert frozen["version"] == second.version
    assert Ladder.from_json(frozen) == second.ladders["sos"]
    del frozen["version"]
    assert Ladder.from_json(frozen).version == "", "rows of before there were editions"


def test_a_step_names_its_channels() -> None:
    """`by` is optional: a text where nothing is said; the line of a wrong one is told."""
    steps = read(GOOD.encode(), "f").ladders["sos"].steps
    both = ["sms", "voice"]
    assert [[c.value for c in s.channels] for s in steps] == [["sms"], *[both] * 4]
    text, line = edited("by: [sms, voice]", "by: [pigeon]")
    assert problems(text)[0].startswith(f"f.yaml:{line}: there is no channel 'pigeon'")


CASES = [
    ("wait: 2 min", "wait: 2", "the wait of step 1 of sos is '2'; write a number and a unit"),
    ("wait: 2 min", "wait: [2]", "is a list or mapping; write a number and a unit"),
    ("wait: 2 min", "wait: 0 s", "is 0 s; write from 1 s to 24 h"),
    ("wait: 2 min", "wait: 25 h", "is 25 h; write from 1 s to 24 h"),
    ("wait: 2 min", "wait: 16 min", "duty hears of an SOS only after 18 min; shorten"),
    ("tell: [stewards]", "tell: [steward]", "nobody is called 'steward'; write stewards"),
    ("tell: [stewards]", "tell: [xyz]", "write one of stewards, steward_1, "),
    ("tell: [stewards]", "tell: [{}]", "nobody is called '?'"),
    ("tell: [stewards]", "tell: []", "tell must be a list of people; write tell: [stewards]"),
    ("tell: [stewards]", "tell: stewards", "tell must be a list of people"),
    ("tell: [stewards]", "tell: [duty, duty]", "'duty' stands twice in one step; keep one"),
    ("tell: [duty, street]", "tell: [street]", "sos can end without a human on duty; add duty"),
    ("lease: 8 min", "leas: 8 min", "unknown 'leas' in sos; write lease"),
    ("lease: 8 min", "", "sos has no lease; add it"),
    ("version: 1", "version: one", "version must be a whole number; write version: 2 after 1"),
    ("version: 1", "version: [1]", "version must be a whole number"),
    ("version: 1", "", "the file has no version; add it"),
    ("  missed_high_risk:", "  other:", "unknown 'other' in ladders; write one of sos"),
    ("    on_scene: 20 min", "    lease: 20 min", "'lease' stands twice in sos; keep one"),
    ("wait: 2 min", "wait: [2 min", "not YAML ("),
    ("by: [sms, voice]", "by: [sms, voise]", "there is no channel 'voise'; write voice"),
    ("by: [sms, voice]", "by: [sms, sms]", "'sms' stands twice in one step; keep one"),
    ("by: [sms, voice]", "by: voice", "by must be a list of channels; write by: [sms, voice]"),
    ("by: [sms, voice]", "by: []", "by must be a list of channels"),
    ("by: [sms, voice]", "by: [{}]", "there is no channel '?'"),
    ("by: [sms, voice]", "bye: [sms]", "unknown 'bye' in step 2 of sos; write by"),
]


@pytest.mark.parametrize(("old", "new", "words"), CASES, ids=[c[2][:40] for c in CASES])
def test_each_error_has_its_words(old: str, new: str, words: str) -> None:
    """What is wrong, and what to write instead, behind file and line."""
    text, _ = edited(old, new)
    assert any(words in p for p in problems(text)), problems(text)
    assert all(p.startswith("f.yaml:") and "; " in p for p in problems(text))


@pytest.mark.parametrize("old", ["wait: 2 min", "wait: 20 min", "lease: 1 h", "lease: 15 min"])
def test_an_error_has_its_line(old: str) -> None:
    """The line is the one to be edited, wherever it stands."""
    text, line = edited(old, old.partition(":")[0] + ": soon")
    assert [p.split(":")[1] for p in problems(text)] == [str(line)]


def test_all_errors_are_told_at_once_in_order() -> None:
    """Somebody who mends a file hears of everything in one go."""
    text = GOOD.replace("[duty]", "[dutty]").replace("lease: 1 h", "lease: soon")
    found = problems(text)
    lines = [int(p.split(":")[1]) for p in found]
    assert len(found) == 5
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the file is empty"),
        (b"# only words\n", "the file is empty"),
        (b"- a\n", "the file must be a mapping"),
        (b"version: 1\nladders: []\n", "ladders must be a mapping"),
        (b"version: 1\nladders: {sos: 1, missed: 2, missed_high_risk: 3}\n", "must be a mapping"),
        (b"? [a]\n: 1\n", "unknown '?' in the file"),
        (b"a: \xff\n", "not UTF-8; save the file as UTF-8"),
        (b"a: \x01\n", "not YAML"),
        (b"[" * 5000, "nested too deeply"),
        (b"#" * (MOST_BYTES + 1), "it is no ladder file"),
        (b"a: !!python/object:os.system x\n", "unknown 'a'"),
        (b"version: 1\nladders:\n  sos: &a {lease: *a, on_scene: *a, steps: *a}\n", "the lease"),
    ],
)
def test_no_file_can_do_more_than_be_refused(raw: bytes, words: str) -> None:
    """Emptiness, garbage, tags, loops and depth are refused in words."""
    assert any(words in p for p in problems(raw)), problems(raw)


def test_too_many_steps_are_refused() -> None:
    """A ladder has an end that somebody can survey."""
    steps = "      - {tell: [duty], wait: 1 s}\n" * 21
    text = f"version: 1\nladders:\n  sos:\n    lease: 1 h\n    on_scene: 1 h\n    steps:\n{steps}"
    assert any("must be a list of 1 to 20" in p for p in problems(text))


def test_an_sos_may_tell_duty_at_once() -> None:
    """Sooner than in the built-in ladder is always possible."""
    text, _ = edited("tell: [stewards]", "tell: [stewards, duty]")
    first = read(text.encode(), "f").ladders["sos"].steps[0]
    assert first.targets == (Target.STEWARDS, Target.DUTY)
