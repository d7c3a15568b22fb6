"""`xunlou register`: the register from a file, and into one.

Works on the database itself, with or without a running server; what it writes goes through the
same use-cases as the page.
"""

import argparse
import getpass
from pathlib import Path

from server import schema
from server.clock import Clock
from server.core.columns import Sheet
from server.database import Database
from server.service.refusals import Refused
from server.service.register import exporting
from server.service.register.importing import Import
from server.service.register.words import explained
from server.settings import Settings
from server.sheets.reading import Unreadable
from server.sheets.writing import as_csv, as_xlsx
from xunlou.notes_keys import vault_at

ORDER = (Sheet.BUILDINGS, Sheet.OFFICES, Sheet.RESIDENTS)
MOST_SHOWN = 200


def run(args: argparse.Namespace, url: str) -> int:
    """0: all rows were taken; 1: some were rejected. Raises ValueError with what to do."""
    have, need = schema.current(url), schema.newest()
    if have != need:
        raise ValueError(f"the database is at revision {have}, this code needs {need}: "
                         "run `xunlou db upgrade`")  # fmt: skip
    database = Database(url, Clock.parse(Settings().clock), vault_at(args.data))
    who = args.who or f"command ({getpass.getuser()})"
    try:
        return (_import if args.action == "import" else _export)(database, args, who)
    except Unreadable as error:
        raise ValueError(f"{args.file}: {error}") from error
    except Refused as error:
        raise ValueError(f"{error} (--reason)") from error
    finally:
        database.close()


def _import(database: Database, args: argparse.Namespace, who: str) -> int:
    try:
        content = args.file.read_bytes()
    except OSError as error:
        raise ValueError(f"{args.file} can't be read: {error.strerror}") from error
    file = Import.of(content)
    if args.apply:
        for lot in file.lots():
            planner, _ = database.transact(
                lambda tx, lot=lot: file.take(  # type: ignore[misc]
                    tx, lot, who=who, why=args.reason, via="command"
                )
            )
            file.taken(planner)
    else:
        with database.reader.connect() as conn:
            file.dry_run(conn, database.clock.now(), database.vault.open)
    for change in file.changes[:MOST_SHOWN]:
        sign = "+" if change.what == "added" else "~"
        print(f"{sign} {change.line}: {change.title} {_fields(change.fields)}".rstrip())
    if len(file.changes) > MOST_SHOWN:
        print(f"  … {len(file.changes) - MOST_SHOWN} more")
    for problem in [*file.problems, *file.notes]:
        print(f"! {problem.line}: {explained(problem, args.lang)}")
    count = file.counts
    print(f"added {count['added']}, changed {count['changed']}, left {count['left']}, "
          f"rejected {count['rejected']}"
          + ("" if args.apply else "; nothing was written (--apply)"))  # fmt: skip
    if args.rejected is not None and (book := file.rejected(args.lang)) is not None:
        _new_file(args.rejected, book)
        print(f"rejected rows with their reasons: {args.rejected}")
    return 1 if count["rejected"] else 0


def _fields(fields: dict[str, tuple[object, object]]) -> str:
    return ", ".join(
        f"{name} …" if pair == (None, None) else f"{name}: {pair[0] or '–'} → {pair[1] or '–'}"
        for name, pair in fields.items()
    )


def _export(database: Database, args: argparse.Namespace, who: str) -> int:
    if args.file.suffix not in (".csv", ".xlsx"):
        raise ValueError("the file's name must end in .csv or .xlsx")
    found, _ = database.transact(
        lambda tx: exporting.export(
            tx, lang=args.lang, secrets=args.secrets, who=who, why=args.reason
        )
    )
    if args.file.suffix == ".xlsx":
        body = as_xlsx(found)
    else:
        table = found[ORDER.index(Sheet(args.sheet))]
        body = as_csv(table.headings, [row for _, row in table.rows])
    _new_file(args.file, body)
    print(f"{args.file}: {', '.join(f'{len(t.rows)} {t.title}' for t in found)}")
    return 0


def _new_file(path: Path, body: bytes) -> None:
    """A file that only its owner reads: names and addresses are in it."""
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            file.write(body)
    except FileExistsError as error:
        raise ValueError(f"{path} is there already; choose another name") from error
    except OSError as error:
        raise ValueError(f"{path} can't be written: {error.strerror}") from error
