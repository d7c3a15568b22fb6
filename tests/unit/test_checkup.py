"""What `xunlou doctor --data` says of a house."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.settings import Settings
from xunlou import checkup
from xunlou.keys import Keys

DAY_S = 86_400.0


def test_a_house_that_others_may_look_into(tmp_path: Path) -> None:
    """Said, with the command that closes it; and closed, it is well."""
    house = tmp_path / "data"
    house.mkdir(mode=0o750)
    house.chmod(0o750)
    open_ = checkup.check_rights(house)
    assert (open_.ok, open_.advice) == (False, f"chmod go= {house}")
    house.chmod(0o700)
    assert checkup.check_rights(house).ok
    assert not checkup.check_rights(tmp_path / "none").ok


def test_a_new_house_is_private_from_its_first_file_on(tmp_path: Path) -> None:
    """The secrets are written first, and make the directory that the database comes into."""
    Keys.kept(tmp_path / "data" / "secrets.env")
    assert checkup.check_rights(tmp_path / "data").ok


@pytest.mark.parametrize(("free_gib", "ok"), [(0.5, False), (1.0, True), (80.0, True)])
def test_a_disk_that_fills(tmp_path: Path, free_gib: float, *, ok: bool) -> None:
    """Under a gibibyte a person has to make room."""
    def usage(_path: Path) -> tuple[int, int, int]:
        return 0, 0, int(free_gib * 1024**3)

    assert checkup.check_disk(tmp_path, usage).ok is ok


def test_a_backup_that_nobody_made(tmp_path: Path) -> None:
    """None, or none of the last two days: said with what to do. The newest counts, wherever."""
    one, two = tmp_path / "one", tmp_path / "two"
    assert not checkup.check_backup((one, two)).ok
    for folder, made_s in ((one, 10 * DAY_S), (two, 20 * DAY_S)):
        folder.mkdir()
        (folder / "x.backup").touch()
        os.utime(folder / "x.backup", (made_s, made_s))
    assert checkup.check_backup((one, two), lambda: 21.5 * DAY_S).ok
    late = checkup.check_backup((one, two), lambda: 22.5 * DAY_S)
    assert not late.ok
    assert "2.5 days" in late.found


@pytest.mark.parametrize(
    ("url", "ok"),
    [("https://xunlou.example.org", True), ("http://xunlou.example.org", False),
     ("https://127.0.0.1:8000", False), ("http://localhost", False)],
)  # fmt: skip
def test_an_address_that_no_telephone_reaches(url: str, *, ok: bool) -> None:
    """Links and calls need HTTPS and a public name."""
    assert checkup.check_address(Settings(public_url=url)).ok is ok


@pytest.mark.parametrize(
    ("link_url", "ok", "words"),
    [
        ("https://xunl.cn", True, "fits the first SMS"),
        ("https://abcdef.com", True, "fits the first SMS"),
        ("https://abcdefg.com", True, "too long for the first SMS"),
        ("", True, "xunlou.example.org (18 characters) is too long for the first SMS"),
        ("https://alarm.guangdan.example.org", False, "too long for any SMS"),
    ],
)  # fmt: skip
def test_an_address_too_long_for_a_link(link_url: str, *, ok: bool, words: str) -> None:
    """A Chinese SMS has room for a short address alone, and it is told how short."""
    found = checkup.check_links(
        Settings(public_url="https://xunlou.example.org", link_url=link_url)
    )
    assert found.ok is ok
    assert words in found.found
    if not ok:
        assert "XUNLOU_LINK_URL" in found.advice


def test_where_no_sms_can_be_answered_no_link_is_missed() -> None:
    """Mainland China: no SMS has one, whatever the address."""
    long = "https://alarm.guangdan.example.org"
    assert checkup.check_links(Settings(public_url=long, sms_two_way=False)).ok


def test_who_hears_that_the_machine_is_off() -> None:
    """Nobody, until an address outside the house is set."""
    assert not checkup.check_deadman(Settings(deadman_url=None)).ok
    assert checkup.check_deadman(Settings(deadman_url=SecretStr("https://x.example/1"))).ok
