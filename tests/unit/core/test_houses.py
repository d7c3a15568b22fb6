"""How houses are numbered and called where one installation watches several communities."""

from dataclasses import replace

import pytest

from dashboards import houses as shown
from server.core import houses, speech
from server.core.messages import SHORT, Subject, compose, place, segments
from server.core.reports import Rounds, together
from server.core.request_sms import asked
from server.core.speech import Line
from server.core.words import SPOKEN_ONLY, Template
from server.pinyin import spelt
from xunlou.sample import guangdan

NAMES = {0: "广氮", 1: "棠德"}
LONG = "广州市天河区棠下街道棠德花苑第三期南社区"
DOOR = Subject(2, 3, "301", 84, lives_alone=True, code="4031", waited_min=9, community="棠德")
WRITTEN = [t for t in Template if t not in SPOKEN_ONLY]


@pytest.mark.parametrize(("series", "sign", "number"), [(0, 11, 11), (1, 2, 100_002),
                                                        (3, 99_999, 399_999)])  # fmt: skip
def test_a_number_says_series_and_sign(series: int, sign: int, number: int) -> None:
    """And the first community's is the number on the wall."""
    assert houses.numbered(series, sign) == number
    assert (houses.series(number), houses.sign(number)) == (series, sign)


@pytest.mark.parametrize(
    ("community", "house", "lang", "said"),
    [("", "2栋", "zh", "2栋"), ("棠德", "2栋", "zh", "棠德2栋"),
     ("棠德2", "2栋", "zh", "棠德2 2栋"),
     ("棠德２", "2栋", "zh", "棠德２ 2栋"), ("Tangde", "Bldg 2", "en", "Tangde Bldg 2"),
     ("棠德", "Bldg 2", "en", "棠德 Bldg 2")],
)  # fmt: skip
def test_a_name_stands_in_front_and_never_runs_into_the_number(
    community: str, house: str, lang: str, said: str
) -> None:
    """"棠德2" and house 2 are not house 22."""
    assert houses.beside(community, house, lang) == said


def test_whoever_has_one_community_needs_no_name() -> None:
    """Then there are no names."""
    assert houses.of(NAMES, 100_002) == "棠德"
    assert houses.of({}, 100_002) == ""


@pytest.mark.parametrize(
    ("subject", "lang", "said"),
    [(DOOR, "zh", "棠德2栋3楼301"), (replace(DOOR, community="Tangde"), "en",
                                  "Tangde Bldg 2 floor 3 flat 301"),
     (Subject(2, community="棠德"), "zh", "棠德2栋"),
     (replace(DOOR, city="天河区棠德路6号"), "zh", "天河区棠德路6号2栋3楼301")],
)  # fmt: skip
def test_an_address_says_the_community_unless_the_city_is_said(
    subject: Subject, lang: str, said: str
) -> None:
    """The address in the city is larger than the name, and says as much."""
    assert place(subject, lang) == said


@pytest.mark.parametrize("template", WRITTEN)
@pytest.mark.parametrize(("lang", "name"), [("zh", "棠德"), ("zh", LONG), ("en", spelt("棠德")),
                                            ("en", spelt(LONG)), ("en", "棠德")])  # fmt: skip
def test_every_message_with_a_name_is_one_segment(template: Template, lang: str, name: str) -> None:
    """About every resident of the sample; a long name is cut before it is left out. (An English
    text with Chinese in it has no room for much; that is why it spells names.)"""
    spells = lang == "zh" or name.isascii()
    for building, flat, _ in guangdan(buildings=12).flats_with_residents():
        for link in ("", f"https://x.cn/s/{'x' * 22}"):
            subject = replace(
                DOOR, building=building.number, floor=flat.floor, label=flat.label, community=name,
                labels=(flat.label, "302"), well=("401",), link=link,
            )  # fmt: skip
            text = compose(template, subject, lang, "safe")
            assert segments(text) == 1, text
            if spells and place(replace(subject, community=""), lang) in text:
                assert name[:SHORT].strip() in text


def test_a_name_that_does_not_fit_is_cut_and_one_that_can_not_be_is_left_out() -> None:
    """What to do comes before where exactly it is; the number is said in any case."""
    longer = replace(DOOR, community=LONG * 2)
    text = compose(Template.LAPSED, longer, "zh")
    assert f"{LONG[:SHORT]}2栋3楼301" in text
    assert segments(text) == 1
    text = compose(Template.PARTNER_UNREACHABLE, DOOR, "en", "Chen")
    assert "Xunlou: Bldg 2" in text
    assert segments(text) == 1


def test_a_call_says_the_name_before_the_house() -> None:
    """In front of the door, of a worklist's house, and behind nothing where the city is said."""
    words = speech.call(Template.SOS, DOOR, "zh")
    assert "棠德,2栋,3楼" in words.replace("，", ",")
    assert "Tangde, building 2" in speech.call(
        Template.MISSED, Subject(2, labels=("301",), community="Tangde"), "en"
    )
    city = {"zh": "棠德路6号", "en": "6 Tangde Road"}
    assert "6 Tangde Road, building 2" in speech.call(Template.CALL_120, DOOR, "en", city)
    assert "棠德" in speech.line(Line.NOTED, DOOR, "zh")
    assert "棠德" not in speech.line(Line.NOTED, replace(DOOR, community=""), "zh")


@pytest.mark.parametrize(("name", "said"), [("棠德", "Tangde"), ("Tangde", "Tangde"), ("", ""),
                                            ("员村 第三", "Yuancundisan")])  # fmt: skip
def test_an_english_text_spells_a_name(name: str, said: str) -> None:
    """So that it fits, and can be said."""
    assert spelt(name) == said


@pytest.mark.parametrize(
    ("text", "community", "building", "label", "words"),
    [("帮办 棠德2-301 灯坏了", "棠德", 2, "301", "灯坏了"),
     ("帮办 棠德 2栋301 灯坏了", "棠德", 2, "301", "灯坏了"),
     ("帮办 2-301 灯坏了", "", 2, "301", "灯坏了"),
     ("帮办 棠德 灯坏了", "棠德", None, "", "灯坏了")],
)  # fmt: skip
def test_a_request_may_name_the_community(
    text: str, community: str, building: int | None, label: str, words: str
) -> None:
    """In front of the door, where the sender walks houses of several."""
    found = asked(text, ("棠", "棠德"))
    assert found is not None
    assert (found.community, found.building, found.label) == (community, building, label)
    assert found.words == words


def test_the_rounds_of_several_communities_are_each_its_own() -> None:
    """And add up."""
    assert together([Rounds(2, 10, 8, 1, 1, 0), Rounds(1, 4, 3, 0, 0, 1)]) == Rounds(
        3, 14, 11, 1, 1, 1
    )
    assert together([]) == Rounds(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("key", "n", "lang", "names", "words"),
    [("p.house", 100_002, "zh", NAMES, "棠德2栋"), ("p.house", 100_002, "zh", {}, "2栋"),
     ("p.house", 11, "zh", {}, "11栋"), ("p.house", 11, "en", NAMES, "广氮 Building 11"),
     ("g.t.building_edit", 100_002, "zh", NAMES, "修改 棠德2栋"),
     ("g.t.building_edit", 100_002, "en", NAMES, "Change 棠德 building 2"),
     ("h.building", 100_002, "en", NAMES, "棠德 Bldg 2"), ("p.house", "", "zh", NAMES, "栋"),
     ("p.house", 100_002, "zh", {1: "棠德2"}, "棠德2 2栋")],
)  # fmt: skip
def test_a_page_says_the_number_on_the_wall(
    key: str, n: int | str, lang: shown.Lang, names: dict[int, str], words: str
) -> None:
    """By one rule for all words with a house in them; the pages' span is the server's."""
    assert shown.SPAN == houses.SPAN
    assert shown.said(lang, key, {"n": n}, names) == words


def test_a_table_says_the_number_on_the_wall() -> None:
    """A figure where there is one community, text where there are several."""
    assert [shown.cell(n, {}) for n in (None, 11, 100_002)] == [None, 11, 2]
    assert [shown.cell(n, NAMES) for n in (None, 11, 100_002)] == [None, "广氮 11", "棠德 2"]
