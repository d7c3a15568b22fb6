"""Tables of how houses and communities are called, and of what somebody means who calls them so."""

import pytest

from server.core.houses import (
    Named,
    alike,
    called,
    distinct,
    may_be_one,
    meant,
    names,
    numbered,
    series,
    sign,
    spoken,
)

OURS = Named("广氮", "棠下街道", "天河区")
HERE, THERE = Named("棠德", "棠下街道", "天河区"), Named("棠德", "石井街道", "白云区")
BARE = Named("员村")


@pytest.mark.parametrize(
    ("in_series", "on_wall", "number"), [(0, 11, 11), (1, 11, 100_011), (12, 99_999, 1_299_999)]
)
def test_a_number_is_a_series_and_a_sign(in_series: int, on_wall: int, number: int) -> None:
    """One whole number, and back; the first community's are what is on the wall."""
    assert numbered(in_series, on_wall) == number
    assert (series(number), sign(number)) == (in_series, on_wall)


@pytest.mark.parametrize(
    ("said", "known", "places"),
    [
        (Named("广氮"), [OURS, HERE], [0]),
        (Named("棠德"), [OURS, HERE], [1]),
        (Named(" 棠 德"), [OURS, HERE], [1]),
        (Named(""), [OURS], [0]),
        (Named(""), [OURS, HERE], [0, 1]),
        (Named("", "", "白云区"), [OURS, HERE, THERE], [2]),
        (Named("棠德"), [OURS, HERE, THERE], [1, 2]),
        (Named("棠德", "石井街道"), [OURS, HERE, THERE], [2]),
        (Named("棠德", "", "天河区"), [OURS, HERE, THERE], [1]),
        (Named("棠德", "别处街道"), [OURS, HERE, THERE], []),
        (Named("别处"), [OURS, HERE], []),
        (Named("员村", "员村街道", "天河区"), [OURS, BARE], [1]),
        (Named("棠德", "棠下街道", "天河区"), [Named("棠德"), HERE], [1]),
        (Named("棠德", "新街道", "天河区"), [Named("棠德"), HERE], [0]),
        (Named("棠德"), [], []),
    ],
)
def test_what_a_row_may_mean(said: Named, known: list[Named], places: list[int]) -> None:
    """A name is enough where one has it; what is not registered fits, unless another is exact."""
    assert meant(said, known) == places


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [(OURS, HERE, False), (HERE, THERE, False), (Named("棠德"), THERE, True),
     (Named(""), OURS, True), (Named("棠德", "棠下街道"), HERE, True)],
)  # fmt: skip
def test_which_names_may_be_one_communitys(one: Named, other: Named, may: bool) -> None:
    """What one of them does not say fits all; it is the same the other way round."""
    assert may_be_one(one, other) is may_be_one(other, one) is may


def test_width_case_and_spaces_make_no_other_name() -> None:
    """People write them as their keyboards do."""
    assert alike("Tangde ２", "tangde2")
    assert not alike("棠德", "棠下")


@pytest.mark.parametrize(
    ("one", "everybody", "words"),
    [(OURS, [OURS, HERE], "广氮"), (HERE, [OURS, HERE, THERE], "天河区棠下街道棠德")],
)
def test_what_a_community_is_called(one: Named, everybody: list[Named], words: str) -> None:
    """By its name; by street and district too where another has it."""
    assert distinct(one, everybody) == words
    assert names(words, one)


def test_what_a_house_is_called() -> None:
    """By the number on its wall; with its community where that has to be said."""
    assert (called(100_002), called(100_002, "棠德")) == ("2", "棠德 2")


@pytest.mark.parametrize(
    ("words", "found"),
    [("2", ("", 2)), ("棠德 2", ("棠德", 2)), ("棠德2栋", ("棠德", 2)), ("２号楼", ("", 2)),
     ("天河区棠下街道棠德 12", ("天河区棠下街道棠德", 12)), ("100011", ("", 100_011)),
     ("Tangde 2", ("Tangde", 2)), ("棠德", None), ("", None), ("二", None), ("²", None)],
)  # fmt: skip
def test_what_somebody_means_by_a_house(words: str, found: tuple[str, int] | None) -> None:
    """The name before it, and the number; no number is no house."""
    assert spoken(words) == found


@pytest.mark.parametrize(
    ("words", "mean"),
    [("棠德", True), ("棠下街道棠德", True), ("天河区 棠下街道 棠德", True), ("天河区棠德", True),
     ("石井街道棠德", False), ("棠", False), ("", False)],
)  # fmt: skip
def test_which_words_name_a_community(words: str, mean: bool) -> None:
    """Its name, its street or its district and street before it; no part of it."""
    assert names(words, HERE) is mean
