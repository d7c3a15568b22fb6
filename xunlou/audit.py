"""`xunlou audit …`: whether what people saw and did still stands as it was written down."""

import argparse
import sys
from datetime import UTC

from server.app import locks_of
from server.core import chain
from server.database import Tx
from server.service import auditing
from server.settings import Settings
from server.store import audit
from xunlou.account import write

FAULTS: dict[str, str] = {
    "changed": "was changed, or the one before it was taken away",
    "missing": "is missing",
    "cut_off": "and what follows were cut off: the checkpoint was further on",
    "other_chain": "is not the one of the checkpoint: the chain was written anew",
}


def _show(tx: Tx, limit: int) -> list[str]:
    return [
        f"{row['position'] or '-':>6} {row['at'].astimezone(UTC):%Y-%m-%d %H:%M:%S}Z "
        f"{row['who']}  {row['what']}  {row['about']}"
        for row in reversed(audit.newest(tx.conn, limit))
    ]


def run(args: argparse.Namespace, database_url: str) -> int:
    """Do it; 1 when the chain does not hold."""
    settings = Settings(database_url=database_url)
    key = auditing.key_of(locks_of(settings).key)

    def act(tx: Tx) -> tuple[int, list[str]]:
        if args.action == "show":
            return 0, _show(tx, args.limit)
        while auditing.seal(tx, key):
            pass
        if args.action == "checkpoint":
            return 0, [str(auditing.checkpoint(tx.conn))]
        known = chain.Checkpoint.parse(args.checkpoint) if args.checkpoint else None
        found = auditing.verify(tx.conn, key, known)
        if isinstance(found, chain.Broken):
            return 1, [f"BROKEN: entry {found.position} {FAULTS[found.fault]}"]
        return 0, [f"whole: {found.position} entries; checkpoint {found}"]

    code, lines = write(settings, act)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return code
