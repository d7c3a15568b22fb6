"""A resident asks by a key of their terminal for help which can wait.

It must never open an alert, nor undo the sign of life that the press is: the caller lets it fail by
itself.
"""

from datetime import timedelta

from server.core import terminal_request
from server.core.help_requests import Source, Want
from server.database import Tx
from server.service.help import requests
from server.store import commands, communities
from server.store import help_requests as store
from server.tables import to_ms

SAID_FOR = timedelta(minutes=30)
"""A terminal that is off the air for longer says nothing: nobody stands in front of it any more."""


def ask(tx: Tx, *, terminal_id: str, resident_id: int, want: Want, key: str) -> None:
    """Write it down, and let the terminal say by when. What waits already is not asked twice: a key
    is pressed again by whoever is not sure that it was heard."""
    waiting = store.waiting_of_terminal(tx.conn, resident_id, want.value)
    if waiting is None:
        made = requests.ask(
            tx, want=want, words=terminal_request.words(want), source=Source.TERMINAL, by=None,
            resident_id=resident_id, key=key,
        )  # fmt: skip
        waiting = store.one(tx.conn, made)
        assert waiting is not None
    else:
        requests.asked_again(tx, waiting)
    community = communities.of_building(tx.conn, waiting["building_id"])
    assert community is not None, "a resident has a community"
    said = terminal_request.answer(want, waiting["due_at"], tx.now, community.zone)
    until = tx.now + SAID_FOR
    commands.add(
        tx.conn, terminal_id=terminal_id, payload={"cmd": "say", "exp": to_ms(until), "text": said},
        created_at=tx.now, expires_at=until, due_at=tx.now,
    )  # fmt: skip
    tx.wake("commands")
