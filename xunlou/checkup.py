"""What `xunlou doctor --data` looks at beside the parts: a house as docs/operations.md wants it."""

import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from server.core.messages import Subject, compose
from server.core.words import Template
from server.service.house import TOKEN_CHARACTERS
from server.settings import Settings

BACKUPS: Final = Path("/var/backups/xunlou")
"""Where the nightly timer puts them (xunlou/deploy/systemd)."""
BACKUP_DAYS: Final = 2
FREE_LEAST: Final = 1024**3
"""Bytes: weeks of events, and room for a backup."""
DAY_S: Final = 86_400
DOOR: Final = Subject(11, 3, "301", 84, True, "4031", ("301", "303"))
"""A door as most are: by it is told how long the address of links may be."""
FIRST: Final = (Template.SOS, Template.FALL)
"""A worklist names its doors first; whether a link fits beside them is for each to see."""
AFTER: Final = (Template.CONFIRM, Template.CONFIRM_MISSED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` says what to do when `ok` is false."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def of_house(data: Path, settings: Settings) -> list[Finding]:
    """Everything that is asked of an embedded house."""
    return [
        check_rights(data), check_disk(data), check_backup((data / "backups", BACKUPS)),
        check_address(settings), check_links(settings), check_deadman(settings),
    ]  # fmt: skip


def check_rights(data: Path) -> Finding:
    """Secrets and the way into homes are for one account's eyes."""
    try:
        private = not data.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError as error:
        return Finding("data", False, f"{data}: {error.strerror}",
                       "name the directory that `xunlou up` was given, as its account")  # fmt: skip
    found = f"{data} is for its own account alone" if private else f"others may look into {data}"
    return Finding("data", private, found, f"chmod go= {data}")


def check_disk(data: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
               ) -> Finding:  # fmt: skip
    """Where nothing can be written, no press is stored."""
    try:
        free = usage(data)[2]
    except OSError as error:
        return Finding("disk", False, f"{data}: {error.strerror}", "is the disk there?")
    found = f"{free / 1024**3:.1f} GiB free"
    return Finding("disk", free >= FREE_LEAST, found, "make room: old backups, other programs")


def check_backup(folders: tuple[Path, ...], now_s: Callable[[], float] = time.time) -> Finding:
    """A backup that nobody made is none."""
    try:
        times = [p.stat().st_mtime for f in folders if f.is_dir() for p in f.glob("*.backup")]
    except OSError as error:
        return Finding("backup", False, f"can't look: {error.strerror}", "run as its own account")
    advice = ("xunlou backup --data … FILE each night (xunlou-backup.timer), and a copy on another "
              "machine")  # fmt: skip
    where = " or ".join(str(f) for f in folders)
    if not times:
        return Finding("backup", False, f"none in {where}", advice)
    days = (now_s() - max(times)) / DAY_S
    return Finding("backup", days <= BACKUP_DAYS, f"the newest is {max(days, 0):.1f} days old",
                   advice)  # fmt: skip


def check_address(settings: Settings) -> Finding:
    """Links in SMS and the provider's calls need an address that telephones reach."""
    url = urlsplit(settings.public_url)
    local = url.hostname in ("127.0.0.1", "localhost", "::1", None)
    if url.scheme == "https" and not local:
        return Finding("address", True, settings.public_url)
    advice = "put a proxy with HTTPS before it, and set XUNLOU_PUBLIC_URL to its address"
    return Finding("address", False, f"{settings.public_url} is reached by no telephone", advice)


def _carry(templates: tuple[Template, ...], address: str) -> bool:
    """Whether Chinese SMS by all these templates have room for a link that begins so."""
    about = replace(DOOR, link=f"{address}/s/{'x' * TOKEN_CHARACTERS}")
    return all(about.link in compose(t, about, "zh") for t in templates)


def _longest(templates: tuple[Template, ...]) -> int:
    """The most characters that the host of links may have in them."""
    return max(n for n in range(1, 71) if _carry(templates, f"https://{'x' * n}"))


def check_links(settings: Settings) -> Finding:
    """A Chinese SMS holds 70 characters, and a link takes 33 of them beside its host."""
    if not settings.sms_two_way:
        return Finding("links", True, "none: XUNLOU_SMS_TWO_WAY=false")
    address, first = settings.links_at, _longest(FIRST)
    host = urlsplit(address).netloc
    long = f"{host} ({len(host)} characters)"
    if _carry(FIRST, address):
        return Finding("links", True, f"{long} fits the first SMS")
    advice = f"set XUNLOU_LINK_URL to an address of this server whose host has {first} at most"
    if _carry(AFTER, address):
        return Finding("links", True, f"{long} is too long for the first SMS in Chinese, so that "
                       f"the page opens only after accepting; {advice}")  # fmt: skip
    return Finding("links", False, f"{long} is too long for any SMS in Chinese: nobody gets to the "
                   "page with the way in", f"{advice}, {_longest(AFTER)} after accepting")


def check_deadman(settings: Settings) -> Finding:
    """Without an ear outside the house, nobody hears that the machine is off."""
    if settings.deadman_url is not None:
        return Finding("dead man", True, "pings leave the house")
    advice = "set XUNLOU_DEADMAN_URL to a service that raises the alarm when the pings stop"
    return Finding("dead man", False, "nobody outside hears when this machine is off", advice)
