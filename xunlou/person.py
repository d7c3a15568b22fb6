"""`xunlou person …`: everything that is held of one person, and its end, from the shell.

Works on the database itself, with or without a running server, through the same use-cases as the
API. What leaves is written into a new file that only its owner reads; nothing of it is printed.
"""

import argparse
import asyncio
import getpass
import json
import os
from pathlib import Path
from typing import Any

from server.clock import Clock
from server.database import Database
from server.service import erasing, portability
from server.service.refusals import Refused, Unknown
from server.settings import Settings
from xunlou.notes_keys import vault_at


def run(args: argparse.Namespace, database_url: str) -> int:
    """0. Raises ValueError with what to do."""
    kind, row_id = ("resident", args.resident) if args.resident else ("person", args.contact)
    clock = Clock.parse(Settings().clock)
    database = Database(database_url, clock, vault_at(args.data))
    who = args.who or f"command ({getpass.getuser()})"
    if len(args.reason.strip()) < 2:
        raise ValueError("--reason: say why; it stands in journal and audit")
    try:
        if args.action == "export":
            return _export(database, kind, row_id, args.file, who, args.reason)
        done = asyncio.run(erasing.erase(database, kind, row_id, who=who, why=args.reason))
        print(f"erased: {kind} {row_id}. Backups made until now still hold them")
        for person_id in done.get("contacts_left", []):
            print(f"stood by nobody else: contact {person_id} "
                  f"(xunlou person erase --contact {person_id})")  # fmt: skip
    except (Refused, Unknown) as error:
        raise ValueError(str(error)) from error
    finally:
        database.close()
    return 0


def _export(
    database: Database, kind: str, row_id: int, file: Path, who: str, why: str
) -> int:
    gather = portability.resident if kind == "resident" else portability.person
    with database.reader.begin() as conn:
        found: dict[str, Any] = gather(conn, database.vault, row_id)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ValueError(f"{file} exists; give the name of a new file") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        database.transact(lambda tx: portability.note(tx, kind, row_id, who=who, why=why))
        json.dump(found, opened, ensure_ascii=False, indent=1)
    print(f"{file}: all that is held of {kind} {row_id}")
    for what in found["unreadable"]:
        print(f"! not in it, because its key is not here: {what}")
    return 1 if found["unreadable"] else 0
