"""Accounts, logins, recovery codes and programs' tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, update

from server import tables as t
from server.core.words import Kind, State
from server.store.signals import insert

ACCOUNT, SESSION = t.table(t.Account), t.table(t.Session)
CODE, TOKEN, ALERT = t.table(t.RecoveryCode), t.table(t.ApiToken), t.table(t.Alert)


def by_username(conn: Connection, username: str) -> RowMapping | None:
    """The account, if there is one."""
    query = select(ACCOUNT).where(ACCOUNT.c.username == username)
    return conn.execute(query).mappings().first()


def by_id(conn: Connection, account_id: int) -> RowMapping | None:
    """The account, if there is one."""
    return conn.execute(select(ACCOUNT).where(ACCOUNT.c.id == account_id)).mappings().first()


def everyone(conn: Connection) -> Sequence[RowMapping]:
    """All accounts by username."""
    return conn.execute(select(ACCOUNT).order_by(ACCOUNT.c.username)).mappings().all()


def add(conn: Connection, **row: Any) -> int:
    """A new account's id."""
    return int(conn.execute(insert(conn, ACCOUNT).values(**row).returning(ACCOUNT.c.id))
               .scalar_one())  # fmt: skip


def change(conn: Connection, account_id: int, **values: Any) -> None:
    """Set columns of an account."""
    conn.execute(update(ACCOUNT).where(ACCOUNT.c.id == account_id).values(**values))


def use_step(conn: Connection, account_id: int, step: int) -> bool:
    """Use a code up; False when it, or a later one, has been used already."""
    statement = update(ACCOUNT).where(ACCOUNT.c.id == account_id, ACCOUNT.c.totp_step < step)
    return conn.execute(statement.values(totp_step=step)).rowcount == 1


def active_administrators(conn: Connection) -> int:
    """How many administrators of everything can log in."""
    query = select(func.count()).where(
        ACCOUNT.c.role == "administrator", ACCOUNT.c.scope_level == "all",
        ACCOUNT.c.disabled_at.is_(None),
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())


def add_session(conn: Connection, **row: Any) -> None:
    """Remember a login by its token's hash."""
    conn.execute(insert(conn, SESSION).values(**row))


def session(conn: Connection, digest: str) -> RowMapping | None:
    """A login with its account, whatever its age; not of an account that was closed."""
    query = (
        select(ACCOUNT, SESSION.c.digest, SESSION.c.expires_at, SESSION.c.seen_at)
        .join(SESSION, SESSION.c.account_id == ACCOUNT.c.id)
        .where(SESSION.c.digest == digest, ACCOUNT.c.disabled_at.is_(None))
    )
    return conn.execute(query).mappings().first()


def sessions_of(conn: Connection, account_id: int, now: datetime) -> Sequence[RowMapping]:
    """The logins of an account that have not ended, the last used first."""
    query = (
        select(SESSION)
        .where(SESSION.c.account_id == account_id, SESSION.c.expires_at > now)
        .order_by(SESSION.c.seen_at.desc())
    )
    return conn.execute(query).mappings().all()


def touch(conn: Connection, digest: str, now: datetime) -> None:
    """This login was just used."""
    conn.execute(update(SESSION).where(SESSION.c.digest == digest).values(seen_at=now))


def end_session(conn: Connection, digest: str) -> None:
    """Log out."""
    conn.execute(delete(SESSION).where(SESSION.c.digest == digest))


def end_sessions(conn: Connection, account_id: int, *, but: str = "", like: str = "") -> int:
    """End all logins of an account but one, or the one whose hash begins `like`; how many."""
    statement = delete(SESSION).where(SESSION.c.account_id == account_id, SESSION.c.digest != but)
    if like:
        statement = statement.where(SESSION.c.digest.startswith(like, autoescape=True))
    return conn.execute(statement).rowcount


def forget_sessions(conn: Connection, before: datetime) -> None:
    """Drop logins that ended before this instant."""
    conn.execute(delete(SESSION).where(SESSION.c.expires_at < before))


def sos_is_open(conn: Connection) -> bool:
    """Whether somebody's call for help is not closed yet; tests aside."""
    query = select(ALERT.c.id).where(
        ALERT.c.kind == Kind.SOS, ALERT.c.state != State.RESOLVED, ALERT.c.test.is_(False)
    )
    return conn.execute(query.limit(1)).first() is not None


def set_codes(conn: Connection, account_id: int, digests: Sequence[str]) -> None:
    """Replace an account's recovery codes."""
    conn.execute(delete(CODE).where(CODE.c.account_id == account_id))
    if digests:
        rows = [{"account_id": account_id, "digest": d} for d in digests]
        conn.execute(insert(conn, CODE), rows)


def has_code(conn: Connection, account_id: int, digest: str) -> bool:
    """Whether this recovery code is there and unused."""
    query = select(CODE.c.digest).where(CODE.c.account_id == account_id, CODE.c.digest == digest)
    return conn.execute(query).first() is not None


def codes_left(conn: Connection, account_id: int) -> int:
    """How many recovery codes are unused."""
    query = select(func.count()).select_from(CODE).where(CODE.c.account_id == account_id)
    return int(conn.execute(query).scalar_one())


def use_code(conn: Connection, account_id: int, digest: str) -> bool:
    """Use a recovery code up; False when it is not there."""
    statement = delete(CODE).where(CODE.c.account_id == account_id, CODE.c.digest == digest)
    return conn.execute(statement).rowcount == 1


def add_token(conn: Connection, **row: Any) -> int:
    """A new token's id."""
    return int(conn.execute(insert(conn, TOKEN).values(**row).returning(TOKEN.c.id)).scalar_one())


def token(conn: Connection, digest: str) -> RowMapping | None:
    """A token that counts."""
    query = select(TOKEN).where(TOKEN.c.digest == digest, TOKEN.c.revoked_at.is_(None))
    return conn.execute(query).mappings().first()


def tokens(conn: Connection) -> Sequence[RowMapping]:
    """All tokens, the newest first, revoked ones too."""
    return conn.execute(select(TOKEN).order_by(TOKEN.c.id.desc())).mappings().all()


def token_used(conn: Connection, token_id: int, now: datetime) -> None:
    """A program was just here."""
    conn.execute(update(TOKEN).where(TOKEN.c.id == token_id).values(used_at=now))


def revoke_token(conn: Connection, token_id: int, now: datetime) -> RowMapping | None:
    """End a token; it, or None when there is none that counts."""
    statement = (
        update(TOKEN)
        .where(TOKEN.c.id == token_id, TOKEN.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(TOKEN)
    )
    return conn.execute(statement).mappings().first()
