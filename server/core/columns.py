"""The columns of the register's three tables, under the names people give them.

Pure. A heading is Chinese or English, in any case, with any spaces; a column that may be there
several times carries a number ("钥匙保管人2", "Key holder 2").
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Sheet(StrEnum):
    """One table of the register."""

    OFFICES = "offices"
    BUILDINGS = "buildings"
    RESIDENTS = "residents"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `secret`: the way into a home or a matter of health; it leaves only for a reason
    that is logged, and its content is never repeated in a report. `many`: may be numbered."""

    key: str
    zh: str
    en: str
    also: tuple[str, ...] = ()
    secret: bool = False
    many: bool = False
    needed: bool = False


NOTES = ("行", "line", "原因", "reason", "列", "column")
"""Columns that we write beside rejected rows; a file that carries them can be read again."""

PLACE: tuple[Column, ...] = (
    Column("district", "区", "District", ("行政区",)),
    Column("street", "街道", "Street office", ("镇街", "street", "subdistrict")),
    Column("community", "社区", "Community", ("小区", "居委会")),
)
"""Which community a row is about. Only where there are several has it to be said."""
OF_PLACE = frozenset(c.key for c in PLACE)

COLUMNS: dict[Sheet, tuple[Column, ...]] = {
    Sheet.OFFICES: (
        *PLACE,
        Column("role", "角色", "Role", ("职责",), needed=True),
        Column("name", "姓名", "Name", needed=True),
        Column("phone", "电话", "Phone", ("手机", "手机号", "telephone", "mobile"), needed=True),
        Column("lang", "语言", "Language", ("lang",)),
    ),
    Sheet.BUILDINGS: (
        *PLACE,
        Column("building", "楼栋", "Building", ("栋", "栋号", "楼号", "幢", "building number"),
               needed=True),
        Column("head", "楼长", "Steward 1", ("第一位巡楼员", "building head", "head"), needed=True),
        Column("head_phone", "楼长电话", "Steward 1 phone", ("building head phone", "head phone"),
               needed=True),
        Column("second", "第二位巡楼员", "Steward 2", ("巡楼员2", "副楼长"), needed=True),
        Column("second_phone", "第二位巡楼员电话", "Steward 2 phone",
               ("巡楼员2电话", "副楼长电话"), needed=True),
        Column("substitute", "替补", "Substitute", many=True),
        Column("substitute_phone", "替补电话", "Substitute phone", many=True),
    ),
    Sheet.RESIDENTS: (
        Column("id", "编号", "ID", ("住户编号", "resident id")),
        *PLACE,
        Column("building", "楼栋", "Building", ("栋", "栋号", "楼号", "幢", "building number"),
               needed=True),
        Column("stairwell", "单元", "Stairwell", ("梯", "座", "entrance")),
        Column("floor", "楼层", "Floor", ("层",)),
        Column("flat", "门牌", "Flat", ("房号", "房间", "室", "room", "apartment"), needed=True),
        Column("name", "姓名", "Name", ("住户姓名", "resident"), needed=True),
        Column("birth_date", "出生日期", "Date of birth", ("生日", "出生年月日", "birth date",
                                                       "born", "birthday")),
        Column("sex", "性别", "Sex", ("gender",)),
        Column("living", "居住情况", "Living", ("居住", "与谁同住", "lives")),
        Column("risk_class", "等级", "Risk class", ("风险等级", "类别", "class")),
        Column("phone", "电话", "Phone", ("手机", "联系电话", "telephone", "mobile")),
        Column("terminal", "终端", "Terminal", ("终端编号", "设备编号", "terminal id", "device")),
        Column("risks", "健康提示", "Health notes", ("风险提示", "risks"), secret=True),
        Column("access_notes", "进门办法", "Access notes", ("进门方法", "access"), secret=True),
        Column("key_holder", "钥匙保管人", "Key holder", many=True),
        Column("key_holder_phone", "钥匙保管人电话", "Key holder phone", many=True),
        Column("key_place", "钥匙存放处", "Key place", ("钥匙在哪", "where the key is"),
               secret=True, many=True),
        Column("befriender", "结对帮扶人", "Befriender", ("帮扶人",), many=True),
        Column("befriender_phone", "结对帮扶人电话", "Befriender phone", ("帮扶人电话",),
               many=True),
        Column("family", "家人", "Family", ("家属", "relative"), many=True),
        Column("family_phone", "家人电话", "Family phone", ("家属电话", "relative phone"),
               many=True),
    ),
}  # fmt: skip
TITLES = {
    Sheet.OFFICES: ("值班与上级", "Offices"),
    Sheet.BUILDINGS: ("楼栋", "Buildings"),
    Sheet.RESIDENTS: ("住户", "Residents"),
}
"""The tables' own names, Chinese and English."""
MARKS = {
    Sheet.RESIDENTS: frozenset({"flat", "name"}),
    Sheet.BUILDINGS: frozenset({"building", "head"}),
    Sheet.OFFICES: frozenset({"role", "name"}),
}
"""The columns by which a table is known for what it is."""
_NUMBERED = re.compile(r"(.*?)([2-9]?)((?:电话|存放处|phone|place)?)")


def plain(heading: str) -> str:
    """A heading without width, case, spaces and punctuation: what is compared."""
    wide = unicodedata.normalize("NFKC", heading).casefold()
    return "".join(c for c in wide if c.isalnum())


def _names(sheet: Sheet) -> dict[str, Column]:
    return {
        plain(name): column
        for column in COLUMNS[sheet]
        for name in (column.key, column.zh, column.en, *column.also)
    }


_KNOWN = {sheet: _names(sheet) for sheet in Sheet}
_NOTED = frozenset(plain(name) for name in NOTES)


def key_of(sheet: Sheet, heading: str) -> str | None:
    """The key of a heading: `flat`, `key_holder`, `key_holder_phone:2`; None for a stranger."""
    words = plain(heading)
    if words in _KNOWN[sheet]:
        return _KNOWN[sheet][words].key
    parts = _NUMBERED.fullmatch(words)
    assert parts is not None, "the pattern takes every text"
    column = _KNOWN[sheet].get(parts[1] + parts[3])
    if column is None or not column.many or not parts[2]:
        return None
    return f"{column.key}:{parts[2]}"


def heading(column: Column, lang: str, number: int = 1) -> str:
    """How a column is headed in a file of ours. The inverse of `key_of`."""
    name = column.zh if lang == "zh" else column.en
    if number == 1:
        return name
    for tail in ("电话", "存放处", " phone", " place"):
        if name.endswith(tail):
            return f"{name.removesuffix(tail)}{'' if lang == 'zh' else ' '}{number}{tail}"
    return f"{name}{'' if lang == 'zh' else ' '}{number}"


def number_of(key: str) -> tuple[str, int]:
    """A key without its number, and the number: ("key_holder", 2) of "key_holder:2"."""
    base, _, number = key.partition(":")
    return base, int(number or 1)


def column_of(sheet: Sheet, key: str) -> Column:
    """The column of a key of `key_of`."""
    base, _ = number_of(key)
    return next(c for c in COLUMNS[sheet] if c.key == base)


def which(headings: Sequence[str]) -> Sheet | None:
    """Which table has these headings; None when it is none of ours."""
    for sheet, marks in MARKS.items():
        if marks <= {key_of(sheet, h) for h in headings}:
            return sheet
    return None


@dataclass(frozen=True, slots=True)
class Header:
    """A table's first line, understood: the key of each place, None where it is not read."""

    sheet: Sheet
    keys: tuple[str | None, ...]
    strangers: tuple[str, ...]
    twice: tuple[str, ...]
    missing: tuple[Column, ...]


def read_header(sheet: Sheet, headings: Sequence[str]) -> Header:
    """What a table's headings mean. `strangers`: headings we do not know (their cells are not
    read, and that is said); `twice` and `missing`: nothing can be read until they are mended."""
    keys = tuple(key_of(sheet, h) for h in headings)
    found = [k for k in keys if k is not None]
    return Header(
        sheet,
        keys,
        tuple(
            h for h, k in zip(headings, keys, strict=True)
            if k is None and plain(h) and plain(h) not in _NOTED
        ),
        tuple(sorted({k for k in found if found.count(k) > 1})),
        tuple(c for c in COLUMNS[sheet] if c.needed and c.key not in found),
    )  # fmt: skip
