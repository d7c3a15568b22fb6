"""What Mosquitto 2.0 reads: configuration, password file, access list.

It must never write a password in the clear, nor open a listener beyond this machine without TLS.
"""

import base64
import hashlib
import os
import pwd
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xunlou.broker_tls import Tls

GATEWAY_USER = "gateway"
DEVICES_USER = "devices"
MOSQUITTO_ACCOUNT = "mosquitto"

PBKDF2_ITERATIONS = 101
"""mosquitto_passwd's own default. Ours are random keys, not words people chose, so iterations
add nothing, and 2,500 terminals that reconnect at once must all be checked within seconds."""

MESSAGE_SIZE_LIMIT = 8192
"""Above the contract's 1 KiB, so that an oversize message reaches quarantine and can be seen."""

MAX_QUEUED = 1_000_000
MAX_INFLIGHT = 2_000
"""What MQTT 3.1.1 clients may be sent ahead of their acks; MQTT 5 clients name their own bound."""

_NAME = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """Where things were written, and as whom the broker has to run."""

    directory: Path
    config: Path
    passwords: Path
    acl: Path
    account: str | None
    """Account to start Mosquitto under; None = ours."""
    warning: str | None


def hash_password(password: str, salt: bytes | None = None) -> str:
    """`$7$iterations$salt$hash`: PBKDF2-HMAC-SHA512, as Mosquitto 2 stores it."""
    salt = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, PBKDF2_ITERATIONS)
    return (
        f"$7${PBKDF2_ITERATIONS}${base64.b64encode(salt).decode()}"
        f"${base64.b64encode(digest).decode()}"
    )


def acl_text() -> str:
    """Terminals speak and hear under their own name only; the gateway everything of ours. Its
    canary's topics lie outside every terminal's name: a terminal can't play the canary."""
    return "\n".join(
        [
            f"user {GATEWAY_USER}",
            "topic readwrite xunlou/v1/#",
            "topic read #",
            "topic write homeassistant/#",
            "",
            "# Bridges of other makers' devices (zigbee2mqtt ...): everything but what is ours.",
            f"user {DEVICES_USER}",
            "topic deny xunlou/#",
            "topic readwrite #",
            "",
            "# Nobody else is let near xunlou/v1/canary/: no rule below names it.",
            "# %u is the user name, which is the terminal's id.",
            "pattern write xunlou/v1/t/%u/evt/#",
            "pattern write xunlou/v1/t/%u/hb",
            "pattern write xunlou/v1/t/%u/status",
            "pattern write xunlou/v1/t/%u/cmd_ack",
            "pattern read xunlou/v1/t/%u/cmd",
            "pattern read xunlou/v1/t/%u/cfg",
            "pattern read xunlou/v1/srv/state",
            "",
        ]
    )


def config_text(
    directory: Path, port: int, *, as_root: bool, tls: Tls | None = None, own_ids: bool = True
) -> str:
    """The configuration. `own_ids`: whoever comes in by TLS has its user name as client id. Paths
    may hold no line break, as Mosquitto reads line by line."""
    if "\n" in str(directory):
        raise ValueError("the data directory's name contains a line break")
    lines = [
        "# Written by xunlou at every start; changes here are lost.",
        *(["user root"] if as_root else []),
        f"listener {port} 127.0.0.1",
        "allow_anonymous false",
        f"password_file {directory / 'passwords'}",
        f"acl_file {directory / 'acl'}",
        "",
        "# Save every second, not each 30 minutes as by default: kill -9 then costs at most what",
        "# came in the last second, and that the terminals send again until their receipt.",
        "# (Saving after every change instead was measured at a quarter of the throughput.)",
        "persistence true",
        f"persistence_location {directory}/",
        "persistence_file mosquitto.db",
        "autosave_on_changes false",
        "autosave_interval 1",
        "",
        "# The defaults (1,000 queued, 20 in flight) drop silently while the gateway is away.",
        f"max_queued_messages {MAX_QUEUED}",
        f"max_inflight_messages {MAX_INFLIGHT}",
        f"message_size_limit {MESSAGE_SIZE_LIMIT}",
        "set_tcp_nodelay true",
        "",
        "log_dest stdout",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "connection_messages false",
        "",
        *([] if tls is None else _tls_lines(directory, tls, own_ids=own_ids)),
    ]
    return "\n".join(lines)


def _tls_lines(directory: Path, tls: Tls, *, own_ids: bool) -> list[str]:
    """Who may choose an id of its own can take another's line by it. A gateway has several lines
    on one account, so it comes in by the door of this machine, where the ids are its own."""
    return [
        "# Terminals in the flats come in here.",
        f"listener {tls.port} {tls.bind}".rstrip(),
        f"certfile {directory / tls.certificate.name}",
        f"keyfile {directory / tls.key.name}",
        "tls_version tlsv1.2",
        *(["use_username_as_clientid true"] if own_ids else []),
        "",
    ]


def write_broker_files(
    directory: Path, port: int, users: Mapping[str, str], tls: Tls | None = None
) -> BrokerFiles:
    """Write all three into `directory`, and the certificate of `tls`, which has been made. `users`
    maps user names to passwords in the clear.

    Raises ValueError for a user name that could break out of its line or its topics.
    """
    _refuse_strange(users)
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(directory, 0o700)
    account, as_root, warning = _choose_account(directory)
    files = BrokerFiles(
        directory,
        directory / "mosquitto.conf",
        directory / "passwords",
        directory / "acl",
        account,
        warning,
    )
    # Bridges share one account: several that come in from outside would cut each other off.
    config = config_text(
        directory, port, as_root=as_root, tls=tls, own_ids=DEVICES_USER not in users
    )
    _write_private(files.config, config)
    if tls is not None:
        write_certificate(directory, None, tls)
    _write_private(files.passwords, _hashes(users))
    _write_private(files.acl, acl_text())
    if account is not None:
        entry = pwd.getpwnam(account)
        for path in (directory, *directory.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    return files


def write_passwords(
    directory: Path, account: str | None, users: Mapping[str, str],
    hashed: Mapping[str, str] | None = None,
) -> None:
    """Replace the password file whole, for a broker that runs under `account`; it reads it on
    SIGHUP. `hashed`: who of them has this hash instead of that of the password. Raises ValueError
    as `write_broker_files` does."""
    _refuse_strange(users)
    entry = pwd.getpwnam(account) if account is not None else None
    _write_private(directory.resolve() / "passwords", _hashes(users, hashed or {}), entry)


def write_certificate(directory: Path, account: str | None, tls: Tls) -> None:
    """Put the broker's certificate and key where it reads them, on SIGHUP as well."""
    entry = pwd.getpwnam(account) if account is not None else None
    for path in (tls.key, tls.certificate):
        _write_private(directory.resolve() / path.name, path.read_text("ascii"), entry)


def _refuse_strange(users: Mapping[str, str]) -> None:
    for name in users:
        if _NAME.fullmatch(name) is None:
            raise ValueError("a broker user name must match [a-z0-9-]{1,32}")


def _hashes(users: Mapping[str, str], hashed: Mapping[str, str] | None = None) -> str:
    ready = hashed or {}
    return "".join(
        f"{name}:{ready[name] if name in ready else hash_password(word)}\n"
        for name, word in users.items()
    )


def _choose_account(directory: Path) -> tuple[str | None, bool, str | None]:
    """`(account to start under, must the configuration say root, warning)`.

    As root, Mosquitto switches to its own account by itself, but a change of account makes the
    kernel forget that the child wants to die with us. So we start it under that account, where it
    can reach its files; where it can't (a directory below /root), it stays root, and we say so.
    """
    if os.geteuid() != 0:
        return None, False, None
    try:
        entry = pwd.getpwnam(MOSQUITTO_ACCOUNT)
    except KeyError:
        return None, True, "Mosquitto runs as root: there is no account named mosquitto here."
    for parent in directory.parents:
        stat = parent.stat()
        own = stat.st_uid == entry.pw_uid and stat.st_mode & 0o100
        if not own and not stat.st_mode & 0o001:
            return None, True, f"Mosquitto runs as root: its account can't enter {parent}."
    return MOSQUITTO_ACCOUNT, False, None


def _write_private(path: Path, text: str, owner: pwd.struct_passwd | None = None) -> None:
    """Replace a file whole, readable by its owner alone (`owner`: whose it becomes first)."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        if owner is not None:
            os.fchown(file.fileno(), owner.pw_uid, owner.pw_gid)
        file.flush()
        os.fsync(file.fileno())  # a power cut leaves the old one or the new one whole
    fresh.replace(path)
