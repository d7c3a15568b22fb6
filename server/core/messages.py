"""From an alert to the words of one SMS, always in one segment. Pure.

One segment is 160 characters of GSM-7, or 70 UTF-16 units as soon as one character is outside it
(3GPP TS 23.038); in several parts a segment holds 153 or 67.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from string import Formatter

from server.core import houses, texts_one_way
from server.core.texts import CATALOGUE, WORDS
from server.core.words import Outcome, Template

GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENDED = frozenset("^{}\\[~]|€\f")
GSM7_WHOLE = GSM7 | GSM7_EXTENDED
NAMED = frozenset({*Outcome, "all"})
"""What a text may be about that the catalogue has words for."""
SHORT = 6
"""Characters of a community's name that are said where all of it would not fit."""


def segments(text: str) -> int:
    """How many SMS segments `text` takes."""
    if GSM7_WHOLE.issuperset(text):
        units, single, part = sum(2 if c in GSM7_EXTENDED else 1 for c in text), 160, 153
    else:
        units, single, part = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if units <= single else -(-units // part)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a message is about. Deliberately has no room for health or access data."""

    building: int
    """The number on its wall."""
    floor: int | None = None
    label: str | None = None
    age: int | None = None
    lives_alone: bool = False
    code: str = ""
    labels: tuple[str, ...] = ()
    waited_min: int = 0
    link: str = ""
    test: bool = False
    late: bool = False
    terminal: str = ""
    """The terminal's id, where nobody has been given it: there is no door to name."""
    city: str = ""
    """The address in the city, in the recipient's language, for whom "building 11" says too little:
    the offices above the community, and whoever is to call 120."""
    well: tuple[str, ...] = ()
    """Flats of a worklist that have checked in late."""
    community: str = ""
    """The name of its community, for those who answer for houses or desks of several, and for the
    offices above where no address in the city is registered."""


@dataclass(frozen=True, slots=True)
class Ways:
    """How people can answer here. `two_way`: by SMS, and links get through; `calls`: we can ring
    them; `phone`: the duty telephone as people dial it, empty when there is none."""

    two_way: bool = True
    calls: bool = True
    phone: str = ""


def wordings(template: Template, lang: str, ways: Ways) -> Sequence[str]:
    """The wordings of a template that are true here, fullest first."""
    if ways.two_way:
        return CATALOGUE[lang][template]
    found = texts_one_way.CATALOGUE[lang].get(template, CATALOGUE[lang][template])
    return [
        w for w in found if (ways.phone or "{phone}" not in w) and (ways.calls or "{call}" not in w)
    ]


def language(lang: str) -> str:
    """The catalogue language for a person's preference; zh where we have no other."""
    return lang if lang in CATALOGUE else "zh"


def place(subject: Subject, lang: str) -> str:
    """The address as a neighbour says it: building, floor, flat."""
    words = WORDS[language(lang)]
    if subject.terminal:
        return words["terminal"].format(id=subject.terminal)
    if subject.label is None:
        door = words["building"].format(number=subject.building)
    else:
        door = words["floor"].format(
            number=subject.building, floor=subject.floor, label=subject.label
        )
    if subject.city:
        return subject.city + words["in_city"] + door
    return houses.beside(subject.community, door, language(lang))


def building(subject: Subject, lang: str) -> str:
    """The house alone, behind the name of its community."""
    number = WORDS[lang]["building"].format(number=subject.building)
    return houses.beside(subject.community, number, lang)


def who(subject: Subject, lang: str) -> str:
    """Age and living situation, as far as a helper needs them; never a name."""
    words = WORDS[language(lang)]
    parts = [words["age"].format(age=subject.age)] if subject.age is not None else []
    parts += [words["alone"]] if subject.lives_alone else []
    return (words["sep"] if lang == "en" else "").join(parts)


def _labels(labels: Sequence[str], shown: int, lang: str) -> str:
    words = WORDS[language(lang)]
    return words["mark"].join(labels[:shown]) + (words["more"] if shown < len(labels) else "")


@cache
def _named(wording: str) -> frozenset[str]:
    """What a wording of the catalogue names."""
    return frozenset(name for _, name, _, _ in Formatter().parse(wording) if name)


def fill(
    wording: str, subject: Subject, lang: str, about: str = "", ways: Ways | None = None,
    shown: int | None = None,
) -> str:
    """One wording about one subject; `shown`: how many flats it names, all when None."""
    ways, words = ways or Ways(), WORDS[lang]
    if about in NAMED or about.startswith("part."):
        about = words.get(about, about)  # somebody's name may begin so
    head = (words["test"] if subject.test else "") + (words["late"] if subject.late else "")
    named = _named(wording)  # each is words by itself: only those that are said are found
    says: dict[str, object] = {"code": subject.code, "about": about, "link": subject.link}
    if "place" in named:
        says["place"] = place(subject, lang)
    if "building" in named:
        says["building"] = building(subject, lang)
    if "who" in named:
        says["who"] = who(subject, lang)
    if "labels" in named:
        most = len(subject.labels) if shown is None else shown
        says["labels"] = _labels(subject.labels, most, lang)
    if "well" in named:
        says["well"] = _labels(subject.well, len(subject.well), lang)
    text = head + wording.format(
        **says, count=len(subject.labels), wells=len(subject.well), min=subject.waited_min,
        call=texts_one_way.CALL[lang], phone=ways.phone,
    )
    # A resident we know neither age nor living situation of leaves an empty clause.
    return text.replace("!。", "!").replace("! . ", "! ")


def compose(
    template: Template, subject: Subject, lang: str, about: str = "", ways: Ways | None = None
) -> str:
    """The words of one SMS, in one segment: the fullest wording that fits, listing as many flats
    as fit. The address in the city goes before all else that may be left out; the name of the
    community, cut short where it must be, goes last: another community has a house of that number.
    """
    text = _fullest(template, subject, lang, about, ways)
    if segments(text) == 1:
        return text
    nearer = replace(subject, city="")
    cut = replace(nearer, community=subject.community[:SHORT].rstrip())
    for said in dict.fromkeys((nearer, cut)):
        text = _fullest(template, said, lang, about, ways)
        if segments(text) == 1:
            return text
    return _fullest(template, replace(nearer, community=""), lang, about, ways)


def _fullest(
    template: Template, subject: Subject, lang: str, about: str, ways: Ways | None
) -> str:
    """The fullest wording that fits with all of the address; the shortest where none does."""
    lang = language(lang)
    text = ""
    for wording in wordings(template, lang, ways or Ways()):
        if "{link}" in wording and not subject.link:
            continue
        most = len(subject.labels) if "{labels}" in wording else 0
        # No door is left out for a link: who opens no pages walks by the text alone.
        least = most if "{link}" in wording else min(most, 1)
        for shown in range(most, least - 1, -1):
            text = fill(wording, subject, lang, about, ways, shown)
            if segments(text) == 1:
                return text
    return text
