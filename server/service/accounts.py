"""Logging in and out. Passwords are argon2id; sessions live on the server and end there."""

import secrets
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, RowMapping

from server.database import Tx
from server.service.house import digest_of
from server.store import accounts, journal

SESSION_LIFE = timedelta(hours=14)
"""A night shift and its handover; in real time."""
HASHER = PasswordHasher()
NOBODY = HASHER.hash("nobody has this password")


class WrongLogin(Exception):
    """Name or password is wrong; which of the two is not said."""


def set_password(tx: Tx, username: str, password: str, name: str) -> None:
    """Create the account or give it a new password. The caller must not log it."""
    accounts.put(tx.conn, username, HASHER.hash(password), name)


def check_password(conn: Connection, username: str, password: str) -> RowMapping:
    """The account. Raises WrongLogin; takes as long for an unknown name as for a wrong password.

    Runs on a reader's connection: hashing takes tens of milliseconds and must hold no write lock.
    """
    account = accounts.by_username(conn, username)
    try:
        HASHER.verify(account["password_hash"] if account else NOBODY, password)
    except (VerificationError, InvalidHashError):
        raise WrongLogin from None
    if account is None:
        raise WrongLogin
    return account


def start_session(tx: Tx, account: RowMapping) -> str:
    """A new login's token."""
    token = secrets.token_urlsafe(32)
    life = tx.real(SESSION_LIFE)
    accounts.add_session(tx.conn, digest_of(token), account["id"], tx.now + life)
    journal.note(tx, "logged_in", by=account["username"])
    return token


def end_session(tx: Tx, token: str) -> None:
    """Log out; unknown tokens are fine."""
    accounts.end_session(tx.conn, digest_of(token))
