"""Brings a database's schema to the newest form, or one step on (developers)."""

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlmodel import SQLModel

from server import tables
from server.schema import MIGRATIONS, connected
from server.store import partitions

assert tables  # the import fills the metadata


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str, to: str = "head") -> None:
    """Migrate the database at `url` forwards; creates it when SQLite's file is missing."""
    with connected(url) as connection:
        command.upgrade(_config(connection), to)
        connection.commit()


def upgrade_on(connection: Connection, to: str) -> None:
    """Migrate forwards in the transaction of this connection, which is the caller's to commit."""
    command.upgrade(_config(connection), to)


def downgrade(url: str, to: str) -> None:
    """Migrate the database at `url` back to revision `to` ("base" empties it)."""
    with connected(url) as connection:
        command.downgrade(_config(connection), to)
        connection.commit()


def in_order() -> list[str]:
    """Every revision this code can bring forward, the first one first. Their order is their chain,
    not their number: two that were written side by side are chained as they came in."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def known() -> set[str]:
    """Every revision this code can bring forward."""
    return set(in_order())


def drift(url: str) -> list[object]:
    """Differences between the database at `url` and the tables in code; empty when they agree."""
    with connected(url) as connection:
        context = MigrationContext.configure(connection, opts=comparing(connection))
        found: list[object] = list(compare_metadata(context, SQLModel.metadata))
        lacking = partitions.lacking(connection)
    return found + [f"{name} lacks UNIQUE {partitions.IDENTITY}" for name in lacking]


def comparing(connection: Connection) -> dict[str, Any]:
    """How Alembic is to compare: partitions are no tables of their own, and what is unique in each
    of them can't be declared of the whole (docs/adr/0035)."""
    parts = partitions.names(connection)

    def name(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in parts

    def thing(item: Any, _name: str | None, kind: str, reflected: bool, _other: object) -> bool:
        in_parts = kind == "unique_constraint" and item.table.name == "signal" and bool(parts)
        return reflected or not in_parts

    return {"include_name": name, "include_object": thing}


def revise(url: str, message: str, number: str) -> None:
    """Write the next migration from what differs (developers): `number` like "0002"."""
    with connected(url) as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=number)
