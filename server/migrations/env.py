"""How Alembic reaches the database: the connection is handed in by server/migrate.py."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from server import migrate, tables

assert tables  # the import fills the metadata


def render_item(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Migrations must not depend on today's code: an instant is a BIGINT, a string a VARCHAR."""
    if kind == "type" and isinstance(item, tables.Instant):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_item=render_item,
    render_as_batch=True,
    compare_type=True,
    **migrate.comparing(connection),
)
with context.begin_transaction():
    context.run_migrations()
