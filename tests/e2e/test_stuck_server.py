"""A server whose event loop stands still, as a real process: it says so, and makes room."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from server.watchdog import STUCK
from tests.town import a_town, bound

STUCK_SERVER = """
import asyncio, sys, threading
from server import app, watchdog
from server.auditor import Auditor
from town import settings_for

watchdog.TEXT_AFTER, watchdog.END_AFTER = 2, 4  # a minute and a half is too long for a test
url, phones_url, port = sys.argv[1:]
look = Auditor._look

async def look_and_stand(auditor):
    await look(auditor)
    threading.Event().wait()  # nobody sets it: the loop turns no more

Auditor._look = look_and_stand
settings = settings_for(url, f"http://127.0.0.1:{port}", phones_url, port=int(port))
asyncio.run(app.serve(settings, asyncio.Event()))
"""


async def test_a_loop_that_stands_texts_the_duty_and_ends(tmp_path: Path) -> None:
    """No auditor and no outbox runs any more: whoever has the duty gets one SMS all the same, the
    log says where every thread stood, and the process ends, so that it can be started anew."""
    sock, own_url = bound()
    sock.close()
    async with a_town(tmp_path, start=datetime.now(UTC)) as town:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STUCK_SERVER, town.runtime.settings.database_url,
            town.phones_url, own_url.rpartition(":")[2],
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        try:
            _, said = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == STUCK, said.decode()
        assert "in look_and_stand" in said.decode()
        told = [b for p in town.community.duty for b in await town.phone(p.phone)]
        assert len(told) in (2, 6), told
        assert all("系统可能卡住:服务器" in words for words in told)
