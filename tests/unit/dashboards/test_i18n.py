"""Claims about the catalogue: complete in both languages, nothing missing, nothing left over."""

import re
from collections.abc import Iterator
from functools import cache

import pytest

from dashboards.i18n import CATALOGUE, live_texts, pick_lang, text
from dashboards.render import FOLDER, STATIC

TEMPLATES = sorted(FOLDER.glob("templates/*.html"))
SCRIPTS = sorted(STATIC.glob("*.js"))

# t('key'), both("key"), word("prefix.", value), and keys put together: t('prefix.' + value)
CALL = re.compile(r"""\b(?:t|both|has|word)\(\s*(['"`])(?P<key>[^'"`]+)\1(?P<more>\s*[+%,)])""")
PICKED = re.compile(r"""['"](?P<key>[a-z]+\.[a-z_.]+)['"]""")


def used() -> Iterator[tuple[str, str]]:
    """(file, key or pattern) for every use of the catalogue; `*` where a value is put in."""
    for file in (*TEMPLATES, *SCRIPTS):
        for call in CALL.finditer(file.read_text("utf-8")):
            key = re.sub(r"\$\{[^}]+\}|%d", "*", call["key"])
            joined = call["more"].strip() in {"+", ","} and key.endswith(".")
            yield file.name, key + "*" if joined else key
    for file in TEMPLATES:
        # keys chosen by a condition: both('a' if x else 'b')
        for choice in re.finditer(r"\((?:[^()]*\bif\b[^()]*)\)", file.read_text("utf-8")):
            for picked in PICKED.finditer(choice[0]):
                yield file.name, picked["key"]
    for file in FOLDER.glob("*.py"):
        for named in re.finditer(r'"(s\.(?:ago|silent)\.[a-z]+)"', file.read_text("utf-8")):
            yield file.name, named[1]


@cache
def shape(pattern: str) -> re.Pattern[str]:
    """`*` stands for one value."""
    return re.compile(re.escape(pattern).replace(r"\*", r"[a-z0-9_:]+"))


def matches(pattern: str, key: str) -> bool:
    """Whether `key` is the pattern."""
    return bool(shape(pattern).fullmatch(key)) or (
        # 'group.' + group + '.none'
        pattern.endswith(".*") and key.startswith(pattern[:-1]) and key.endswith(".none")
    )


def test_both_languages_have_the_same_words() -> None:
    """The same keys in the same order, none empty, the same places to fill in."""
    zh, en = CATALOGUE["zh"], CATALOGUE["en"]
    assert list(zh) == list(en)
    for key, words in zh.items():
        assert words.strip(), key
        assert en[key].strip(), key
        holes = re.compile(r"\{\w+\}")
        assert sorted(holes.findall(words)) == sorted(holes.findall(en[key])), key


def test_no_template_or_script_asks_for_words_that_do_not_exist() -> None:
    """Every key in use is in the catalogue; a key put together has at least one member."""
    keys = CATALOGUE["zh"]
    uses = list(used())
    assert len(uses) > 100, "the search itself must keep finding the uses"
    missing = [(f, p) for f, p in uses if not any(matches(p, key) for key in keys)]
    assert missing == []


def test_no_words_are_left_over() -> None:
    """Whatever is in the catalogue is shown somewhere."""
    patterns = {pattern for _, pattern in used()}
    unused = [k for k in CATALOGUE["zh"] if not any(matches(p, k) for p in patterns)]
    assert unused == []


def test_scripts_get_all_the_words_they_ask_for() -> None:
    """The part of the catalogue embedded in the wall covers every key of every script."""
    embedded = live_texts("zh")
    scripts = {file.name for file in SCRIPTS}
    missing = [
        (f, p) for f, p in used() if f in scripts and not any(matches(p, k) for k in embedded)
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("prefix", "values"),
    [
        ("told.", "queued sending sent delivered failed undelivered cancelled"),
        ("outcome.", "safe helped ambulance false_alarm other checked_in restored"),
        ("role.", "steward substitute key_holder operator duty"),
        ("live.round.", "morning evening"),
        ("live.worst.", "ok waiting late offline claimed sos"),
        ("legend.", "none checked waiting late sos claimed offline away"),
        (
            "fault.",
            "battery_low mains_lost offline tamper steward_unreachable unknown_terminal_sos",
        ),
        ("fault.", "unreadable_sos unknown_number sms_provider blind broken_alert"),
        ("fault.", "ladder_broken unknown"),
        ("fault.", "rota_gap rounds_broken round_unreported terminal_left_behind notes_locked"),
        ("fault.", "register_broken"),
        ("role.", "befriender family street district"),
        ("a.target.", "steward_1 steward_2 befrienders family street district"),
        ("fault.", "ladder_broken unknown canary_lost building_power building_network"),
        ("fault.", "area_power area_network battery_soon unknown_terminal_lost"),
        ("login.error.", "wrong locked unavailable"),
        ("act.", "accept on_scene resolve escalate"),
    ],
)
def test_every_value_of_the_interface_has_words(prefix: str, values: str) -> None:
    """No state, role or fault that the server may send is shown as a bare code."""
    assert [v for v in values.split() if prefix + v not in CATALOGUE["zh"]] == []


def test_unknown_keys_and_languages() -> None:
    """A missing word is a defect that shows; a missing language is Chinese."""
    with pytest.raises(KeyError):
        text("zh", "no.such.words")
    assert text("en", "s.ago.minutes", {"n": 3}) == "3 min ago"
    assert pick_lang(None, "fr", "en") == "en"
    assert pick_lang("fr", None) == "zh"
