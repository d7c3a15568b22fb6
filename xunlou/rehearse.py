"""`xunlou rehearse`: puts a rehearsal into a live register, and writes the simulator's manifest."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from server.clock import Clock
from server.database import Database, Tx
from server.service import rehearsing
from server.service.refusals import Refused
from server.store import people
from xunlou.keys import Keys, write_private
from xunlou.sample import terminal_password


def people_of(words: Sequence[str]) -> list[rehearsing.Listed]:
    """`name=+8613…` as somebody for the list. Raises ValueError with the form."""
    found = []
    for word in words:
        name, _, phone = word.partition("=")
        if not name or not phone.startswith("+") or not phone[1:].isdigit():
            raise ValueError(f"--person {word!r}: give a name and a telephone, 陈工=+8613800000000")
        found.append(rehearsing.Listed(name, phone))
    return found


def run(data: Path, building: int, flats: int, persons: Sequence[str]) -> Path:
    """Set it up in the directory of `xunlou up`; returns the manifest. Raises ValueError."""
    directory = data.resolve()
    if not (directory / "xunlou.db").exists():
        raise ValueError(f"{directory} holds no register; start `xunlou up --data {data}` once")
    keys = Keys.kept(directory / "secrets.env")
    listed = people_of(persons)
    database = Database(f"sqlite:///{directory / 'xunlou.db'}", Clock())

    def set_up(tx: Tx) -> dict[str, Any]:
        ids = rehearsing.set_up(
            tx, building=building, flats=flats, listed=listed, who="xunlou rehearse",
            why="rehearsal",
        )  # fmt: skip
        community = people.community(tx.conn)
        assert community is not None
        return {
            "community": community.name,
            "tz": str(community.zone),
            "terminals": [
                {"id": i, "password": terminal_password(keys.terminal_secret, i),
                 "building": building, "flat": i.rpartition("-")[2],
                 "floor": int(i.rpartition("-")[2][:-2]), "profile": "away"}
                for i in ids
            ],
            "phones": [],
            "rounds": [],
        }  # fmt: skip

    try:
        manifest, _ = database.transact(set_up)
    except Refused as refused:
        raise ValueError(str(refused)) from refused
    finally:
        database.close()
    path = directory / f"rehearsal-{building}.json"
    write_private(path, json.dumps(manifest, ensure_ascii=False))
    return path
