"""Ten thousand residents from one file: compared, taken, compared again.

    python -m tests.bench.register                    # of one community
    python -m tests.bench.register --communities 13   # of a street office's
"""

import argparse
import tempfile
import time
from pathlib import Path

from server import migrate
from server.clock import Clock
from server.database import Database
from server.service.register.importing import Import
from server.sheets.reading import Table
from server.sheets.writing import as_csv, as_xlsx
from server.vault import Vault, fresh
from tests.bench.kit import emit, percentile

RESIDENTS, HOUSES = 10_000, 400
FLOORS = 10


def place(house: int, communities: int) -> tuple[str, str]:
    """The community of a house, and the number on its wall there."""
    which, sign = (house - 1) % communities, (house - 1) // communities + 1
    return ("广氮", str(house)) if communities == 1 else (f"第{which + 1}社区", str(sign))


def houses(communities: int) -> Table:
    """Four hundred houses with two stewards each."""
    rows = tuple(
        (n + 1, (*place(n, communities), f"楼长{n}", f"100{n:04}0001", f"巡楼员{n}",
                 f"100{n:04}0002"))
        for n in range(1, HOUSES + 1)
    )
    return Table("楼栋", ("社区", "楼栋", "楼长", "楼长电话", "第二位巡楼员",
                        "第二位巡楼员电话"), rows)  # fmt: skip


def residents(communities: int) -> Table:
    """Each with a terminal, a key holder and a way in."""
    rows = []
    for n in range(RESIDENTS):
        house, door = n % HOUSES + 1, n // HOUSES
        label = f"{door % FLOORS + 1}{door // FLOORS + 1:02}"
        rows.append((n + 2, (
            *place(house, communities), label, f"住户{n}", f"19{30 + n % 28}-0{n % 9 + 1}-15",
            "女" if n % 2 else "男", "独居" if n % 3 else "夫妻", f"gd-{house}-{label}", f"邻居{n}",
            f"101{n:08}", "敲三下", "在鞋柜里",
        )))  # fmt: skip
    return Table("住户", ("社区", "楼栋", "门牌", "姓名", "出生日期", "性别", "居住情况", "终端",
                        "钥匙保管人", "钥匙保管人电话", "进门办法", "钥匙存放处"),
                 tuple(rows))  # fmt: skip


def main() -> None:
    """Measure and print one JSON line a form of file."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--communities", type=int, default=1)
    communities = words.parse_args().communities
    for form in ("csv", "xlsx"):
        with tempfile.TemporaryDirectory(prefix="xunlou-bench-") as folder:
            url = f"sqlite:///{Path(folder) / 'xunlou.db'}"
            migrate.upgrade(url)
            database = Database(url, Clock.parse(""), Vault(fresh()))
            _take(database, as_xlsx([houses(communities)]), [])
            table = residents(communities)
            content = (
                as_xlsx([table]) if form == "xlsx"
                else as_csv(table.headings, [row for _, row in table.rows])
            )  # fmt: skip
            begun = time.perf_counter()
            held: list[float] = []
            file = _take(database, content, held)
            taken_s = time.perf_counter() - begun
            begun = time.perf_counter()
            again = Import.of(content)
            with database.reader.connect() as conn:
                again.dry_run(conn, database.clock.now(), database.vault.open)
            compared_s = time.perf_counter() - begun
            database.close()
            assert file.counts == {"added": RESIDENTS}
            assert again.counts == {"left": RESIDENTS}
            emit(bench="register", form=form, residents=RESIDENTS, communities=communities,
                 taken_s=taken_s, compared_again_s=compared_s,
                 longest_lot_s=percentile(held, 1.0))  # fmt: skip


def _take(database: Database, content: bytes, held: list[float]) -> Import:
    """Take a file; notes how long each lot held the database."""
    file = Import.of(content)
    for lot in file.lots():
        begun = time.perf_counter()
        planner, _ = database.transact(
            lambda tx, lot=lot: file.take(tx, lot, who="bench", why="", via="command")  # type: ignore[misc]
        )
        held.append(time.perf_counter() - begun)
        file.taken(planner)
    return file


if __name__ == "__main__":
    main()
