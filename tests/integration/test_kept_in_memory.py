"""What a process has loaded stays: its collector of garbage must not look through it again."""

import os
import subprocess
import sys
from pathlib import Path

from xunlou.embedded import Place, prepare
from xunlou.keys import Keys
from xunlou.ports import free_port
from xunlou.sample import guangdan

SERVER = """
import gc
from server import app
from xunlou import cli
plain = app.serve

async def serve(settings, stop, ready):
    def then():
        before = gc.get_freeze_count()
        ready()
        print(before, gc.get_freeze_count(), len(gc.get_objects()))
        stop.set()
    await plain(settings, stop, then)

app.serve = serve
raise SystemExit(cli.main(["serve"]))
"""
GATEWAY = """
import asyncio, gc
from gateway import app
from xunlou import cli

async def run(settings, stop):
    print(0, gc.get_freeze_count(), len(gc.get_objects()))

app.run = run
raise SystemExit(cli.main(["gateway"]))
"""


def counted(program: str, place: Place, folder: Path) -> list[int]:
    """What a process of the house says of its objects: kept before, kept, still looked through."""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, cwd=folder,
        env={**os.environ, **place.environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [int(word) for word in ran.stdout.split()[-3:]]


def test_neither_server_nor_gateway_searches_what_it_has_loaded(tmp_path: Path) -> None:
    """All of the server's modules, routes and models were a quarter of a million objects, and to
    look through them held a press for 150 to 230 ms, in a flood once a second."""
    place = Place(tmp_path, free_port(), free_port(), Keys.fresh())
    prepare(place, guangdan())
    before, kept, left = counted(SERVER, place, tmp_path)
    assert (before, left < kept / 20) == (0, True), (before, kept, left)
    assert kept > 150_000
    _, kept, left = counted(GATEWAY, place, tmp_path)
    assert left < kept / 20, (kept, left)
    assert kept > 20_000
