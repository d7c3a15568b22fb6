"""Words for cheap phones: one segment, address first, nothing private."""

import string
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.messages import GSM7, Subject, Ways, compose, fill, place, segments, who
from server.core.texts import CATALOGUE, WORDS
from server.core.words import SPOKEN_ONLY, Outcome, Template
from xunlou.sample import guangdan

WRITTEN = [t for t in Template if t not in SPOKEN_ONLY]
HOSTS = ("https://x.cn", "https://xunlou.com", "http://127.0.0.1:8000", "https://xunlou.example.org")
LINKS = ("", *(f"{host}/s/{'x' * 22}" for host in HOSTS))


@pytest.mark.parametrize(
    ("text", "count"),
    [("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("中" * 70, 1),
     ("中" * 71, 2), ("中" * 134, 2), ("中" * 135, 3), ("€" * 80, 1), ("€" * 81, 2),
     ("Ü§" * 80, 1), ("😀" * 35, 1), ("😀" * 36, 2), ("", 1)],
)  # fmt: skip
def test_segments_are_counted_as_carriers_count_them(text: str, count: int) -> None:
    """160 or 70 alone, 153 or 67 in parts; an emoji is two units, a euro sign two septets."""
    assert segments(text) == count


def test_the_gsm_alphabet_is_whole() -> None:
    """127 characters beside the escape, with every ASCII letter and digit among them."""
    assert len(GSM7) == 127
    assert set(string.ascii_letters + string.digits) <= GSM7


WAYS = (
    Ways(),
    Ways(two_way=False, calls=True, phone="+862081234567"),
    Ways(two_way=False, calls=True),
    Ways(two_way=False, calls=False, phone="020-81234567"),
    Ways(two_way=False, calls=False),
)

def test_a_terminal_that_nobody_was_given_is_named_by_its_id() -> None:
    """There is no door to name, and no age to leave an empty clause."""
    subject = Subject(0, code="1234", waited_min=2, terminal="t-7")
    assert compose(Template.DUTY, subject, "zh") == (
        "【巡楼】终端t-7求助2分钟,尚未了结!回1=接手。代码1234"
    )
    assert "SOS at unassigned terminal t-7, open for 2 min! Reply 1" in compose(
        Template.DUTY, subject, "en"
    )


LONGEST_ID = 32
"""Characters of a terminal's id, by the contract."""


@pytest.mark.parametrize("ways", WAYS, ids=str)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_message_about_every_sample_resident_is_one_segment(
    lang: str, ways: Ways
) -> None:
    """All templates, with and without a link, as test and late, codes of six digits, and every
    way that people may be able to answer in."""
    day = date(2026, 3, 14)
    for building, flat, resident in guangdan().flats_with_residents():
        for template in WRITTEN:
            about = {Template.CHECKED_IN: flat.label, Template.CLOSED: Outcome.FALSE_ALARM.value}
            for link in LINKS:
                subject = Subject(
                    building.number, flat.floor, flat.label, resident.age_on(day),
                    resident.living == "alone", "123456", (flat.label,), 125, link,
                    test=True, late=True,
                )  # fmt: skip
                text = compose(template, subject, lang, about.get(template, "欧阳慧玲"), ways)
                assert segments(text) == 1, text
                assert resident.name not in text
    for template in [w for w in WRITTEN if w is not Template.CHECKED_IN]:  # of a door
        nobodys = Subject(
            0, code="123456", waited_min=125, test=True, late=True, terminal="x" * LONGEST_ID
        )
        about = {Template.CLOSED: Outcome.FALSE_ALARM.value}.get(template, "欧阳慧玲")
        text = compose(template, nobodys, lang, about, ways)
        assert segments(text) == 1, text
    for building in guangdan().buildings:
        labels = tuple(f.label for f in building.flats)
        whole_house = Subject(building.number, code="123456", labels=labels)
        text = compose(Template.MISSED, whole_house, lang, ways=ways)
        assert segments(text) == 1, text
        for n in range(len(labels)):
            shorter = replace(whole_house, labels=labels[n:], well=labels[:n])
            text = compose(Template.FEWER, shorter, lang, ways=ways)
            assert segments(text) == 1, text
            assert f"{len(labels) - n}" in text


@pytest.mark.parametrize("ways", WAYS[1:], ids=str)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_where_nobody_can_answer_an_sms_none_asks_for_it(lang: str, ways: Ways) -> None:
    """Mainland China: no "reply", no digits to send back, no link, in no message of all. A call is
    promised only where one can come, and the duty telephone stands there when there is one."""
    for template in WRITTEN:
        subject = Subject(11, 3, "301", 84, True, "4031", ("301", "303"), 5, LINKS[1])
        text = compose(template, subject, lang, "平安", ways)
        for word in ("回1", "回2", "回3", "回0", "回复1", "Reply", "reply", "http", "1=我去 2"):
            assert word not in text, text
    for template in (Template.SOS, Template.FALL, Template.MISSED):
        text = compose(template, Subject(11, 3, "301", 84, True, "4031", ("301",)), lang, "", ways)
        assert ("来电" in text or "call comes" in text) == ways.calls, text
        if not ways.calls and ways.phone:
            assert ways.phone in text, text


FLAT_301 = Subject(11, 3, "301", 84, True, "4031")


def test_an_sos_says_where_first_and_then_who_and_how_to_answer() -> None:
    """The very words of 14 March, in both languages."""
    assert compose(Template.SOS, FLAT_301, "zh") == (
        "【巡楼】11栋3楼301求助!84岁独居。回1=我去,0=去不了。代码4031"
    )
    assert compose(Template.SOS, FLAT_301, "en") == (
        "Xunlou: SOS at Bldg 11 floor 3 flat 301! aged 84, alone. "
        "Reply 1 = I am going, 0 = I can't. code 4031"
    )


@pytest.mark.parametrize(
    ("label", "address"), [("301", "https://xunlou.com/s/"), ("1204", "https://xunl.cn/s/")]
)
@pytest.mark.parametrize(
    ("template", "digits"),
    [(Template.SOS, "1去0不去"), (Template.FALL, "1去0不去"), (Template.MISSED, "回1"),
     (Template.CONFIRM, "到了回2,平安回3"), (Template.CONFIRM_MISSED, "平安回3")],
)  # fmt: skip
def test_a_short_address_leaves_room_for_the_link_and_the_digits(
    template: Template, digits: str, label: str, address: str
) -> None:
    """In Chinese as well the first SMS leads to the page; a telephone that opens none can still be
    answered with. 2 is "at the door": never may it stand where "can't" is meant."""
    link = address + "x" * 22
    doors = (label,) if template is Template.MISSED else (label, "1301")
    subject = Subject(11, int(label[:-2]), label, 84, True, "4031", doors, link=link)
    text = compose(template, subject, "zh")
    assert link in text
    assert digits in text
    assert segments(text) == 1
    assert "2不" not in text


@pytest.mark.parametrize("template", WRITTEN)
def test_no_wording_is_too_long_for_every_address(template: Template) -> None:
    """A wording that can't fit even the shortest link and door would be dead words."""
    subject = Subject(1, 1, "101", 84, True, "4031", ("101",), 5, LINKS[1])
    for wording in CATALOGUE["zh"][template]:
        text = fill(wording, subject, "zh", "陈姐")
        assert segments(text) == 1, text


CITY = {"zh": "广东省广州市天河区榕影路188号广氮小区", "en": "188 Rongying Road, Tianhe, Guangzhou"}


@pytest.mark.parametrize(
    ("template", "lang", "text"),
    [
        (Template.DUTY, "zh",
         f"【巡楼】{CITY['zh']}11栋3楼301求助8分钟,尚未了结!84岁独居。回1=接手。代码4031"),
        (Template.CALL_120, "zh",
         f"【巡楼】请打120!{CITY['zh']}11栋3楼301求助8分钟,没人到门口。84岁独居。回1=接手。代码4031"),
        (Template.DUTY, "en",
         f"Xunlou: SOS at {CITY['en']}, Bldg 11 floor 3 flat 301, open for 8 min! aged 84, alone. "
         "Reply 1 = I take it. code 4031"),
        (Template.CALL_120, "en",
         f"Xunlou: CALL 120! SOS at {CITY['en']}, Bldg 11 floor 3 flat 301, 8 min. "
         "Reply 1 = I take it. code 4031"),
    ],
)  # fmt: skip
def test_who_knows_no_building_11_reads_the_address_in_the_city(
    template: Template, lang: str, text: str
) -> None:
    """It goes before all else that may be left out."""
    subject = replace(FLAT_301, waited_min=8, city=CITY[lang])
    assert compose(template, subject, lang) == text


def test_an_address_too_long_for_an_sms_is_left_out_and_nothing_else() -> None:
    """A text in two parts may come late or not at all: then the house as neighbours say it."""
    near = replace(FLAT_301, waited_min=8)
    far = replace(near, city="很长的地址" * 14)
    assert compose(Template.DUTY, far, "zh") == compose(Template.DUTY, near, "zh")


def test_a_resident_we_know_little_of_leaves_no_hole_in_the_sentence() -> None:
    """Without age and living situation the clause vanishes."""
    text = compose(Template.SOS, Subject(11, 3, "301", code="4031"), "zh")
    assert text == "【巡楼】11栋3楼301求助!回1=我去,0=去不了。代码4031"


@pytest.mark.parametrize(
    ("lang", "about", "words"),
    [("zh", Outcome.AMBULANCE.value, "120"), ("en", Outcome.AMBULANCE.value, "120"),
     ("zh", "陈姐", "陈姐")],
)  # fmt: skip
def test_how_it_ended_is_said_in_words_and_a_name_as_it_is(
    lang: str, about: str, words: str
) -> None:
    """An outcome is translated; nobody reads `ambulance` in a Chinese text."""
    subject = Subject(building=11, floor=3, label="301", code="4217")
    assert words in compose(Template.CLOSED, subject, lang, about)


def test_a_long_worklist_names_as_many_flats_as_fit() -> None:
    """Forty missed flats: the count is right, some labels, and an "and so on"."""
    labels = tuple(f"A{n}" for n in range(101, 141))
    text = compose(Template.MISSED, Subject(11, labels=labels, code="4031"), "zh")
    assert "40户" in text
    assert "A101、" in text
    assert "等" in text
    assert segments(text) == 1


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("host", ["x.cn", "xunlou.com", "xunlou.example.org", "x" * 90])
def test_no_door_is_left_out_for_a_link(lang: str, host: str) -> None:
    """Whoever opens no pages walks by the text alone."""
    for count in range(1, 7):
        labels = ("303", "304", "503", "504", "601", "602")[:count]
        subject = Subject(11, code="4031", labels=labels, link=f"https://{host}/s/" + "x" * 22)
        text = compose(Template.MISSED, subject, lang)
        assert [label for label in labels if label not in text] == []
        assert segments(text) == 1


def test_a_link_is_left_out_rather_than_a_second_segment_sent() -> None:
    """The confirmation carries the link where it fits; with an endless domain it does without."""
    short = Subject(11, 3, "301", code="4031", link="https://x.cn/s/" + "x" * 22)
    endless = Subject(11, 3, "301", code="4031", link="https://" + "x" * 80)
    assert "https://x.cn/s/" in compose(Template.CONFIRM, short, "zh")
    assert "https" not in compose(Template.CONFIRM, endless, "zh")


@pytest.mark.parametrize("lang", sorted(CATALOGUE))
def test_the_catalogue_is_whole_and_asks_for_no_opt_out_word(lang: str) -> None:
    """Each language has every template and word, and no wording teaches a steward to say STOP."""
    assert set(CATALOGUE[lang]) == set(WRITTEN)
    assert set(WORDS[lang]) == set(WORDS["zh"])
    for wordings in CATALOGUE[lang].values():
        for wording in wordings:
            for word in ("STOP", "END", "QUIT", "CANCEL ", "REVOKE", "UNSUBSCRIBE"):
                assert f"reply {word}" not in wording.upper()
            assert "{access" not in wording
            assert "{health" not in wording


def test_what_can_not_fit_is_sent_all_the_same() -> None:
    """Two segments beat silence: an endless label is not a reason to say nothing."""
    assert segments(compose(Template.CHECKED_IN, FLAT_301, "zh", "很长" * 40)) == 2


def test_an_unknown_language_is_answered_in_chinese() -> None:
    """A person whose language we do not have gets the community's own."""
    assert compose(Template.SOS, FLAT_301, "ja") == compose(Template.SOS, FLAT_301, "zh")
    assert place(FLAT_301, "ja") == "11栋3楼301"
    assert who(FLAT_301, "zh") == "84岁独居"


@given(st.text(max_size=60))
def test_no_name_whatever_breaks_a_message(about: str) -> None:
    """Whatever stands in `about`, composing returns text with the code or the shorter wording."""
    assert "4031" in compose(Template.OTHER_GOES, FLAT_301, "zh", about)
