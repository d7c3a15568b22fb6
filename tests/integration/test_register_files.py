"""An office's spreadsheet becomes the register, and comes out of it again, and nobody gets lost."""

import base64
import csv
import io
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import func, select
from staff_kit import login, make_account
from test_register_pages import staff
from town import GRANNY, MARCH_14, Hand, Town, a_town, lay_out

from server import migrate
from server import tables as t
from server.sheets.reading import tables
from xunlou.cli import main

HERE = pytest.mark.sqlite_only(reason="the command is given a directory")
OFFICE = """区,街道,社区,楼栋,楼长,楼长电话,第二位巡楼员,第二位巡楼员电话,替补,替补电话
天河,石牌,广氮,1,梁玉珍,100 1000 0101,陈国栋,100 1000 0102,冯志强,100 1000 0103
"""
DUTY = "角色,姓名,电话\n值班,李文静,10010000001\n"
PEOPLE = """楼栋,门牌,姓名,出生日期,性别,居住情况,终端,钥匙保管人,钥匙保管人电话,进门办法,星座
1,301,何桂芳,1941-09-02,女,独居,gd-1-301,黄秀兰,100 1000 0201,铁门打不开,处女
1,302,王建国,1950年1月2日,男,夫妻,,,,,
1,303,赵一,1950-13-45,男,夫妻,,,,,
9,101,钱二,1950-01-02,男,独居,,,,,
1,302,王建国,1950年1月2日,男,夫妻,,,,,
1,304,孙三,1950-01-02,男,独居,gd-1-301,,,,
"""


async def send(town: Town, content: bytes, **query: Any) -> dict[str, Any]:
    """A file to the API; its report."""
    why = quote(query.pop("reason", ""))
    answer = await town.api.post("/api/v1/register/import", params={"dry_run": "true", **query},
                                 content=content, headers={"X-Reason": why})  # fmt: skip
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def count(town: Town, model: Any) -> int:
    """How many rows there are."""
    query = select(func.count()).select_from(t.table(model))
    return int(await town.runtime.database.read(lambda c: c.execute(query).scalar_one()))


def run(*words: str) -> tuple[int, str]:
    """The command; its exit code and what it printed."""
    out = io.StringIO()
    with redirect_stdout(out):
        code = main(["register", *words])
    return code, out.getvalue()


@HERE
def test_a_new_office_begins_with_its_own_spreadsheets(tmp_path: Path) -> None:
    """Houses with stewards, the desk, residents: by the command, into an empty register. The good
    rows are taken, each bad one is listed with line, column and reason and comes back as a file;
    mended and taken again it adds only what was missing."""
    migrate.upgrade(f"sqlite:///{tmp_path / 'xunlou.db'}")
    for name, text in (("houses", OFFICE), ("duty", DUTY)):
        (tmp_path / f"{name}.csv").write_text(text, encoding="gb18030")
        words = ("import", str(tmp_path / f"{name}.csv"), "--data", str(tmp_path))
        assert run(*words)[0] == 0
        assert run(*words, "--apply")[0] == 0
    people, back = tmp_path / "people.csv", tmp_path / "back.xlsx"
    people.write_text(PEOPLE, encoding="utf-8-sig")
    code, told = run("import", str(people), "--data", str(tmp_path))
    assert code == 1
    assert "added 2, changed 0, left 0, rejected 4; nothing was written" in told
    words = ("import", str(people), "--apply", "--rejected", str(back), "--data", str(tmp_path))
    code, told = run(*words)
    assert code == 1
    assert "added 2, changed 0, left 0, rejected 4\n" in told
    for reason in (
        "! 1: 星座: 认不出这个标题",
        "! 4: 出生日期: 不是日期,请写成 1941-09-02",
        "! 5: 楼栋: 9栋还没有登记",
        "! 6: 姓名: 与第 3 行重复",
        "! 7: 终端: 与第 2 行重复",
    ):
        assert reason in told
    (table,) = tables(back.read_bytes())
    assert next(row[-2:] for _, row in table.rows) == ("4", "出生日期: 不是日期,请写成 1941-09-02")
    assert len(table.rows) == 4
    mended = back.with_name("mended.csv")
    with mended.open("w", newline="", encoding="utf-8") as file:
        rows = [list(row) for _, row in table.rows]
        rows[0][3], rows[3][6] = "1950-12-25", ""
        csv.writer(file).writerows([table.headings, *rows])
    code, told = run("import", str(mended), "--apply", "--data", str(tmp_path))
    assert "added 2, changed 0, left 1, rejected 1\n" in told, told


async def test_what_goes_out_and_comes_in_again_changes_nothing(tmp_path: Path) -> None:
    """The whole register as a workbook, in both languages, with the ways in: taken again, every
    row is left as it is, and no row of the database is new."""
    async with a_town(tmp_path) as town:
        before = [await count(town, m) for m in (t.Resident, t.Person, t.Assignment, t.Flat)]
        for lang in ("zh", "en"):
            query = {"lang": lang, "secrets": True, "reason": "a copy for the night"}
            answer = await town.api.post("/api/v1/register/export", json=query)
            assert answer.status_code == 200
            for dry_run in ("true", "false"):
                told = await send(town, answer.content, dry_run=dry_run)
                assert told["problems"] == []
                assert told["changes"] == []
                assert {k: v for k, v in told["counts"].items() if v} == {
                    "left": told["counts"]["left"]
                }
        assert [
            await count(town, m) for m in (t.Resident, t.Person, t.Assignment, t.Flat)
        ] == before
        sheet = await town.api.post("/api/v1/register/export", json={"format": "csv"})
        text = sheet.content.decode("utf-8-sig")
        assert "何桂芳" in text
        assert "铁门" not in text, "the way in leaves only for a reason"
        refused = await town.api.post("/api/v1/register/export", json={"secrets": True})
        assert refused.status_code == 409
        exported = [e for e in await town.journal() if e["kind"] == "register_exported"]
        assert [e["data"]["secrets"] for e in exported] == [True, True, False]
        assert exported[0]["data"]["why"] == "a copy for the night"


async def test_an_edited_row_shows_its_difference_and_is_taken_once(tmp_path: Path) -> None:
    """A telephone, a note on health that makes her class A, a new daughter: each before and after,
    the note itself not shown; a change is in the history; a second time there is nothing to do.
    A person of another number's name, a moved and an unknown resident are refused."""
    async with a_town(tmp_path) as town:
        found = (await town.residents(11))
        lives = next(r for r in found.values() if r["risk_class"] == "B" and r["living"] == "alone")
        number, flat = lives["id"], lives["flat"]
        text = (
            "ID,Building,Flat,Name,Phone,Health notes,Risk class,Family,Family phone\n"
            f"{number},11,{flat},{lives['name']},020-12345678,unsteady,B,何小妹,10011000999\n"
            f"{number + 1},12,{flat},Somebody,,,,,\n"
            f"99999,11,{flat},Somebody,,,,,\n"
            f",11,301,何桂芳,,,,Not Her Name,10011000101\n"
        ).encode()
        dry = await send(town, text, lang="en")
        assert dry["counts"] == {"added": 0, "changed": 1, "left": 0, "rejected": 3}
        assert [(p["line"], p["column"], p["why"]) for p in dry["problems"]] == [
            (3, "Flat", "lives_elsewhere"), (4, "ID", "no_resident"),
            (5, "Family", "number_of_another"),
        ]  # fmt: skip
        assert [(n["line"], n["why"]) for n in dry["notes"]] == [(2, "class_kept")]
        fields = {k: v for c in dry["changes"] for k, v in c["fields"].items()}
        assert fields["phone"] == {"before": "", "after": "+862012345678"}
        assert fields["risks"] == {"before": None, "after": None}
        assert fields["risk_class"] == {"before": "B", "after": "A"}
        assert fields["family"]["after"] == "何小妹 100 1100 0999"
        assert (await town.residents(11))[flat]["risk_class"] == "B", "a dry run writes nothing"
        query = {"dry_run": "false", "rejected": "true", "reason": "三月名单 March list"}
        done = await send(town, text, **query)
        assert done["counts"] == dry["counts"]
        (back,) = tables(base64.b64decode(done["rejected_xlsx"]))
        assert [row[-2] for _, row in back.rows] == ["3", "4", "5"]
        assert (await town.residents(11))[flat]["risk_class"] == "A"
        again = await send(town, text, dry_run="false")
        assert again["counts"] == {"added": 0, "changed": 0, "left": 1, "rejected": 3}
        strange = await send(town, "不是登记表\n何桂芳\n".encode(), rejected="true")
        (back,) = tables(base64.b64decode(strange["rejected_xlsx"]))
        assert [row[0] for _, row in back.rows] == ["何桂芳"], "nothing of ours, and given back"
        change = t.table(t.RegisterChange)
        rows = await town.runtime.database.read(
            lambda c: c.execute(select(change).order_by(change.c.id)).mappings().all()
        )
        assert {(r["by"], r["why"], r["via"], r["subject"]) for r in rows} == {
            ("api", "三月名单 March list", "api", f"resident:{number}")
        }
        assert "unsteady" not in str([dict(r) for r in rows])
        in_address = await town.api.post("/api/v1/register/import", params={"reason": "何桂芳"},
                                         content=text)  # fmt: skip
        assert in_address.status_code == 422, "an address ends up in logs"
        assert "X-Reason" in in_address.json()["detail"]


async def test_a_new_resident_is_awaited_from_the_next_round_on(tmp_path: Path) -> None:
    """Registered with a terminal at 05:50, ten minutes before the round is due: she is not missed
    at six, but watched in the evening; without a terminal nobody is awaited, and a press on the
    new terminal calls the stewards at once."""
    async with a_town(tmp_path, MARCH_14.replace(hour=5, minute=50)) as town:
        text = ("楼栋,门牌,姓名,出生日期,居住情况,终端\n11,999,新住户,1940-01-01,独居,gd-new\n"
                "11,998,无终端,1940-01-01,独居,\n").encode()  # fmt: skip
        told = await send(town, text, dry_run="false")
        assert told["counts"]["added"] == 2
        new = await town.residents(11)
        assert new["998"]["next_due_ms"] is None
        due = MARCH_14.replace(hour=19, minute=5)
        assert new["999"]["next_due_ms"] == due.timestamp() * 1000
        await town.press(terminal="gd-new")
        assert "999" in (await town.phone("+8610011000101"))[0]


async def test_staff_compare_then_write_with_a_browser_without_scripts(tmp_path: Path) -> None:
    """Choose, read the difference, get the rejected rows, write. A stranger gets nowhere, and a
    form from another site neither."""
    async with a_town(tmp_path) as town:
        await make_account(town, "keeper", "coordinator")
        browser = await login(town, "keeper")
        file = {"file": ("people.csv", PEOPLE.replace("gd-1-301", "gd-x").encode(), "text/csv")}
        page = (await browser.post("/register/import", files=file)).raise_for_status().text
        assert "还没有写入" in page
        assert "9栋" not in page or "出生日期" in page
        packed = re.search(r'name="packed" value="([^"]+)"', page)
        assert packed is not None
        form = {"packed": packed[1]}
        back = await browser.post("/register/rejected", data=form)
        assert back.headers["content-disposition"].endswith('"rejected.xlsx"')
        assert len(tables(back.content)[0].rows) >= 2
        before = await count(town, t.Resident)
        page = (await browser.post("/register/apply", data=form)).raise_for_status().text
        assert "已写入" in page
        assert await count(town, t.Resident) > before
        assert "铁门打不开" not in page
        broken = await browser.post("/register/apply", data={"packed": "AAAA"})
        assert broken.status_code == 422
        foreign = await browser.post("/register/apply", data=form, headers={"origin": "http://x"})
        assert foreign.status_code == 403
        book = await browser.post("/register/export", data={"secrets": "yes", "reason": ""})
        assert book.status_code == 422
        book = await browser.post("/register/export", data={})
        assert book.content[:2] == b"PK"
        async with httpx.AsyncClient(base_url=town.url) as stranger:
            for path in ("import", "apply", "rejected", "export"):
                assert (await stranger.post(f"/register/{path}", files=file)).status_code == 401
            assert (await stranger.get("/register")).status_code == 303
        await browser.aclose()
        await make_account(town, "house", "coordinator", "building", "11")
        one = await login(town, "house")
        for path in ("import", "export"):
            answer = await one.post(f"/register/{path}", files=file)
            assert answer.status_code == 403, "a file may name any house"
        await one.aclose()


@HERE
def test_the_command_says_what_to_do(tmp_path: Path) -> None:
    """An old database, a missing file, a name in use, secrets without a reason."""
    lay_out(tmp_path, Hand(MARCH_14))
    (tmp_path / "town.db").rename(tmp_path / "xunlou.db")
    data = ("--data", str(tmp_path))
    out = tmp_path / "out.xlsx"
    assert main(["register", "import", str(tmp_path / "none.csv"), *data]) == 2
    assert main(["register", "export", str(out), "--secrets", *data]) == 2
    assert main(["register", "export", str(tmp_path / "out.txt"), *data]) == 2
    assert main(["register", "export", str(out), *data]) == 0
    assert out.stat().st_mode & 0o077 == 0
    assert main(["register", "export", str(out), *data]) == 2
    assert GRANNY in str(tables(out.read_bytes()))


async def test_a_resident_is_found_by_the_sound_of_the_name(tmp_path: Path) -> None:
    """A volunteer from another province types what she hears: the whole pinyin, its beginning, or
    the initials. What stands in the middle of a syllable finds nobody by chance."""
    async with a_town(tmp_path) as town, staff(town) as browser:
        for words, found in (
            ("heguifang", True), ("He Gui", True), ("hgf", True), ("桂芳", True), ("eguif", False),
            ("%", False),
        ):  # fmt: skip
            page = (await browser.post("/residents", data={"words": words})).text
            assert ("何桂芳" in page) is found, words
