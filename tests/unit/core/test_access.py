"""Who may what, for which houses; passwords; the second factor against the RFC's own examples."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from server.core import passwords, totp
from server.core.access import EVERYWHERE, NOWHERE, RIGHTS, AccountRole, Level, Right, Scope

ELEVEN = Scope(Level.BUILDING, frozenset({11}))
TOWN = Scope(Level.COMMUNITY, frozenset({11, 12}))

STREET = Scope(Level.STREET, frozenset({11, 12}))
"""Of one community today: whose administrator must not give away what joins it tomorrow."""
DISTRICT = Scope(Level.DISTRICT, frozenset({11, 12, 13}))


@pytest.mark.parametrize(
    ("scope", "building", "shown"),
    [(EVERYWHERE, 12, True), (EVERYWHERE, None, True), (ELEVEN, 11, True), (ELEVEN, 12, False),
     (ELEVEN, None, True), (TOWN, 12, True), (NOWHERE, 11, False)],
)  # fmt: skip
def test_a_scope_shows_its_houses_and_what_concerns_all(
    scope: Scope, building: int | None, shown: bool
) -> None:
    """What belongs to no house, such as our own blindness, is for everybody."""
    assert scope.shows(building) is shown


@pytest.mark.parametrize(
    ("mine", "other", "covered"),
    [(EVERYWHERE, EVERYWHERE, True), (EVERYWHERE, ELEVEN, True), (TOWN, ELEVEN, True),
     (ELEVEN, TOWN, False), (TOWN, EVERYWHERE, False), (ELEVEN, ELEVEN, True),
     (TOWN, STREET, False), (STREET, TOWN, True), (DISTRICT, STREET, True)],
)  # fmt: skip
def test_nobody_gives_away_more_than_they_have(mine: Scope, other: Scope, covered: bool) -> None:
    """An administrator of a community makes no account for the whole installation."""
    assert mine.covers(other) is covered


def test_only_administrators_let_others_in_and_auditors_change_nothing() -> None:
    """The two separations that the roles exist for."""
    assert [r for r in AccountRole if Right.ACCOUNTS in RIGHTS[r]] == [AccountRole.ADMINISTRATOR]
    changing = {Right.ACT, Right.ACCESS, Right.REGISTER, Right.ACCOUNTS}
    assert not RIGHTS[AccountRole.AUDITOR] & changing
    assert RIGHTS[AccountRole.KIOSK] == {Right.HALL}
    assert (EVERYWHERE.wide, TOWN.wide, ELEVEN.wide) == (True, True, False)


def test_what_is_one_for_all_houses_is_for_whoever_has_them_all() -> None:
    """A community is wide among several, but only the one that leaves no house out is common; one
    building never is, though it were the only one today."""
    alone, eleven = replace(TOWN, every=True), replace(ELEVEN, every=True)
    assert [s.common for s in (EVERYWHERE, TOWN, alone, ELEVEN, eleven)] == [
        True, False, True, False, False
    ]  # fmt: skip


def test_what_a_community_has_in_common_is_for_whoever_answers_for_the_whole_of_it() -> None:
    """Whatever is registered beside it; an account of one building answers for none."""
    seven = replace(TOWN, communities=frozenset({7}))
    assert [s.answers_for(7) for s in (EVERYWHERE, seven, TOWN, ELEVEN)] == [
        True, True, False, False
    ]  # fmt: skip
    assert (EVERYWHERE.answers_for(8), seven.answers_for(8)) == (True, False)
    assert [s.answers for s in (EVERYWHERE, seven, TOWN, ELEVEN)] == [True, True, False, False]


@pytest.mark.parametrize(
    ("password", "flaw"),
    [("kitten soup on the roof", None), ("木棉花开在三楼窗台上", None), ("short", "short"),
     ("x" * 201, "long"), ("wang-and-more-words", "like_name"), ("password12", "common"),
     ("1111111111111", "common"), ("abababababab", "common"), ("a password of my own", None)],
)  # fmt: skip
def test_passwords(password: str, flaw: str | None) -> None:
    """Long is enough; the first guesses of a stranger are not."""
    assert passwords.flaw(password, "wang") == flaw


RFC_SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"),
     (2000000000, "279037"), (20000000000, "353130")],
)  # fmt: skip
def test_codes_of_rfc_6238(seconds: int, code: str) -> None:
    """Appendix B's table, its last six digits."""
    at = datetime.fromtimestamp(seconds, UTC)
    assert totp.code(RFC_SECRET, totp.step_at(at)) == code
    assert totp.matching_step(RFC_SECRET, code, at, 0) == totp.step_at(at)


def test_a_code_counts_once_and_for_a_minute_and_a_half() -> None:
    """A telephone's clock may be half a minute off; a code read over a shoulder is void."""
    at = datetime.fromtimestamp(1_234_567_890, UTC)
    step = totp.step_at(at)
    code = totp.code(RFC_SECRET, step)
    half = timedelta(seconds=30)
    assert totp.matching_step(RFC_SECRET, f" {code[:3]} {code[3:]}", at + half, 0) == step
    assert totp.matching_step(RFC_SECRET, code, at - half, 0) == step
    assert totp.matching_step(RFC_SECRET, code, at + 2 * half, 0) is None
    assert totp.matching_step(RFC_SECRET, code, at, step) is None
    assert totp.matching_step(RFC_SECRET, "", at, 0) is None


def test_the_secret_as_people_and_apps_read_it() -> None:
    """Base32, in fours for the eye, whole in the address."""
    assert totp.as_text(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
    address = totp.address(RFC_SECRET, "li")
    assert address.startswith("otpauth://totp/Xunlou:li?secret=GEZDGNBVGY3TQOJQ")
