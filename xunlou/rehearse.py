"""`xunlou rehearse`: begins a rehearsal in a live register, with a manifest for the simulator, and
ends it. The register is that of `xunlou up` (`--data`), or what XUNLOU_DATABASE_URL names."""

import argparse
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from server.app import house_of
from server.clock import Clock
from server.database import Database, Tx
from server.service import acting, rehearsing
from server.service.refusals import Refused, Unknown
from server.settings import Settings
from server.store import communities, people, scopes
from xunlou.keys import Keys, write_private
from xunlou.sample import terminal_password

T = TypeVar("T")


def command(args: argparse.Namespace) -> int:
    """Begin or end one, and say what to do next. Raises ValueError."""
    where = register(args.data)
    building = house(where, args.building)
    if args.end:
        ended = end(where, building, args.outcome, args.who)
        print(f"rehearsal in building {ended.building} is over: {ended.alerts} alerts closed, "
              f"{ended.residents} residents ended, {len(ended.terminals)} terminals revoked, "
              f"{ended.listed} off the list")  # fmt: skip
        for terminal in ended.real:
            print(f"! {terminal} is a real terminal and stood there; give it to a resident")
        if where.embedded:
            print("now stop its simulator; the broker cuts its terminals off within seconds")
        else:
            print("now stop its simulator, and take its terminals' accounts off your broker")
        return 0
    manifest, made = run(where, building, args.flats, args.person, args.community)
    print(f"rehearsal: building {made}, {args.flats} simulated terminals")
    if where.embedded:
        print("a running `xunlou up` gives them their broker accounts within seconds; then")
    else:
        print(f"give your broker their accounts, the ids and passwords in {manifest}; then, with")
        print("XUNLOU_MQTT_HOST, XUNLOU_MQTT_PORT and XUNLOU_MQTT_CA as terminals have them,")
    print(f"  xunlou sim --fleet {manifest} --switches {where.directory} --sos-per-hour 0")
    data = f" --data {where.directory}" if where.embedded else ""
    again = f"xunlou rehearse{data} --building {made}"
    print(f"and when it is over\n  {again} --end --outcome other --who NAME")
    return 0


@dataclass(frozen=True, slots=True)
class Register:
    """Where a rehearsal is set up: the database, what its server was given, and the directory that
    the manifest goes to."""

    directory: Path
    settings: Settings
    embedded: bool
    """The register of `xunlou up`, which keeps the broker's accounts as well."""


def register(data: Path | None) -> Register:
    """The one in this directory; without any, the one that the environment names, else `data`.
    Raises ValueError where there is none."""
    if data is None and os.environ.get("XUNLOU_DATABASE_URL"):
        return Register(Path.cwd(), Settings(), embedded=False)
    directory = (data or Path("data")).resolve()
    if not (directory / "xunlou.db").exists():
        raise ValueError(
            f"{directory} holds no register; start `xunlou up --data {directory}` once, or set "
            "XUNLOU_DATABASE_URL and leave --data out"
        )
    keys = Keys.kept(directory / "secrets.env")
    settings = Settings(
        database_url=f"sqlite:///{directory / 'xunlou.db'}",
        secret=SecretStr(keys.link_secret),
        terminal_secret=SecretStr(keys.terminal_secret),
    )
    return Register(directory, settings, embedded=True)


def house(where: Register, words: str | None) -> int | None:
    """The number in the installation of the house that somebody means: 900, or 棠德 900 where there
    are several communities. Raises ValueError where it is not clear which."""
    if words is None:
        return None
    database = Database(where.settings.database_url, Clock())
    try:
        with database.reader.begin() as conn:
            number = scopes.house_number(conn, words)
            empty = communities.first(conn) is None
    finally:
        database.close()
    if number is not None:
        return number
    if empty and words.isascii() and words.isdigit():
        return int(words)  # refused with what is missing
    raise ValueError(f"--building {words!r}: give its number, and where there are several "
                     "communities the name before it, '棠德 900'")  # fmt: skip


def people_of(words: Sequence[str]) -> list[rehearsing.Listed]:
    """`name=+8613…` as somebody for the list. Raises ValueError with the form."""
    found = []
    for word in words:
        name, _, phone = word.partition("=")
        if not name or not phone.startswith("+") or not phone[1:].isdigit():
            raise ValueError(f"--person {word!r}: give a name and a telephone, 陈工=+8613800000000")
        found.append(rehearsing.Listed(name, phone))
    return found


def run(
    where: Register, building: int | None, flats: int, persons: Sequence[str],
    community_name: str = "",
) -> tuple[Path, int]:
    """Set it up; returns the manifest and the building's number in the installation. Raises
    ValueError."""
    listed = people_of(persons)
    kept = where.settings.terminal_secret
    # An installation whose broker's accounts are somebody else's has none: then one for this once.
    secret = kept.get_secret_value() if kept is not None else secrets.token_urlsafe(32)

    def set_up(tx: Tx) -> tuple[list[str], str, str]:
        ids = rehearsing.set_up(
            tx, building=building, flats=flats, listed=listed, who="xunlou rehearse",
            why="rehearsal", community=community_name,
        )  # fmt: skip
        made = people.flat_at(tx.conn, _number(ids), ids[0].rpartition("-")[2])
        assert made is not None, "its flats were added in this very transaction"
        community = communities.of_building(tx.conn, made["building_id"])
        assert community is not None, "a house has a community"
        return ids, community.name, str(community.zone)

    ids, name, zone = _write(where, set_up)
    number = _number(ids)
    manifest = {
        "community": name,
        "tz": zone,
        "terminals": [
            {"id": i, "password": terminal_password(secret, i),
             "building": number, "flat": i.rpartition("-")[2],
             "floor": int(i.rpartition("-")[2][:-2]), "profile": "away"}
            for i in ids
        ],
        "phones": [],
        "rounds": [],
    }  # fmt: skip
    path = _manifest(where.directory, number)
    write_private(path, json.dumps(manifest, ensure_ascii=False))
    return path, number


def _number(ids: Sequence[str]) -> int:
    """The building of these terminals, sim-900-101 …"""
    return int(ids[0].split("-")[1])


def end(
    where: Register, building: int | None, outcome: str | None, who: str
) -> rehearsing.Ended:
    """End it by a person's word, and take the manifest with its passwords away. Raises ValueError
    with what is missing."""
    who = who.strip()
    if building is None or not who:
        raise ValueError("--end needs --building, --outcome and --who: a person ends a rehearsal")
    if where.settings.secret is None:
        raise ValueError("set XUNLOU_SECRET as the server has it: its links are in what is sent")
    house = house_of(where.settings, where.settings.secret.get_secret_value().encode())
    ended = _write(
        where,
        lambda tx: rehearsing.end(
            tx, house, building=building, outcome=acting.outcome_of(outcome), who=who,
            why="end of the rehearsal",
        ),
    )  # fmt: skip
    _manifest(where.directory, building).unlink(missing_ok=True)
    return ended


def _manifest(directory: Path, building: int) -> Path:
    return directory / f"rehearsal-{building}.json"


def _write(where: Register, change: Callable[[Tx], T]) -> T:
    database = Database(where.settings.database_url, Clock())
    try:
        return database.transact(change)[0]
    except (Refused, Unknown) as error:
        raise ValueError(str(error)) from error
    finally:
        database.close()
