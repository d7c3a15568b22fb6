"""At which revision a database is, and which one this code needs: asked at every start, and so
without Alembic, which is nine MiB that a server has no use for once it runs."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, inspect, make_url, text

MIGRATIONS = Path(__file__).parent / "migrations"
_REVISION = re.compile(r"""^(revision|down_revision)\b[^=\n]*= *['"](\w+)['"]""", re.MULTILINE)


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection of its own, gone afterwards; makes the folder of SQLite's file."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    # No pool: a connection kept open would hold the database from whoever copies or drops it.
    with create_engine(url, poolclass=NullPool).connect() as connection:
        yield connection


def newest() -> str:
    """The revision this code needs: the one of which no other comes after."""
    revisions: set[str] = set()
    followed: set[str] = set()
    for file in (MIGRATIONS / "versions").glob("*.py"):
        found = dict(_REVISION.findall(file.read_text("utf-8")))
        revisions.add(found["revision"])
        followed.add(found.get("down_revision", ""))
    (head,) = revisions - followed
    return head


def current(url: str) -> str | None:
    """The revision the database at `url` is at; None while it is empty."""
    with connected(url) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
