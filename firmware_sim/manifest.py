"""The fleet manifest: which terminals, phones and rounds a simulated community has.

Reads JSON that the embedded edition writes; it never writes one. Errors name the entry and the
field, so that a hand-made manifest can be put right.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from firmware_sim.firmware import NEWEST
from firmware_sim.weather import PROFILES

_T = TypeVar("_T")
_ID = re.compile(r"[a-z0-9-]{1,32}\Z")


class ManifestError(ValueError):
    """The manifest can't be used; the message says where and why."""


class Profile(StrEnum):
    """How the resident behind a terminal keeps the rounds."""

    EARLY = "early"
    REGULAR = "regular"
    FORGETFUL = "forgetful"
    AWAY = "away"
    HOSPITAL = "hospital"
    """Taken in without anybody being told: the rounds miss them until they are home again."""


@dataclass(frozen=True, slots=True)
class TerminalEntry:
    """One terminal and the flat it stands in. `story` marks the cast of a scenario. `link`: a name
    of `weather.PROFILES`; `clock_ok`: its clock was set once; `clock_cell`: and outlives a cut."""

    id: str
    password: str
    building: int
    flat: str
    floor: int
    profile: Profile = Profile.REGULAR
    risk: str = "C"
    story: str | None = None
    fw: str = NEWEST
    drift_ppm: int = 0
    link: str = "clear"
    clock_ok: bool = True
    clock_cell: bool = True


@dataclass(frozen=True, slots=True)
class PhoneEntry:
    """One person's phone; `building` is None for people of the whole community."""

    number: str
    name: str
    role: str
    building: int | None
    lang: str


@dataclass(frozen=True, slots=True)
class Round:
    """A round's window in the community's local time."""

    name: str
    opens: time
    prompt: time
    due: time


@dataclass(frozen=True, slots=True)
class Manifest:
    """A simulated community."""

    community: str
    tz: ZoneInfo
    terminals: tuple[TerminalEntry, ...]
    phones: tuple[PhoneEntry, ...]
    rounds: tuple[Round, ...]


def load(path: Path) -> Manifest:
    """The manifest in `path`. Raises ManifestError, also when the file can't be read."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ManifestError(f"{path}: not JSON: {error}") from error
    try:
        return parse(raw)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error


def parse(raw: object) -> Manifest:
    """The manifest in a decoded JSON value. Raises ManifestError."""
    if not isinstance(raw, dict):
        raise ManifestError("expected an object")
    name = str(raw.get("tz", "Asia/Shanghai"))
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ManifestError(f"tz: no such zone {name!r}") from error
    terminals = tuple(_terminal(entry, where) for entry, where in _entries(raw, "terminals"))
    ids = [terminal.id for terminal in terminals]
    if len(set(ids)) != len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise ManifestError(f"terminals: id {twice!r} stands there twice")
    return Manifest(
        community=str(raw.get("community", "")),
        tz=zone,
        terminals=terminals,
        phones=tuple(_phone(entry, where) for entry, where in _entries(raw, "phones")),
        rounds=tuple(_round(entry, where) for entry, where in _entries(raw, "rounds")),
    )


def _entries(raw: dict[str, Any], key: str) -> Iterator[tuple[dict[str, Any], str]]:
    listed = raw.get(key, [])
    if not isinstance(listed, list):
        raise ManifestError(f"{key}: expected a list")
    for number, entry in enumerate(listed):
        if not isinstance(entry, dict):
            raise ManifestError(f"{key}[{number}]: expected an object")
        yield entry, f"{key}[{number}]"


def _need(entry: dict[str, Any], key: str, kind: type[_T], where: str) -> _T:
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ManifestError(f"{where}.{key}: expected {kind.__name__}, not {value!r}")
    return value


def _flag(entry: dict[str, Any], key: str, where: str) -> bool:
    value = entry.get(key, True)
    if not isinstance(value, bool):
        raise ManifestError(f"{where}.{key}: expected true or false, not {value!r}")
    return value


def _terminal(entry: dict[str, Any], where: str) -> TerminalEntry:
    terminal_id = _need(entry, "id", str, where)
    if not _ID.match(terminal_id):
        raise ManifestError(f"{where}.id: {terminal_id!r} is not [a-z0-9-]{{1,32}}")
    profile = entry.get("profile", Profile.REGULAR)
    try:
        profile = Profile(profile)
    except ValueError as error:
        raise ManifestError(f"{where}.profile: {profile!r} is none of {[*Profile]}") from error
    link = entry.get("link", "clear")
    if link not in PROFILES:
        raise ManifestError(f"{where}.link: {link!r} is none of {[*PROFILES]}")
    return TerminalEntry(
        id=terminal_id,
        password=_need(entry, "password", str, where),
        building=_need(entry, "building", int, where),
        flat=_need(entry, "flat", str, where),
        floor=_need(entry, "floor", int, where),
        profile=profile,
        risk=str(entry.get("risk", "C")),
        story=None if entry.get("story") is None else str(entry["story"]),
        fw=str(entry.get("fw", NEWEST)),
        drift_ppm=_need(entry, "drift_ppm", int, where) if "drift_ppm" in entry else 0,
        link=link,
        clock_ok=_flag(entry, "clock_ok", where),
        clock_cell=_flag(entry, "clock_cell", where),
    )


def _phone(entry: dict[str, Any], where: str) -> PhoneEntry:
    building = entry.get("building")
    return PhoneEntry(
        number=_need(entry, "number", str, where),
        name=_need(entry, "name", str, where),
        role=str(entry.get("role", "steward")),
        building=None if building is None else _need(entry, "building", int, where),
        lang=str(entry.get("lang", "zh")),
    )


def _round(entry: dict[str, Any], where: str) -> Round:
    times: dict[str, time] = {}
    for key in ("opens", "prompt", "due"):
        text = _need(entry, key, str, where)
        try:
            times[key] = time.fromisoformat(text)
        except ValueError as error:
            raise ManifestError(f"{where}.{key}: {text!r} is no time such as 05:45") from error
    if not times["opens"] <= times["prompt"] <= times["due"]:
        raise ManifestError(f"{where}: opens, prompt, due must come in this order")
    return Round(_need(entry, "name", str, where), **times)
