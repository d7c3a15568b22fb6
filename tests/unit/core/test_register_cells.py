"""Each cell of a register's table is read the way people write it, or refused with a reason."""

from datetime import date

import pytest

from server.core import cells
from server.core.cells import Bad, Why, value
from server.core.columns import COLUMNS, Sheet, column_of, heading, key_of, read_header, which


@pytest.mark.parametrize(
    ("key", "raw", "expected"),
    [
        ("building", "11", 11),
        ("building", " 11栋 ", 11),
        ("building", "１１", 11),
        ("building", "11.0", 11),
        ("floor", "3楼", 3),
        ("floor", "-1", -1),
        ("flat", "301室", "301"),
        ("flat", "a301", "A301"),
        ("flat", "2-301", "2-301"),
        ("birth_date", "1941-09-02", date(1941, 9, 2)),
        ("birth_date", "1941/9/2", date(1941, 9, 2)),
        ("birth_date", "1941年9月2日", date(1941, 9, 2)),
        ("birth_date", "19410902", date(1941, 9, 2)),
        ("birth_date", "1941-09-02 00:00:00", date(1941, 9, 2)),
        ("phone", "138 0013 8000", "+8613800138000"),
        ("phone", "020-12345678", "+862012345678"),
        ("phone", "0044 20 7946 0000", "+442079460000"),
        ("phone", "'+442079460000", "+442079460000"),
        ("phone", "-", ""),
        ("phone", "", None),
        ("sex", "女", "f"),
        ("living", "独居", "alone"),
        ("living", "Couple", "couple"),
        ("risk_class", "A类", "A"),
        ("lang", "English", "en"),
        ("role", "值班室", "duty"),
        ("terminal", "GD-11-301", "gd-11-301"),
        ("stairwell", "无", ""),
        ("access_notes", "铁门,按两下", "铁门,按两下"),
        ("access_notes", "铁门，按两下；再敲窗", "铁门，按两下；再敲窗"),
        ("access_notes", "'=1+1", "=1+1"),
        ("access_notes", "一\n二", "一\n二"),
        ("name", "何 桂芳 ", "何 桂芳"),
        ("family", "何\u3000芳", "何 芳"),
    ],
)
def test_a_cell_is_read_as_people_write_it(key: str, raw: str, expected: object) -> None:
    """Widths, units, separators and words of both languages mean what they say."""
    assert value(key, raw) == expected


@pytest.mark.parametrize(
    ("key", "raw", "why"),
    [
        ("building", "十一", Why.NOT_A_NUMBER),
        ("building", "0", Why.NOT_A_NUMBER),
        ("floor", "201", Why.NOT_A_NUMBER),
        ("id", "x", Why.NOT_A_NUMBER),
        ("flat", "3/01;", Why.NOT_A_FLAT),
        ("birth_date", "1941-02-30", Why.NOT_A_DATE),
        ("birth_date", "2.9.1941", Why.NOT_A_DATE),
        ("birth_date", "1941902", Why.NOT_A_DATE),
        ("birth_date", "1841-09-02", Why.NOT_A_DATE),
        ("phone", "8613800138000x", Why.NOT_A_PHONE),
        ("phone", "1.38E+10", Why.NOT_A_PHONE),
        ("sex", "?", Why.NOT_A_WORD),
        ("terminal", "gd/11/#", Why.NOT_A_TERMINAL),
        ("terminal", "Gateway", Why.NOT_A_TERMINAL),
        ("terminal", "devices", Why.NOT_A_TERMINAL),
        ("access_notes", "长" * 501, Why.TOO_LONG),
        ("name", "长" * 65, Why.TOO_LONG),
    ],
)
def test_a_bad_cell_is_refused_with_its_reason(key: str, raw: str, why: Why) -> None:
    """Nothing is guessed: what can't be read is said."""
    with pytest.raises(Bad) as refused:
        value(key, raw)
    assert refused.value.why is why


@pytest.mark.parametrize(
    ("label", "storey"), [("301", 3), ("1203", 12), ("A301", 3), ("2-301", 3), ("301B", 3)]
)
def test_a_label_carries_its_floor(label: str, storey: int) -> None:
    """Nobody has to fill in a column that the door says."""
    assert cells.floor_of(label) == storey


@pytest.mark.parametrize("label", ["12", "001", "东", "12345678"])
def test_a_label_without_a_floor_is_not_guessed(label: str) -> None:
    """A steward who climbs to the wrong floor loses minutes."""
    with pytest.raises(Bad, match="floor_unclear"):
        cells.floor_of(label)


@pytest.mark.parametrize("number", ["+8613800138000", "+442079460000", "+862012345678"])
def test_a_number_that_goes_out_comes_in_again(number: str) -> None:
    """Written for a spreadsheet and read back, it is the same number, and no formula."""
    shown = cells.safe(cells.phone_text(number))
    assert not shown.startswith(cells.FORMULA)
    assert value("phone", shown) == number


def test_words_go_out_in_the_language_of_the_file() -> None:
    """And what has no word there goes out as it is."""
    assert cells.word_for("alone", cells.LIVING, "zh") == "独居"
    assert cells.word_for("alone", cells.LIVING, "en") == "alone"
    assert cells.word_for("", cells.SEX, "en") == ""


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("sheet", list(Sheet))
def test_our_own_headings_are_known(sheet: Sheet, lang: str) -> None:
    """Every heading that we write is read as its column, numbered ones too."""
    for column in COLUMNS[sheet]:
        assert key_of(sheet, heading(column, lang)) == column.key
        if column.many:
            assert key_of(sheet, heading(column, lang, 3)) == f"{column.key}:3"
            assert column_of(sheet, f"{column.key}:3") is column


def test_headings_are_known_in_any_case_and_width() -> None:
    """As they stand in files that people have kept for years."""
    assert key_of(Sheet.RESIDENTS, " DATE_of birth ") == "birth_date"
    assert key_of(Sheet.RESIDENTS, "房号") == "flat"
    assert key_of(Sheet.RESIDENTS, "姓名2") is None
    assert key_of(Sheet.RESIDENTS, "星座") is None


def test_a_table_is_known_by_its_headings() -> None:
    """What is missing, doubled or unknown is told; our own notes beside a row are neither."""
    assert which(["楼栋", "楼长"]) is Sheet.BUILDINGS
    assert which(["角色", "姓名", "电话"]) is Sheet.OFFICES
    assert which(["a", "b"]) is None
    found = read_header(Sheet.RESIDENTS, ["门牌", "姓名", "Name", "星座", "原因", ""])
    assert found.strangers == ("星座",)
    assert found.twice == ("name",)
    assert [c.key for c in found.missing] == ["building"]
