"""The vault: what it seals, only its keys open, in the place it was sealed for; it fails nobody."""

import logging
from pathlib import Path

import pytest

from server.vault import BadKey, Key, NoKey, Vault, fresh, key_of, listed

WHAT, NOTE = "resident.access_notes", "钥匙在门垫下 key under the mat"


def test_a_note_comes_back_and_is_not_readable_meanwhile() -> None:
    """Sealed, it holds nothing of the text; two seals of one text differ."""
    vault = Vault(fresh())
    one, two = vault.seal(WHAT, 7, NOTE), vault.seal(WHAT, 7, NOTE)
    assert vault.open(WHAT, 7, one) == vault.open(WHAT, 7, two) == NOTE
    assert one != two
    assert "mat" not in one
    assert key_of(one) == vault.current


def test_a_note_that_was_put_elsewhere_does_not_open() -> None:
    """Somebody who can write the database can't give one flat's way in to another."""
    vault = Vault(fresh())
    sealed = vault.seal(WHAT, 7, NOTE)
    assert vault.open(WHAT, 8, sealed) is None
    assert vault.open("resident.risks", 7, sealed) is None
    assert vault.open(WHAT, 7, sealed[:-6] + "AAAAAA") is None


def test_nothing_stays_nothing_and_what_stood_in_the_clear_is_itself() -> None:
    """An empty note tells that there is none; one from before there was a key is still read."""
    vault = Vault(fresh())
    assert vault.seal(WHAT, 7, "") == ""
    assert vault.open(WHAT, 7, NOTE) == NOTE
    assert key_of(NOTE) is None
    lookalike = "xl1:00000000:AAAA"  # a person may write anything: it is sealed as it stands
    assert vault.open(WHAT, 7, vault.seal(WHAT, 7, lookalike)) == lookalike


def test_without_a_key_notes_are_refused_and_looks_are_not() -> None:
    """A missing key writes nothing in the clear and raises for no reader."""
    sealed = Vault(fresh()).seal(WHAT, 7, NOTE)
    bare = Vault(wanted=True)
    with pytest.raises(NoKey):
        bare.seal(WHAT, 7, NOTE)
    assert bare.open(WHAT, 7, sealed) is None
    assert "XUNLOU_NOTES_KEYS" in bare.problem
    assert Vault().problem == ""


def test_old_and_new_key_open_and_the_first_seals() -> None:
    """While keys are changed, notes under either are read."""
    old, new = fresh(), fresh()
    before = Vault(old).seal(WHAT, 7, NOTE)
    both = Vault(f"{new}, {old}")
    assert both.open(WHAT, 7, before) == NOTE
    assert both.current == Key.parse(new).id
    assert Vault(new).open(WHAT, 7, before) is None


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    """Keys are rotated under a running server; a file that is gone takes nothing away."""
    path, old, new = tmp_path / "notes.keys", fresh(), fresh()
    path.write_text(f"# ours\n{old}\n")
    vault = Vault(path=path, wanted=True)
    sealed = vault.seal(WHAT, 7, NOTE)
    path.write_text(f"{new}  # newest\n{old}\n")
    assert vault.current == Key.parse(new).id
    assert vault.open(WHAT, 7, sealed) == NOTE
    path.unlink()
    assert "put it back" in vault.problem
    assert vault.open(WHAT, 7, sealed) == NOTE
    path.write_text(f"{old}\n")
    assert vault.problem == ""


@pytest.mark.parametrize("wrong", ["short", "ä" * 44, "A" * 44 + "=", "中文"])
def test_a_wrong_key_is_named_without_being_said(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It stops nothing, and stands in no log."""
    with pytest.raises(BadKey):
        Key.parse(wrong)
    with caplog.at_level(logging.DEBUG):
        vault = Vault(f"{wrong} {fresh()}", wanted=True)
    assert "44 characters" in vault.problem
    assert wrong not in caplog.text + vault.problem
    assert vault.open(WHAT, 7, vault.seal(WHAT, 7, NOTE)) == NOTE


def test_lost_notes_are_told_until_they_are_found() -> None:
    """What a look has not been able to open is a fault, with the key it needs."""
    vault = Vault(fresh(), wanted=True)
    vault.lost = {"0123abcd": 3}
    assert "3 notes" in vault.problem
    assert "0123abcd" in vault.problem
    vault.lost = {str(vault.current): 1}
    assert "damaged" in vault.problem
    vault.lost = {}
    assert vault.problem == ""


def test_a_list_of_keys_is_read_as_people_write_it() -> None:
    """Commas, spaces, lines, comments."""
    assert listed("a,b c\n# no\nd # why\n\n") == ["a", "b", "c", "d"]
