"""The chain of who saw and did what: each entry's digest covers the one before it.

Pure. The digest is keyed, so that whoever can write the database but does not know the key can't
make a chain of their own. That the end was cut off shows only against a checkpoint kept elsewhere.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

BEGINNING: Final = "0" * 64

Fault = Literal["changed", "missing", "cut_off", "other_chain"]


@dataclass(frozen=True, slots=True)
class Link:
    """One sealed entry. `position` counts from 1 without a gap; `at_ms` is epoch ms."""

    position: int
    at_ms: int
    who: str
    what: str
    about: Mapping[str, Any]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a chain stood: what is printed and kept where nobody of the house can change it."""

    position: int = 0
    digest: str = BEGINNING

    def __str__(self) -> str:
        return f"{self.position}:{self.digest}"

    @staticmethod
    def parse(text: str) -> "Checkpoint":
        """Raises ValueError with the form expected."""
        number, _, digest = text.strip().partition(":")
        if not (number.isdecimal() and len(digest) == len(BEGINNING)):
            raise ValueError("a checkpoint looks like 120:9f86d0…, as `xunlou audit checkpoint` "
                             "prints it")  # fmt: skip
        return Checkpoint(int(number), digest)


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where the chain does not hold."""

    position: int
    fault: Fault


def digest(key: bytes, before: str, link: Link) -> str:
    """What seals an entry after the one sealed with `before`."""
    words = json.dumps(
        [before, link.position, link.at_ms, link.who, link.what, link.about],
        ensure_ascii=False, sort_keys=True, separators=(",", ":"),
    )  # fmt: skip
    return hmac.new(key, words.encode(), hashlib.sha256).hexdigest()


def verify(
    key: bytes, links: Iterable[Link], known: Checkpoint | None = None
) -> Checkpoint | Broken:
    """Where the chain ends, when every link of it holds; else the first that does not.

    `links` in order of position. `known`: a checkpoint that the chain must run through.
    """
    here = Checkpoint()
    passed = known is None or known == here
    for link in links:
        if link.position != here.position + 1:
            return Broken(here.position + 1, "missing")
        if not hmac.compare_digest(digest(key, here.digest, link), link.digest):
            return Broken(link.position, "changed")
        here = Checkpoint(link.position, link.digest)
        if known is not None and known.position == here.position:
            if known != here:
                return Broken(here.position, "other_chain")
            passed = True
    return here if passed else Broken(here.position + 1, "cut_off")
