"""`xunlou rehearse`: begins a rehearsal in a live register, with a manifest for the simulator, and
ends it."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from server.app import house_of
from server.clock import Clock
from server.database import Database, Tx
from server.service import acting, rehearsing
from server.service.refusals import Refused, Unknown
from server.settings import Settings
from server.store import people
from xunlou.keys import Keys, write_private
from xunlou.sample import terminal_password

T = TypeVar("T")


def command(args: argparse.Namespace) -> int:
    """Begin or end one, and say what to do next. Raises ValueError."""
    if args.end:
        ended = end(args.data, args.building, args.outcome, args.who)
        print(f"rehearsal in building {ended.building} is over: {ended.alerts} alerts closed, "
              f"{ended.residents} residents ended, {len(ended.terminals)} terminals revoked, "
              f"{ended.listed} off the list")  # fmt: skip
        for terminal in ended.real:
            print(f"! {terminal} is a real terminal and stood there; give it to a resident")
        print("now stop its simulator; the broker cuts its terminals off within seconds")
        return 0
    manifest, made = run(args.data, args.building, args.flats, args.person)
    print(f"rehearsal: building {made}, {args.flats} simulated terminals")
    print("a running `xunlou up` gives them their broker accounts within seconds; then")
    print(f"  xunlou sim --fleet {manifest} --switches {args.data} --sos-per-hour 0")
    again = f"xunlou rehearse --data {args.data} --building {made}"
    print(f"and when it is over\n  {again} --end --outcome other --who NAME")
    return 0


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
    data: Path, building: int | None, flats: int, persons: Sequence[str]
) -> tuple[Path, int]:
    """Set it up in the directory of `xunlou up`; returns the manifest and the building's number.
    Raises ValueError."""
    directory, listed = _register_in(data), people_of(persons)
    keys = Keys.kept(directory / "secrets.env")

    def set_up(tx: Tx) -> tuple[list[str], str, str]:
        ids = rehearsing.set_up(
            tx, building=building, flats=flats, listed=listed, who="xunlou rehearse",
            why="rehearsal",
        )  # fmt: skip
        community = people.community(tx.conn)
        assert community is not None
        return ids, community.name, str(community.zone)

    ids, name, zone = _write(directory, set_up)
    number = int(ids[0].split("-")[1])
    manifest = {
        "community": name,
        "tz": zone,
        "terminals": [
            {"id": i, "password": terminal_password(keys.terminal_secret, i),
             "building": number, "flat": i.rpartition("-")[2],
             "floor": int(i.rpartition("-")[2][:-2]), "profile": "away"}
            for i in ids
        ],
        "phones": [],
        "rounds": [],
    }  # fmt: skip
    path = _manifest(directory, number)
    write_private(path, json.dumps(manifest, ensure_ascii=False))
    return path, number


def end(data: Path, building: int | None, outcome: str | None, who: str) -> rehearsing.Ended:
    """End it by a person's word, and take the manifest with its passwords away. Raises ValueError
    with what is missing."""
    who = who.strip()
    if building is None or not who:
        raise ValueError("--end needs --building, --outcome and --who: a person ends a rehearsal")
    directory = _register_in(data)
    secret = Keys.kept(directory / "secrets.env").link_secret
    settings = Settings(database_url=_url(directory), secret=SecretStr(secret))
    house = house_of(settings, secret.encode())
    ended = _write(
        directory,
        lambda tx: rehearsing.end(
            tx, house, building=building, outcome=acting.outcome_of(outcome), who=who,
            why="end of the rehearsal",
        ),
    )  # fmt: skip
    _manifest(directory, building).unlink(missing_ok=True)
    return ended


def _register_in(data: Path) -> Path:
    directory = data.resolve()
    if not (directory / "xunlou.db").exists():
        raise ValueError(f"{directory} holds no register; start `xunlou up --data {data}` once")
    return directory


def _url(directory: Path) -> str:
    return f"sqlite:///{directory / 'xunlou.db'}"


def _manifest(directory: Path, building: int) -> Path:
    return directory / f"rehearsal-{building}.json"


def _write(directory: Path, change: Callable[[Tx], T]) -> T:
    database = Database(_url(directory), Clock())
    try:
        return database.transact(change)[0]
    except (Refused, Unknown) as error:
        raise ValueError(str(error)) from error
    finally:
        database.close()
