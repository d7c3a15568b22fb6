"""The command that every process of the house begins with."""

import subprocess
import sys

CHECK = """
import sys
from xunlou import cli
cli.main.__module__
cli._parser()
cli.COMMANDS["gateway"] = lambda _args: 0
assert cli.main(["gateway"]) == 0
print([m for m in sys.modules if m.split('.')[0] in ('fastapi', 'sqlalchemy', 'twilio', 'textual')])
"""


def test_reading_the_command_line_loads_no_server() -> None:
    """A gateway or a simulator starts without the server's libraries: they are most of the memory
    and of the time."""
    ran = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def loaded(program: str, *names: str) -> list[str]:
    """Which of these modules are loaded when `program` has run."""
    look = f"{program}\nimport sys\nprint(*[m for m in {names!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_gateway_loads_nothing_of_the_server() -> None:
    """Beside its own 50 MiB the server's libraries are 150 more, on a machine that may be small."""
    program = (
        "import asyncio\n"
        "from xunlou import cli\n"
        "from gateway import app, settings\n"
        "async def part(stop): pass\n"
        "asyncio.run(cli._until_signal(part))"
    )
    assert loaded(program, "gateway.app", "server.app", "sqlalchemy", "fastapi") == ["gateway.app"]


def test_a_server_on_sqlite_loads_what_it_needs() -> None:
    """PostgreSQL's driver, workbooks, the identity provider's library and what migrates a database
    are 30 MiB that most offices never use."""
    program = (
        "from server import app, schema\n"
        "from server.clock import Clock\n"
        "from server.database import Database\n"
        "Database('sqlite://', Clock()).close()\n"
        "schema.newest(), schema.current('sqlite://')"
    )
    heavy = ("psycopg", "openpyxl", "authlib", "joserfc", "alembic")
    assert loaded(program, "server.app", *heavy) == ["server.app"]
