"""Accounts and tokens, as an administrator or their owner changes them. Each change is journalled
with who; no password, code or token ever is.

Argon2 takes tens of milliseconds and must hold no write lock, which a press would wait for: what is
hashed or compared here, is so before the transaction (`one_time`, `renewal`, `proven`).
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, RowMapping

from server.core import passwords, totp
from server.core.access import EVERYWHERE, AccountRole, Level, Right, Scope
from server.database import Tx
from server.service.house import digest_of
from server.service.locks import Locks, passphrase, recovery_codes
from server.service.refusals import Refused, Unknown
from server.store import accounts, journal, scopes

ONE_TIME_LIFE = timedelta(days=7)
FIRST = "admin"
TOKEN_PREFIX = "xl_"  # noqa: S105 - what a token begins with, so that leak scanners know it
WORDS: dict[passwords.Flaw, tuple[str, str]] = {
    "short": (f"the password needs at least {passwords.LEAST} characters; take a few words",
              f"密码至少要{passwords.LEAST}个字符,可以用几个词连起来。"),
    "long": (f"the password has at most {passwords.MOST} characters",
             f"密码最多{passwords.MOST}个字符。"),
    "like_name": ("the password must not contain the user name", "密码里不能有用户名。"),
    "common": ("this is among the first that a stranger tries; take a few words",
               "这个密码太容易猜到,请用几个词连起来。"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who changes an account, and for which houses they answer."""

    name: str
    scope: Scope = EVERYWHERE


class WrongPassword(Refused):
    """The owner's password that was given with a wish is wrong."""


@dataclass(frozen=True, slots=True)
class OneTime:
    """A new one-time password, and its hash."""

    password: str = field(repr=False)
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Renewal:
    """An owner's new password: the hash that it follows on, and its own."""

    old_hash: str = field(repr=False)
    new_hash: str = field(repr=False)


def one_time(locks: Locks) -> OneTime:
    """Somebody's next one-time password. Slow; to be made before the transaction."""
    password = passphrase()
    return OneTime(password, locks.hasher.hash(password))


def _wanted(username: str, password: str) -> None:
    found = passwords.flaw(password, username)
    if found is not None:
        en, zh = WORDS[found]
        raise Refused(en, zh=zh)


def _role(text: str) -> AccountRole:
    try:
        return AccountRole(text)
    except ValueError:
        raise Refused(f"the role must be one of {', '.join(AccountRole)}",
                      zh="没有这个角色。") from None  # fmt: skip


def place(tx: Tx, keeper: Keeper, level: str, name: str) -> tuple[Level, int | None]:
    """The scope that somebody asks for, by level and by what people call the place.

    Raises Refused when there is no such place, or when it is wider than the keeper's own."""
    try:
        wanted = Level(level)
    except ValueError:
        raise Refused(f"the scope must be one of {', '.join(Level)}", zh="没有这个范围。") from None
    place_id = None
    if wanted is not Level.ALL:
        place_id = scopes.place_id(tx.conn, wanted, name.strip())
        if place_id is None:
            raise Refused(f"there is no {wanted} {name!r} in the register; check its name",
                          zh=f"登记里没有“{name}”,请核对。")  # fmt: skip
    if not keeper.scope.covers(scopes.scope(tx.conn, wanted, place_id)):
        raise Refused("this is more than your own account covers", zh="超出了你自己的管辖范围。")
    return wanted, place_id


def _known(tx: Tx, keeper: Keeper, account_id: int) -> RowMapping:
    row = accounts.by_id(tx.conn, account_id)
    if row is None or not keeper.scope.covers(
        scopes.scope(tx.conn, row["scope_level"], row["scope_id"])
    ):
        raise Unknown(f"there is no account {account_id}")
    return row


def _not_the_last(tx: Tx, row: RowMapping) -> None:
    """An installation must always have somebody who can let others in."""
    is_one = row["role"] == AccountRole.ADMINISTRATOR and row["scope_level"] == Level.ALL
    if is_one and row["disabled_at"] is None and accounts.active_administrators(tx.conn) <= 1:
        raise Refused("this is the last administrator; make another one first",
                      zh="这是最后一位管理员,请先再设一位。")  # fmt: skip


def make(
    tx: Tx, once: OneTime, keeper: Keeper, *, username: str, name: str, role: str,
    level: str = "all", place_name: str = "",
) -> tuple[int, str]:  # fmt: skip
    """A new account's id and its one-time password, which is `once`. Raises Refused."""
    username, name = username.strip().lower(), " ".join(name.split())[:64]
    if not passwords.USERNAME.fullmatch(username):
        raise Refused("a user name has 2 to 32 small letters, digits, dots or dashes",
                      zh="用户名是2到32个小写字母、数字、点或短横。")  # fmt: skip
    if accounts.by_username(tx.conn, username) is not None:
        raise Refused(f"there is an account {username} already", zh=f"已经有账号{username}。")
    checked = _role(role)
    wanted, place_id = place(tx, keeper, level, place_name)
    account_id = accounts.add(
        tx.conn, username=username, name=name or username, role=checked,
        password_hash=once.password_hash, scope_level=wanted, scope_id=place_id,
        created_at=tx.now, password_at=tx.now, password_until=tx.now + tx.real(ONE_TIME_LIFE),
    )  # fmt: skip
    journal.note(
        tx, "account_made", account=username, role=checked.value, scope=wanted.value,
        place=place_id, by=keeper.name,
    )  # fmt: skip
    return account_id, once.password


def first_administrator(tx: Tx, locks: Locks) -> str | None:
    """The one-time password of the administrator that an installation starts with; None when it
    has one. Hashes within the transaction: before the first start nobody presses."""
    # Servers that start side by side: one makes it and tells it, and the others go on.
    if not tx.alone("first_administrator") or accounts.active_administrators(tx.conn):
        return None
    username, n = FIRST, 1
    while accounts.by_username(tx.conn, username) is not None:
        n += 1
        username = f"{FIRST}{n}"
    _, password = make(
        tx, one_time(locks), Keeper("first start"), username=username, name=username,
        role="administrator",
    )  # fmt: skip
    return f"{username}  /  {password}"


def bootstrap(tx: Tx, locks: Locks, username: str, password: str, role: AccountRole) -> None:
    """An account whose password the environment gives. The same password again changes nothing:
    a restart must not log the wall out."""
    row = accounts.by_username(tx.conn, username)
    if row is not None and locks.fits(row["password_hash"], password):
        return
    values = {
        "password_hash": locks.hasher.hash(password), "password_at": tx.now, "password_until": None,
    }  # fmt: skip
    if row is None:
        accounts.add(
            tx.conn, username=username, name=username, role=role, created_at=tx.now, **values
        )
    else:
        accounts.end_sessions(tx.conn, row["id"])
        accounts.change(tx.conn, row["id"], **values)


def proven(conn: Connection, locks: Locks, account_id: int, password: str) -> RowMapping:
    """The account whose owner gave its password. Raises WrongPassword. Slow; on a reader's
    connection."""
    row = accounts.by_id(conn, account_id)
    if row is None:
        raise Unknown("this account is gone")
    if not locks.fits(row["password_hash"], password):
        raise WrongPassword("the password is wrong", zh="密码不对。")
    return row


def renewal(conn: Connection, locks: Locks, account_id: int, old: str, new: str) -> Renewal:
    """The owner's next password, judged and hashed. Raises WrongPassword or another Refused. Slow;
    on a reader's connection."""
    try:
        row = proven(conn, locks, account_id, old)
    except WrongPassword:
        raise WrongPassword("the old password is wrong", zh="原密码不对。") from None
    if new == old:
        raise Refused("the new password must be another one", zh="新密码不能和原来的一样。")
    _wanted(row["username"], new)
    return Renewal(row["password_hash"], locks.hasher.hash(new))


def _unchanged(tx: Tx, account_id: int, password_hash: str) -> RowMapping:
    """The account, while its password is still the one that was given."""
    row = accounts.by_id(tx.conn, account_id)
    if row is None or row["password_hash"] != password_hash:
        raise Refused("the password was changed meanwhile; log in again",
                      zh="密码刚刚被改过,请重新登录。")  # fmt: skip
    return row


def set_own_password(tx: Tx, account_id: int, new: Renewal, session: str) -> None:
    """The owner's new password; every other session ends. Raises Refused."""
    row = _unchanged(tx, account_id, new.old_hash)
    accounts.change(
        tx.conn, account_id, password_hash=new.new_hash, password_at=tx.now, password_until=None
    )
    accounts.end_sessions(tx.conn, account_id, but=session)
    journal.note(tx, "password_changed", account=row["username"], by=row["username"])


def begin_totp(tx: Tx, locks: Locks, account_id: int, password_hash: str) -> bytes:
    """The secret for a new second factor, for the owner, with the password that this is the hash of
    (`proven`): a session that somebody took could shut its owner out for good. It counts once a
    code has been given. Raises Refused."""
    row = _unchanged(tx, account_id, password_hash)
    if row["totp_on"]:
        raise Refused("the second factor is on already", zh="动态码已经启用。")
    nonce = row["totp_nonce"] or secrets.token_hex(16)
    accounts.change(tx.conn, account_id, totp_nonce=nonce)
    return locks.totp_secret(account_id, nonce)


def finish_totp(tx: Tx, locks: Locks, account_id: int, code: str) -> list[str]:
    """Switch the second factor on with its first code; the recovery codes, shown once."""
    row = accounts.by_id(tx.conn, account_id)
    if row is None or row["totp_on"] or not row["totp_nonce"]:
        raise Refused("begin again on your account's page", zh="请从账号页重新开始。")
    secret = locks.totp_secret(account_id, row["totp_nonce"])
    step = totp.matching_step(secret, code, tx.now, row["totp_step"])
    if step is None:
        raise Refused("this code is wrong; is the telephone's clock right?",
                      zh="动态码不对。手机的时间准吗?")  # fmt: skip
    accounts.change(tx.conn, account_id, totp_on=True, totp_step=step)
    codes = recovery_codes()
    accounts.set_codes(tx.conn, account_id, [locks.code_digest(account_id, c) for c in codes])
    journal.note(tx, "totp_on", account=row["username"], by=row["username"])
    return codes


def drop_totp(tx: Tx, account_id: int, password_hash: str) -> None:
    """The owner gives the second factor up, with the password that this is the hash of (`proven`).
    Raises Refused."""
    row = _unchanged(tx, account_id, password_hash)
    _clear_totp(tx, account_id)
    journal.note(tx, "totp_off", account=row["username"], by=row["username"])


def _clear_totp(tx: Tx, account_id: int) -> None:
    accounts.change(tx.conn, account_id, totp_on=False, totp_nonce=None)
    accounts.set_codes(tx.conn, account_id, [])


def end_session_of(tx: Tx, account_id: int, begins: str) -> None:
    """The owner ends one of their sessions, by the beginning of its hash."""
    if len(begins) >= 16:
        accounts.end_sessions(tx.conn, account_id, like=begins)


def reset(tx: Tx, once: OneTime, keeper: Keeper, account_id: int) -> str:
    """The new one-time password, which is `once`, for somebody who is locked out; the second
    factor and all sessions end with the old one."""
    row = _known(tx, keeper, account_id)
    accounts.change(
        tx.conn, account_id, password_hash=once.password_hash, password_at=tx.now,
        password_until=tx.now + tx.real(ONE_TIME_LIFE),
    )  # fmt: skip
    _clear_totp(tx, account_id)
    accounts.end_sessions(tx.conn, account_id)
    journal.note(tx, "account_reset", account=row["username"], by=keeper.name)
    return once.password


def switch(tx: Tx, keeper: Keeper, account_id: int, *, on: bool) -> None:
    """Close an account (its sessions end at once), or open it again. Raises Refused."""
    row = _known(tx, keeper, account_id)
    if not on:
        _not_the_last(tx, row)
        accounts.end_sessions(tx.conn, account_id)
    accounts.change(tx.conn, account_id, disabled_at=None if on else tx.now)
    kind = "account_opened" if on else "account_closed"
    journal.note(tx, kind, account=row["username"], by=keeper.name)


def regrade(
    tx: Tx, keeper: Keeper, account_id: int, role: str, level: str, place_name: str
) -> None:
    """Another role or scope; it counts with the next request. Raises Refused."""
    row = _known(tx, keeper, account_id)
    checked = _role(role)
    wanted, place_id = place(tx, keeper, level, place_name)
    if (checked, wanted) != (AccountRole.ADMINISTRATOR, Level.ALL):
        _not_the_last(tx, row)
    accounts.change(tx.conn, account_id, role=checked, scope_level=wanted, scope_id=place_id)
    journal.note(
        tx, "account_regraded", account=row["username"], role=checked.value, scope=wanted.value,
        place=place_id, by=keeper.name,
    )  # fmt: skip


def make_token(
    tx: Tx, keeper: Keeper, *, name: str, rights: Collection[str], level: str = "all",
    place_name: str = "",
) -> str:  # fmt: skip
    """A new token, which is never shown again. Raises Refused."""
    name = " ".join(name.split())[:64]
    if not name:
        raise Refused("say what the token is for", zh="请写明令牌的用途。")
    known = {r.value for r in Right} - {Right.ACCOUNTS.value}
    if not rights or not set(rights) <= known:
        raise Refused(f"a token's rights are some of {', '.join(sorted(known))}",
                      zh="请选择令牌的权限。")  # fmt: skip
    wanted, place_id = place(tx, keeper, level, place_name)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token_id = accounts.add_token(
        tx.conn, name=name, digest=digest_of(token), rights=sorted(rights), scope_level=wanted,
        scope_id=place_id, created_by=keeper.name, created_at=tx.now,
    )  # fmt: skip
    journal.note(
        tx, "token_made", token_id=token_id, name=name, rights=sorted(rights),
        scope=wanted.value, place=place_id, by=keeper.name,
    )  # fmt: skip
    return token


def revoke_token(tx: Tx, keeper: Keeper, token_id: int) -> None:
    """End a token at once. Raises Unknown."""
    row = accounts.revoke_token(tx.conn, token_id, tx.now)
    if row is None or not keeper.scope.covers(
        scopes.scope(tx.conn, row["scope_level"], row["scope_id"])
    ):
        raise Unknown(f"there is no token {token_id}")
    journal.note(tx, "token_revoked", token_id=token_id, name=row["name"], by=keeper.name)
