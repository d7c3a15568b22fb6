"""How we speak to PostgreSQL: each connection's settings, and what its driver needs to be told.

Loaded by server/database.py where the database is one.
"""

from typing import Any

from psycopg.adapt import Buffer
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Engine, create_engine, event

SESSION = {
    # A holder of locks that lost its machine must not keep the others from taking over: they have
    # ten seconds (takeover), and a use-case takes milliseconds.
    "idle_in_transaction_session_timeout": "6s",
    "statement_timeout": "30s",
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
    "jit": "off",  # our queries are short, and compiling one takes longer than running it
}


class _NoNul(StrDumper):
    """PostgreSQL keeps no NUL in a text. A mark in its place is better than a lost message."""

    def dump(self, obj: str) -> Buffer | None:
        """The text as it is stored."""
        return super().dump(obj.replace("\x00", "\ufffd"))


def engine(url: URL, *, writer: bool, pool: int) -> Engine:
    """An engine with up to `pool` connections and a few more. A reader writes nothing and sees one
    instant."""
    made = create_engine(
        url,
        pool_size=pool,
        max_overflow=4,  # as many as there are threads, and a few for commands
        pool_timeout=10,
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "tcp_user_timeout": 6000},
        # Writers decide on rows that they hold or compare; a reader sees one instant.
        isolation_level="READ COMMITTED" if writer else "REPEATABLE READ",
    )

    @event.listens_for(made, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.adapters.register_dumper(str, _NoNul)
        autocommit, connection.autocommit = connection.autocommit, True
        for name, value in SESSION.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        if not writer:
            connection.execute("SET default_transaction_read_only = on")
        connection.autocommit = autocommit

    return made
