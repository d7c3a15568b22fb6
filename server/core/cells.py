"""What stands in one cell of a register's table: a date, a telephone, a door, a word of a list.

Pure. Each reader takes the text of a cell and returns its value, or raises `Bad` with a named
reason that says what to write instead. An empty cell says nothing and changes nothing; `-` empties.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from enum import StrEnum
from typing import Final

from server.core.device_key import NO_TERMINALS
from server.core.words import Role

MOST_CHARACTERS: Final = 500
CLEARED: Final = ("-", "无")
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""


class Why(StrEnum):
    """Why a row, or a heading, was not taken."""

    NO_TABLE = "no_table"
    HEADING_MISSING = "heading_missing"
    HEADING_TWICE = "heading_twice"
    HEADING_UNKNOWN = "heading_unknown"
    EMPTY = "empty"
    TOO_MANY_CELLS = "too_many_cells"
    TOO_LONG = "too_long"
    NOT_A_NUMBER = "not_a_number"
    NOT_A_DATE = "not_a_date"
    NOT_A_PHONE = "not_a_phone"
    NOT_A_WORD = "not_a_word"
    NOT_A_TERMINAL = "not_a_terminal"
    NOT_A_FLAT = "not_a_flat"
    FLOOR_UNCLEAR = "floor_unclear"
    BORN_IN_FUTURE = "born_in_future"
    PAIR = "pair"
    TWICE_IN_FILE = "twice_in_file"
    NUMBER_OF_ANOTHER = "number_of_another"
    NUMBER_BEYOND = "number_beyond"
    REHEARSAL = "rehearsal"
    ON_REHEARSAL_LIST = "on_rehearsal_list"
    NO_BUILDING = "no_building"
    NO_RESIDENT = "no_resident"
    LIVES_ELSEWHERE = "lives_elsewhere"
    ENDED = "ended"
    NEEDED_FOR_NEW = "needed_for_new"
    TERMINAL_TAKEN = "terminal_taken"
    TERMINAL_BEYOND = "terminal_beyond"
    NOT_ENROLLED = "not_enrolled"
    HAS_TERMINAL = "has_terminal"
    TERMINAL_REVOKED = "terminal_revoked"
    NO_COMMUNITY = "no_community"
    NO_SUCH_COMMUNITY = "no_such_community"
    WHICH_COMMUNITY = "which_community"
    SAME_NAME = "same_name"
    COMMUNITY_BEYOND = "community_beyond"
    SAME_STEWARD = "same_steward"
    CLASS_KEPT = "class_kept"


class Bad(Exception):
    """A cell that can't be taken. `detail` names what it clashes with, never a secret."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(why.value)
        self.why = why
        self.detail = detail


def clean(raw: str, *, as_written: bool = False) -> str:
    """A cell's text: one width (unless `as_written`: prose keeps its punctuation), no spaces
    around, and without the apostrophe that an export puts before what a spreadsheet could run."""
    wide = raw if as_written else unicodedata.normalize("NFKC", raw)
    found = "".join(
        c if c == "\n" or c.isprintable() else " " * c.isspace() for c in wide
    ).strip()
    if found[:1] == "'" and found[1:2] in FORMULA:
        return found[1:].strip()
    return found


def safe(text: str) -> str:
    """A text as a CSV may carry it: no spreadsheet runs it. The inverse of `clean`."""
    return f"'{text}" if text.startswith(FORMULA) else text


def text(words: str) -> str:
    """Any text, at most MOST_CHARACTERS long."""
    if len(words) > MOST_CHARACTERS:
        raise Bad(Why.TOO_LONG, str(MOST_CHARACTERS))
    return words


def name(words: str) -> str:
    """A person's name: at most 64 characters, on one line."""
    if len(words) > 64:
        raise Bad(Why.TOO_LONG, "64")
    return " ".join(words.split())


def whole(words: str, least: int, most: int) -> int:
    """A whole number; "11栋" and "3楼" are 11 and 3."""
    found = re.fullmatch(r"(-?\d{1,9})(?:\.0+)?\s*(?:号楼|栋|幢|楼|层|号)?", words)
    if found is None or not least <= int(found[1]) <= most:
        raise Bad(Why.NOT_A_NUMBER, f"{least}–{most}")
    return int(found[1])


def building(words: str) -> int:
    """A building's number."""
    return whole(words, 1, 99_999)


def floor(words: str) -> int:
    """A storey; cellars are below 0."""
    return whole(words, -5, 200)


def resident_id(words: str) -> int:
    """The number under which a resident is registered."""
    return whole(words, 1, 999_999_999)


def flat(words: str) -> str:
    """A door's label: "301室" is 301."""
    label = words.replace(" ", "").removesuffix("室").removesuffix("房").upper()
    if not re.fullmatch(r"[\w.\-–/]{1,32}", label):
        raise Bad(Why.NOT_A_FLAT)
    return label


def floor_of(label: str) -> int:
    """The storey that a label carries: 3 of 301, 12 of A1203. The last two digits are the door."""
    found = re.fullmatch(r"(?:\D*|.*[-–/])(\d{1,3})\d\d[A-Z]?", label)
    if found is None or int(found[1]) == 0:
        raise Bad(Why.FLOOR_UNCLEAR)
    return int(found[1])


def birth_date(words: str) -> date:
    """A day like 1941-09-02, 1941/9/2, 1941.9.2, 1941年9月2日 or 19410902."""
    day_alone, _, _ = words.partition(" ")  # a spreadsheet may add an hour
    found = re.fullmatch(r"(\d{4})([-/.年]?)(\d{1,2})([-/.月]?)(\d{1,2})日?", day_alone)
    if found is None or (not found[2] and len(day_alone) != 8):
        raise Bad(Why.NOT_A_DATE)
    try:
        day = date(int(found[1]), int(found[3]), int(found[5]))
    except ValueError as error:
        raise Bad(Why.NOT_A_DATE) from error
    if day.year < 1890:
        raise Bad(Why.NOT_A_DATE)
    return day


def phone(words: str) -> str:
    """A telephone as E.164. Numbers without a country are China's: mobiles, and landlines with
    their area code."""
    digits = re.sub(r"[\s()\-–.]", "", words)
    if re.fullmatch(r"1\d{10}", digits):
        return f"+86{digits}"
    if re.fullmatch(r"0[1-9]\d{9,10}", digits):
        return f"+86{digits[1:]}"
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    if not re.fullmatch(r"\+[1-9]\d{6,14}", digits):
        raise Bad(Why.NOT_A_PHONE)
    return digits


def phone_text(number: str) -> str:
    """A number as a sheet carries it: China's mobiles in groups, which no spreadsheet takes for a
    figure. The inverse of `phone`."""
    local = re.fullmatch(r"\+86(1\d{2})(\d{4})(\d{4})", number)
    return " ".join(local.groups()) if local else number


def terminal(words: str) -> str:
    """A terminal's id, as it stands in its topics."""
    found = words.casefold()
    if not re.fullmatch(r"[a-z0-9-]{1,32}", found) or found in NO_TERMINALS:
        raise Bad(Why.NOT_A_TERMINAL)
    return found


SEX: Final[Mapping[str, str]] = {
    "女": "f", "f": "f", "female": "f", "男": "m", "m": "m", "male": "m",
}  # fmt: skip
LIVING: Final[Mapping[str, str]] = {
    "独居": "alone", "alone": "alone", "一个人": "alone",
    "夫妻": "couple", "老两口": "couple", "couple": "couple",
    "与家人": "family", "家人": "family", "与子女": "family", "family": "family",
}  # fmt: skip
CLASS: Final[Mapping[str, str]] = {
    "a": "A", "b": "B", "c": "C", "a类": "A", "b类": "B", "c类": "C",
}  # fmt: skip
LANG: Final[Mapping[str, str]] = {
    "zh": "zh", "中文": "zh", "chinese": "zh", "en": "en", "英文": "en", "english": "en",
}  # fmt: skip
OFFICE: Final[Mapping[str, str]] = {
    "值班": Role.DUTY, "值班室": Role.DUTY, "duty": Role.DUTY, "care centre": Role.DUTY,
    "街道": Role.STREET, "street": Role.STREET, "区": Role.DISTRICT, "district": Role.DISTRICT,
}  # fmt: skip


def one_of(words: str, choices: Mapping[str, str]) -> str:
    """A word of a list, in either language."""
    found = choices.get(words.casefold())
    if found is None:
        raise Bad(Why.NOT_A_WORD, "、".join(choices))
    return str(found)


def word_for(value: str, choices: Mapping[str, str], lang: str) -> str:
    """How a value is written in a file of ours: the first word for it in that language."""
    return next(
        (w for w, v in choices.items() if v == value and w.isascii() == (lang == "en")), value
    )


READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "id": resident_id, "building": building, "stairwell": name, "floor": floor, "flat": flat,
    "name": name, "birth_date": birth_date, "phone": phone, "terminal": terminal,
    "sex": lambda w: one_of(w, SEX), "living": lambda w: one_of(w, LIVING),
    "risk_class": lambda w: one_of(w, CLASS), "lang": lambda w: one_of(w, LANG),
    "role": lambda w: one_of(w, OFFICE), "risks": text, "access_notes": text, "key_place": text,
    "key_holder_phone": phone, "befriender_phone": phone, "family_phone": phone,
    "head_phone": phone, "second_phone": phone, "substitute_phone": phone,
}  # fmt: skip
"""How the cells of a column are read; every other column is a name."""
PROSE: Final = frozenset({"risks", "access_notes", "key_place"})
OPTIONAL: Final = frozenset({"phone", "risks", "access_notes", "key_place", "stairwell"})
"""What may be emptied by a dash."""


def value(key: str, raw: str) -> object:
    """What a cell of the column `key` (without its number) says: None says nothing, "" empties.
    Raises Bad."""
    words = clean(raw, as_written=key not in READERS or key in PROSE or key == "name")
    if not words:
        return None
    if words in CLEARED and key in OPTIONAL:
        return ""
    return READERS.get(key, name)(words)
