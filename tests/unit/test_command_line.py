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
