"""Firmware releases in the field, side by side: what an older one can't do yet.

A fleet is never of one release. What is listed here is what a server meets on the wire: a command
that is answered "failed" because the release does not know it. None may lack a receipt, a prompt,
"help is coming" or its end: without those a terminal is of no use in a call for help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Release:
    """One release, and the commands it does not know."""

    version: str
    lacks: frozenset[str] = frozenset()


RELEASES: Final = {
    release.version: release
    for release in (
        Release("0.9", frozenset({"say", "test", "key"})),
        Release("1.0"),
    )
}
NEWEST: Final = "1.0"


def of(version: str) -> Release:
    """A release by its name; an unknown one can do what the newest can."""
    return RELEASES.get(version) or RELEASES[NEWEST]
