"""The automatic stewards answer as people would, in virtual time, and yield to real ones."""

from collections import Counter

import pytest

from firmware_sim.phones.stewards import Answer, Stewards, asks_for_answer, code_in

ALERT = "【巡楼】求助 11栋3楼301，请回1表示我去，回0去不了。代码{code}"
CONFIRM = "已确认您前往 11栋3楼301。到门口回2，平安回3。代码{code} http://127.0.0.1:8000/s/abc"
ONE, TWO = "+8610011000101", "+8610011000102"
T0 = 1_773_439_800.0


def _told(
    stewards: Stewards,
    number: str,
    code: str,
    at_s: float = T0,
    *,
    role: str = "steward",
    text: str = ALERT,
) -> None:
    stewards.told(number, role, text.format(code=code), at_s, engage=True)


def _all_answers(stewards: Stewards, until_s: float = T0 + 3600) -> list[tuple[float, Answer]]:
    """Every answer with the second it came, asking once a second as the exchange does."""
    answers = []
    now_s = T0
    while now_s < until_s:
        answers += [(now_s, answer) for answer in stewards.due(now_s)]
        now_s += 1
    return answers


def _code_whose_owner(mood: str, number: str = ONE) -> str:
    """A code to which this person, with this seed, answers in the given way."""
    for code in range(1000, 3000):
        stewards = Stewards(7)
        _told(stewards, number, str(code))
        texts = [answer.body[0] for answer in stewards.due(T0 + 3600)]
        if texts == list(mood):
            return str(code)
    raise AssertionError(f"nobody answers {mood!r}: the shares are wrong")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("求助。代码4031", "4031"),
        ("求助，代码：4031，请回1", "4031"),
        ("Help needed, code 4031. Reply 1", "4031"),
        ("barcode4031 at 11-301", None),
        ("代码40311", None),
        ("11栋3楼301 2026", None),
    ],
)
def test_the_code_is_found_only_where_it_is_named(body: str, code: str | None) -> None:
    """Four digits alone could be a year or a flat."""
    assert code_in(body) == code


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        ("请回1表示我去", True),
        ("回复1我去", True),
        ("Reply 1 if you can go", True),
        ("到门口回2，平安回3", False),
        ("He did not reply 11 times", False),
    ],
)
def test_only_a_text_that_asks_for_1_is_an_alert(body: str, asks: bool) -> None:
    """A confirmation carries the same code and asks for nothing like it."""
    assert asks_for_answer(body) is asks


def test_a_steward_goes_arrives_and_reports_in_the_stated_times() -> None:
    """1 after 60 to 180 s, 2 two to six minutes later, 3 after that, each with the code."""
    code = _code_whose_owner("123")
    stewards = Stewards(7)
    _told(stewards, ONE, code)
    (at1, first), (at2, second), (at3, third) = _all_answers(stewards)
    assert [first.body, second.body, third.body] == [f"1 {code}", f"2 {code}", f"3 {code}"]
    assert {first.number, second.number, third.number} == {ONE}
    assert 60 <= at1 - T0 <= 181
    assert 119 <= at2 - at1 <= 361
    assert at3 > at2


def test_one_in_ten_refuses_and_some_never_answer() -> None:
    """Over many alerts the shares come out near the figures, and are the same every time."""

    def moods() -> Counter[str]:
        found: Counter[str] = Counter()
        for code in range(1000, 3000):
            stewards = Stewards(314)
            _told(stewards, ONE, str(code))
            found["".join(a.body[0] for a in stewards.due(T0 + 3600))] += 1
        return found

    first = moods()
    assert set(first) == {"123", "0", ""}
    assert 0.07 < first["0"] / 2000 < 0.13
    assert 0.05 < first[""] / 2000 < 0.11
    assert first == moods()


def test_the_second_steward_stays_when_the_first_is_on_the_way() -> None:
    """Only one of the two runs, and the one who runs finishes."""
    code = next(
        str(c) for c in range(1000, 3000) if all(_goes(number, str(c)) for number in (ONE, TWO))
    )
    stewards = Stewards(7)
    _told(stewards, ONE, code)
    _told(stewards, TWO, code)
    answers = [answer for _, answer in _all_answers(stewards)]
    assert [a.body[0] for a in answers] == ["1", "2", "3"]
    assert len({a.number for a in answers}) == 1


def _goes(number: str, code: str) -> bool:
    stewards = Stewards(7)
    _told(stewards, number, code)
    return len(stewards.due(T0 + 3600)) == 3


def test_a_person_typing_takes_the_alert_from_both_automatic_stewards() -> None:
    """Neither that phone nor the other answers any more; another alert is untouched."""
    code, other = _code_whose_owner("123"), _code_whose_owner("123", TWO)
    stewards = Stewards(7)
    _told(stewards, ONE, code)
    _told(stewards, TWO, code)
    stewards.typed(ONE, "1")
    _told(stewards, TWO, "9999", role="duty")
    assert _all_answers(stewards) == []
    if other != code:
        _told(stewards, TWO, other)
        assert stewards.due(T0 + 3600)


def test_a_person_who_cannot_go_frees_only_their_own_phone() -> None:
    """After a typed 0 the other steward is still seen to go."""
    code = _code_whose_owner("123", TWO)
    stewards = Stewards(7)
    _told(stewards, ONE, code)
    _told(stewards, TWO, code)
    stewards.typed(ONE, f"0 {code}")
    assert {answer.number for _, answer in _all_answers(stewards)} == {TWO}


def test_a_typed_code_says_which_alert_is_meant() -> None:
    """With two alerts on the phone, the code and not the last text decides."""
    code = _code_whose_owner("123")
    later = next(str(c) for c in range(int(code) + 1, 9000) if _goes(ONE, str(c)))
    stewards = Stewards(7)
    _told(stewards, ONE, code)
    _told(stewards, ONE, later, T0 + 5)
    stewards.typed(ONE, f"1 {code}")
    assert {answer.code for _, answer in _all_answers(stewards)} == {later}


def test_only_the_first_text_with_a_code_makes_anyone_move() -> None:
    """Reminders, confirmations and other texts with the same code start nothing new."""
    code = _code_whose_owner("123")
    stewards = Stewards(7)
    _told(stewards, ONE, code, text=CONFIRM)
    _told(stewards, ONE, code)
    assert stewards.due(T0 + 3600) == []


def test_without_automatic_answers_nothing_is_planned_even_if_turned_on_later() -> None:
    """Turning it on does not set everyone off on old alerts."""
    stewards = Stewards(7)
    stewards.told(ONE, "steward", ALERT.format(code="1234"), T0, engage=False)
    _told(stewards, ONE, "1234")
    assert stewards.due(T0 + 3600) == []


def test_the_care_centre_never_answers_by_itself() -> None:
    """Duty staff act on the wall; a phone of theirs that answered would hide a failure."""
    stewards = Stewards(7)
    for code in range(1000, 1100):
        _told(stewards, ONE, str(code), role="duty")
    assert stewards.due(T0 + 3600) == []


def test_a_code_that_comes_round_next_day_is_a_new_alert() -> None:
    """Four digits repeat; yesterday's alert must not mute today's."""
    code = _code_whose_owner("123")
    stewards = Stewards(7)
    _told(stewards, ONE, code)
    assert len(stewards.due(T0 + 3600)) == 3
    _told(stewards, ONE, code, T0 + 86_400)
    assert len(stewards.due(T0 + 86_400 + 3600)) == 3
