"""Accounts and logins."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, select

from server import tables as t
from server.store.signals import insert

ACCOUNT, SESSION = t.table(t.Account), t.table(t.Session)


def by_username(conn: Connection, username: str) -> RowMapping | None:
    """The account, if there is one."""
    query = select(ACCOUNT).where(ACCOUNT.c.username == username)
    return conn.execute(query).mappings().first()


def put(conn: Connection, username: str, password_hash: str, name: str) -> None:
    """Create the account or replace its password."""
    conn.execute(
        insert(conn, ACCOUNT)
        .values(username=username, password_hash=password_hash, name=name)
        .on_conflict_do_update(
            index_elements=["username"], set_={"password_hash": password_hash}
        )
    )


def add_session(conn: Connection, digest: str, account_id: int, expires_at: datetime) -> None:
    """Remember a login by its token's hash."""
    conn.execute(
        insert(conn, SESSION).values(
            digest=digest, account_id=account_id, expires_at=expires_at
        )
    )


def session(conn: Connection, digest: str, now: datetime) -> RowMapping | None:
    """The account behind a login that has not ended."""
    query = (
        select(ACCOUNT)
        .join(SESSION, SESSION.c.account_id == ACCOUNT.c.id)
        .where(SESSION.c.digest == digest, SESSION.c.expires_at > now)
    )
    return conn.execute(query).mappings().first()


def end_session(conn: Connection, digest: str) -> None:
    """Log out."""
    conn.execute(delete(SESSION).where(SESSION.c.digest == digest))
