"""`xunlou db check` and `xunlou db copy`: what they print. The work is in server/moving.py."""

import sys

from server import moving


def check(url: str) -> int:
    """Look a database through; 0 when nothing is wrong."""
    counts, wrong = moving.check(url)
    print(f"database: {moving.shown(url)}")
    for name, rows in counts.items():
        print(f"  {name}: {rows}")
    for fault in wrong:
        print(f"xunlou: {fault}", file=sys.stderr)
    print("nothing is wrong" if not wrong else f"{len(wrong)} thing(s) to mend")
    return 1 if wrong else 0


def copy(source: str, target: str) -> int:
    """Copy a whole database into an empty one; 0 when every row was found there again."""
    print(f"from {moving.shown(source)}\n  to {moving.shown(target)}")
    try:
        found = moving.copy(source, target, lambda line: print(f"  {line}"))
    except moving.CanNotMove as error:
        print(f"xunlou: {error}", file=sys.stderr)
        return 2
    rows = sum(table.rows for table in found.values())
    print(f"verified: {rows} rows in {len(found)} tables are the same in both")
    return 0
