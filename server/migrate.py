"""Brings a database's schema to the newest form, or one step on (developers)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, make_url
from sqlmodel import SQLModel

from server import tables

assert tables  # the import fills the metadata
MIGRATIONS = Path(__file__).parent / "migrations"


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _connected(url: str) -> Iterator[Connection]:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    # No pool: a connection kept open would hold the database from whoever copies or drops it.
    with create_engine(url, poolclass=NullPool).connect() as connection:
        yield connection


def upgrade(url: str, to: str = "head") -> None:
    """Migrate the database at `url` forwards; creates it when SQLite's file is missing."""
    with _connected(url) as connection:
        command.upgrade(_config(connection), to)
        connection.commit()


def downgrade(url: str, to: str) -> None:
    """Migrate the database at `url` back to revision `to` ("base" empties it)."""
    with _connected(url) as connection:
        command.downgrade(_config(connection), to)
        connection.commit()


def newest() -> str:
    """The revision this code needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def in_order() -> list[str]:
    """Every revision this code can bring forward, the first one first. Their order is their chain,
    not their number: two that were written side by side are chained as they came in."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def known() -> set[str]:
    """Every revision this code can bring forward."""
    return set(in_order())


def current(url: str) -> str | None:
    """The revision the database at `url` is at; None while it is empty."""
    with _connected(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def drift(url: str) -> list[object]:
    """Differences between the database at `url` and the tables in code; empty when they agree."""
    with _connected(url) as connection:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, SQLModel.metadata))


def revise(url: str, message: str, number: str) -> None:
    """Write the next migration from what differs (developers): `number` like "0002"."""
    with _connected(url) as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=number)
