"""The vault: seals the notes that lead into homes or tell of health, under keys that are not in
the database (docs/adr/0021).

It never fails whoever looks: a note whose key is not here is `None`, and staff are told what to
mend. It must never write a note in the clear for want of a key, nor say a key in a log.
"""

import base64
import binascii
import hashlib
import logging
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger(__name__)
KEY_BYTES = 32
NONCE_BYTES = 12
MARK = "xl1"
"""First form of a sealed note: mark, id of its key, nonce and ciphertext in URL-safe base64."""
SEALED = re.compile(rf"{MARK}:([0-9a-f]{{8}}):([A-Za-z0-9_-]+={{0,2}})")
Signature = tuple[int, int, int] | None


class NoKey(Exception):
    """Nothing can be sealed here; the words say what to do."""


class BadKey(ValueError):
    """This is no key of ours; the words say what one looks like, and never the key."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, known by an id that is derived from it: another key never answers to it."""

    id: str
    cipher: AESGCM

    @staticmethod
    def parse(text: str) -> "Key":
        """A key as `fresh` writes it. Raises BadKey."""
        try:
            raw = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != KEY_BYTES:
            raise BadKey("a key of notes is 44 characters, as `xunlou keys new` prints them")
        digest = hashlib.sha256(b"xunlou key of notes:" + raw).hexdigest()
        return Key(digest[:8], AESGCM(raw))


def fresh() -> str:
    """A new key, as it is written in a setting or a file."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def listed(text: str) -> list[str]:
    """The keys in a setting or a file: apart by commas, spaces or lines; `#` begins a comment."""
    lines = (line.split("#", 1)[0] for line in text.splitlines())
    return [word for line in lines for word in re.split(r"[\s,]+", line) if word]


def prefix(key_id: str) -> str:
    """How every note begins that was sealed under this key."""
    return f"{MARK}:{key_id}:"


def key_of(stored: str) -> str | None:
    """The id of the key a stored note is sealed under; None: it stands there in the clear."""
    found = SEALED.fullmatch(stored)
    return found[1] if found else None


class Vault:
    """Keys for sealing (the first) and opening (all). Asked by several threads; a key file is read
    again when it has changed, so that keys are changed while everything runs."""

    def __init__(self, keys: str = "", path: Path | None = None, *, wanted: bool = False) -> None:
        """`keys`: as in the setting; `path`: a file of keys, which come before those. `wanted`:
        whether it is a fault to have none. Never raises: a wrong key must stop no SOS."""
        self._setting = keys
        self._path = path
        self._wanted = wanted
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._seen: Signature | str = "never"
        self._wrong = ""
        self.lost: dict[str, int] = {}
        """Notes that can't be opened, by the id of the key they need; set by whoever looks."""
        self._look()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the keys that are here, the one that seals first."""
        self._look()
        return tuple(self._keys)

    @property
    def current(self) -> str | None:
        """The id of the key that seals; None: there is none."""
        return next(iter(self.ids), None)

    @property
    def problem(self) -> str:
        """What staff should mend; empty when every note can be read and written."""
        self._look()
        if self._wrong:
            return self._wrong
        if self._wanted and not self._keys:
            return ("no key: set XUNLOU_NOTES_KEYS (`xunlou keys new` makes one); until then notes"
                    " can't be written, and sealed ones can't be read")  # fmt: skip
        if lost := {k: n for k, n in self.lost.items() if n and k not in self._keys}:
            most = max(lost, key=lambda k: lost[k])
            return (f"{sum(lost.values())} notes can't be read: put the key {most} back "
                    "(docs/privacy.md)")  # fmt: skip
        if damaged := sum(n for k, n in self.lost.items() if k in self._keys):
            return f"{damaged} notes are damaged and can't be read: `xunlou keys show` says which"
        return ""

    def seal(self, what: str, row_id: int, text: str) -> str:
        """The text as it is stored in column `what` ("resident.risks") of row `row_id`: put into
        another row or column it can't be opened. Nothing stays nothing. Raises NoKey."""
        if not text:
            return ""
        self._look()
        key = next(iter(self._keys.values()), None)
        if key is None:
            raise NoKey("there is no key for notes: set XUNLOU_NOTES_KEYS")
        nonce = os.urandom(NONCE_BYTES)
        kept = nonce + key.cipher.encrypt(nonce, text.encode(), _bound(what, row_id))
        return prefix(key.id) + base64.urlsafe_b64encode(kept).decode()

    def open(self, what: str, row_id: int, stored: str) -> str | None:
        """The text of a stored note; None where its key is not here, or it is damaged. What stands
        there in the clear (from before there was a key) is itself."""
        found = SEALED.fullmatch(stored)
        if found is None:
            return stored
        self._look()
        key = self._keys.get(found[1])
        if key is None:
            return None
        try:
            kept = base64.urlsafe_b64decode(found[2])
            nonce, sealed = kept[:NONCE_BYTES], kept[NONCE_BYTES:]
            return key.cipher.decrypt(nonce, sealed, _bound(what, row_id)).decode()
        except (InvalidTag, ValueError):
            log.error("the note %s of row %s is damaged", what, row_id)
            return None

    def _signature(self) -> Signature:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        regular = stat.S_ISREG(found.st_mode)
        return (found.st_mtime_ns, found.st_size, found.st_ino) if regular else None

    def _look(self) -> None:
        with self._lock:
            now = self._signature()
            if now == self._seen:
                return
            self._seen = now
            words = listed(self._setting)
            self._wrong = ""
            if self._path is not None:
                try:
                    if now is None:
                        raise FileNotFoundError(self._path)
                    words = listed(self._path.read_text("utf-8")) + words
                except (OSError, ValueError) as error:
                    # What was read before still opens notes; a file half put back takes nothing.
                    self._fails(f"the key file {self._path.name} can't be read"
                                f" ({type(error).__name__}): put it back")  # fmt: skip
                    if self._keys:
                        return
            self._keys = self._parsed(words)

    def _parsed(self, words: list[str]) -> dict[str, Key]:
        found: dict[str, Key] = {}
        for word in words:
            try:
                key = Key.parse(word)
            except BadKey as error:
                self._fails(str(error))
                continue
            found.setdefault(key.id, key)
        return found

    def _fails(self, why: str) -> None:
        self._wrong = why
        log.error("keys of notes: %s", why)


Opener = Callable[[str, int, str], str | None]
"""How a note is opened: `Vault.open`."""


def _bound(what: str, row_id: int) -> bytes:
    return f"{what}:{row_id}".encode()
