"""The words of a call, zh-CN first. Pure.

Address first, no names, no health: whoever picks up the telephone hears it. Figures are read one by
one, because "three oh one" is a door and "three hundred and one" is a number.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from server.core.messages import Subject, language
from server.core.words import Template

SAY_LANGUAGE: Mapping[str, str] = {"zh": "zh-CN", "en": "en-GB"}
"""What `<Say language>` is called."""


class Line(StrEnum):
    """What is said beside the call for help itself."""

    KEYS = "keys"
    KEYS_WELL = "keys_well"
    NOTED = "noted"
    CANT = "cant"
    CLOSED = "closed"
    GOING = "going"
    UNKNOWN_KEY = "unknown_key"
    WELL_NOTED = "well_noted"
    BYE = "bye"


CALLS: Mapping[str, Mapping[Template, str]] = {
    "zh": {
        Template.SOS: "巡楼求助。{place}。{place},有人求助。",
        Template.FALL: "巡楼跌倒报警。{place}。{place},有人跌倒。",
        Template.DUTY: "巡楼值班。{place}。{place},求助{min}分钟,还没有人去。",
        Template.CALL_120: "巡楼值班。请打120。{place}。{place},求助{min}分钟,没有人到门口。",
        Template.MISSED: "巡楼。{building}。{building},{doors}没有报平安,请去看看。",
        Template.ARE_YOU_WELL: "您好,这里是巡楼报平安。今天还没有收到您的平安。",
    },
    "en": {
        Template.SOS: "Xunlou. S O S at {place}. I repeat: {place}. Somebody needs help.",
        Template.FALL: "Xunlou. A fall at {place}. I repeat: {place}. Somebody has fallen.",
        Template.DUTY: "Xunlou, care centre. {place}. I repeat: {place}. "
        "Open for {min} minutes, and nobody is going.",
        Template.CALL_120: "Xunlou, care centre. Please call 1 2 0. {place}. I repeat: {place}. "
        "Open for {min} minutes, and nobody is at the door.",
        Template.MISSED: "Xunlou. {building}. I repeat: {building}. {doors}: no check-in. "
        "Please go and look.",
        Template.ARE_YOU_WELL: "Hello, this is Xunlou. We have not heard from you today.",
    },
}
LINES: Mapping[str, Mapping[Line, str]] = {
    "zh": {
        Line.KEYS: "您去,请按1。去不了,请按0。再听一遍,请按9。",
        Line.KEYS_WELL: "您平安,请按1。再听一遍,请按9。",
        Line.NOTED: "已记下,您前往{place}。谢谢您。",
        Line.CANT: "知道了,我们另叫人。谢谢您。",
        Line.CLOSED: "{place}的事已经了结,不用去了。谢谢您。",
        Line.GOING: "已经有人前往。您也可以同去。",
        Line.UNKNOWN_KEY: "没有听清。",
        Line.WELL_NOTED: "已记下您平安。祝您今天愉快。",
        Line.BYE: "没有收到您的按键。再见。",
    },
    "en": {
        Line.KEYS: "Press 1 if you are going. Press 0 if you can't. Press 9 to hear this again.",
        Line.KEYS_WELL: "Press 1 if you are well. Press 9 to hear this again.",
        Line.NOTED: "Noted: you are going to {place}. Thank you.",
        Line.CANT: "Noted. We are calling others. Thank you.",
        Line.CLOSED: "The matter at {place} is closed. There is no need to go. Thank you.",
        Line.GOING: "Somebody is already going. You may go too.",
        Line.UNKNOWN_KEY: "That was not understood.",
        Line.WELL_NOTED: "Noted: you are well. Have a good day.",
        Line.BYE: "No key was pressed. Goodbye.",
    },
}
PLACES: Mapping[str, tuple[str, str]] = {
    "zh": ("{number}栋", "{number}栋,{floor}楼,{label}"),
    "en": ("building {number}", "building {number}, floor {floor}, flat {label}"),
}
MARKS: Mapping[str, str] = {"zh": ",", "en": ", "}
NOBODYS: Mapping[str, str] = {"zh": "无主终端,{id}", "en": "a terminal without a resident, {id}"}


TEST: Mapping[str, str] = {"zh": "这是测试。", "en": "This is a test. "}
"""Before all else, in a drill and a rehearsal: as the SMS begins with its own word for it."""
DOORS: Mapping[str, tuple[str, str, str]] = {
    "zh": ("有{count}户", "{doors}", ","), "en": ("{count} flats", "flat {doors}", ", flat "),
}  # fmt: skip
"""Of a worklist: when they are many, when they are few, and what stands between two."""
MOST_DOORS = 4
"""So many can be kept in mind from a telephone call; of more, the number is said."""


def _one_by_one(label: str) -> str:
    return " ".join(re.findall(r"[A-Za-z0-9]|[^A-Za-z0-9\s]+", label))


def place(subject: Subject, lang: str) -> str:
    """The address as it is read aloud."""
    door = PLACES[language(lang)][1]
    if subject.terminal:
        return NOBODYS[language(lang)].format(id=_one_by_one(subject.terminal))
    if subject.label is None:
        return house(subject, lang)
    near = door.format(
        number=subject.building, floor=subject.floor, label=_one_by_one(subject.label)
    )
    return _behind(subject.community, near, lang)


def house(subject: Subject, lang: str) -> str:
    """The house alone as it is read aloud, behind the name of its community."""
    number = PLACES[language(lang)][0].format(number=subject.building)
    return _behind(subject.community, number, lang)


def _behind(larger: str, smaller: str, lang: str) -> str:
    """From the larger to the smaller, with a breath between; the smaller where that is all."""
    mark = MARKS[language(lang)]
    return f"{larger}{mark}{smaller}" if larger else smaller


def doors(labels: Sequence[str], lang: str) -> str:
    """The doors of a worklist as they are read aloud: whoever has no SMS learns them here alone."""
    many, few, mark = DOORS[language(lang)]
    if not 0 < len(labels) <= MOST_DOORS:
        return many.format(count=len(labels))
    return few.format(doors=mark.join(_one_by_one(label) for label in labels))


def call(
    template: Template, subject: Subject, lang: str, city: Mapping[str, str] | None = None
) -> str:
    """What a call says before it names the keys. Raises KeyError for words that are for SMS.
    `city`: the address in the city by language, for those who don't live here."""
    lang = language(lang)
    far = city[lang] if city else ""
    near = replace(subject, community="") if far else subject
    return (TEST[lang] if subject.test else "") + CALLS[lang][template].format(
        place=_behind(far, place(near, lang), lang),
        building=house(subject, lang),
        doors=doors(subject.labels, lang),
        min=subject.waited_min,
    )


def line(which: Line, subject: Subject, lang: str) -> str:
    """One of the other sentences of a call."""
    return LINES[language(lang)][which].format(place=place(subject, lang))
