"""Logging in and out. Passwords are argon2id; sessions live on the server and end there."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping

from server.core import totp
from server.core.access import Scope
from server.database import Tx
from server.service.house import digest_of
from server.service.locks import Locks
from server.store import accounts, journal, scopes

TOUCH_EVERY = timedelta(seconds=60)
OVERTIME = timedelta(hours=2)
"""So long past its end a session goes on while somebody's call for help is open."""
LONGEST_AGENT = 80


class WrongLogin(Exception):
    """Name, password or code is wrong; which of them is not said."""


class PasswordOver(Exception):
    """The one-time password was right, and is too old."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Who it is, and what of the second factor is used up by it."""

    account: RowMapping
    step: int | None = None
    recovery: str | None = None
    better_hash: str | None = None
    by: str = ""
    """Who proved it, when it was not a password."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A session that counts: whose, for which houses, and whether its use is to be noted."""

    account: RowMapping
    scope: Scope
    touch: bool


def known_device(
    conn: Connection, locks: Locks, username: str, given: Sequence[str]
) -> str | None:
    """The name of a browser that has logged in to this account before, by one of the passes that it
    keeps; None for a stranger's."""
    account = accounts.by_username(conn, username.strip().lower())
    if account is None:
        return None
    known = (locks.knows_device(one, account["id"], account["password_at"]) for one in given)
    return next((name for name in known if name is not None), None)


def prove(
    conn: Connection, locks: Locks, username: str, password: str, code: str, now: datetime
) -> Proof:
    """Who it is. Raises WrongLogin, or PasswordOver; takes as long for an unknown name as for a
    wrong password.

    Runs on a reader's connection: hashing takes tens of milliseconds and must hold no write lock.
    """
    account = accounts.by_username(conn, username.strip().lower())
    fits = locks.fits(account["password_hash"] if account else None, password)
    if account is None or not fits or account["disabled_at"] is not None:
        raise WrongLogin
    better = None
    if locks.hasher.check_needs_rehash(account["password_hash"]):
        better = locks.hasher.hash(password)
    step = recovery = None
    if account["totp_on"]:
        secret = locks.totp_secret(account["id"], account["totp_nonce"])
        step = totp.matching_step(secret, code, now, account["totp_step"])
        if step is None:
            recovery = locks.code_digest(account["id"], code)
            if not accounts.has_code(conn, account["id"], recovery):
                raise WrongLogin
    if account["password_until"] is not None and account["password_until"] <= now:
        raise PasswordOver
    return Proof(account, step, recovery, better)


def vouched_for(conn: Connection, username: str) -> RowMapping | None:
    """The account of somebody whom the house's identity provider knows by this name; None when
    there is none here, or it is closed: nobody is made, and nobody let in again, from elsewhere."""
    account = accounts.by_username(conn, username)
    return account if account is not None and account["disabled_at"] is None else None


def start_session(tx: Tx, locks: Locks, proof: Proof, agent: str = "") -> str:
    """A new login's token. Raises WrongLogin when the code has been used meanwhile."""
    account = proof.account
    if proof.step is not None and not accounts.use_step(tx.conn, account["id"], proof.step):
        raise WrongLogin
    if proof.recovery is not None and not accounts.use_code(
        tx.conn, account["id"], proof.recovery
    ):
        raise WrongLogin
    if proof.better_hash is not None:
        accounts.change(tx.conn, account["id"], password_hash=proof.better_hash)
    token = secrets.token_urlsafe(32)
    accounts.forget_sessions(tx.conn, tx.now - tx.real(OVERTIME))
    accounts.add_session(
        tx.conn, digest=digest_of(token), account_id=account["id"], created_at=tx.now,
        seen_at=tx.now, expires_at=tx.now + tx.real(locks.life), agent=agent[:LONGEST_AGENT],
    )  # fmt: skip
    by = proof.by or ("recovery" if proof.recovery else "code" if proof.step else "password")
    journal.note(tx, "logged_in", by=account["username"], proof=by)
    return token


def visit(
    conn: Connection, locks: Locks, token: str, now: datetime, speed: float = 1.0
) -> Visit | None:
    """The session behind a cookie, while it counts: until its absolute end, and while it is used.

    A session that is in use does not end in the middle of somebody's call for help.
    """
    row = accounts.session(conn, digest_of(token))
    if row is None:
        return None
    seen = row["seen_at"] or row["expires_at"] - locks.life * speed
    if now - seen >= locks.idle_of(row["role"]) * speed:
        return None
    if now >= row["expires_at"]:
        over = now - row["expires_at"] >= OVERTIME * speed
        if over or not accounts.sos_is_open(conn):
            return None
    where = scopes.scope(conn, row["scope_level"], row["scope_id"])
    return Visit(row, where, now - seen >= TOUCH_EVERY * speed)


def touch(tx: Tx, digest: str) -> None:
    """A session was used."""
    accounts.touch(tx.conn, digest, tx.now)


def end_session(tx: Tx, token: str) -> None:
    """Log out; unknown tokens are fine."""
    accounts.end_session(tx.conn, digest_of(token))
