"""Greeting calls: ticked off by staff, with what came of each.

Never a sign of life, never an end or a beginning of an alert: a person who answers the telephone
may lie on the floor, and one who does not may be in the garden. Staff decide.
"""

from server.core.greetings import ALONE, GreetingOutcome
from server.core.help_requests import Source, Want
from server.database import Tx
from server.service import auditing
from server.service.help import requests
from server.service.refusals import Refused, Unknown
from server.store import communities, people
from server.store import greetings as store

MOST_NOTE = 300


def greet(
    tx: Tx, resident_id: int, outcome: GreetingOutcome, *, by: str, note: str = "",
    want: Want = Want.OTHER, turn: int | None = None,
) -> int | None:  # fmt: skip
    """Write down what came of a call today; returns the help request where they want something.

    `turn`: which call of the day it is, as the list showed it, so that a double tap is one call.
    Raises Unknown, or Refused: not on the list, no word of what is wanted, somebody else was first.
    """
    row = people.resident(tx.conn, resident_id)
    if row is None:
        raise Unknown(f"there is no resident {resident_id}")
    if row["state"] != "active" or row["living"] != ALONE:
        raise Refused(f"resident {resident_id} is not on the list: away, or not alone",
                      zh="这位住户不在今天的名单上(外出,或不独居)。")  # fmt: skip
    note = " ".join(note.split())[:MOST_NOTE]
    if outcome is GreetingOutcome.WANTS and not note:
        raise Refused("say what is wanted: `note` is empty", zh="请写明老人要办什么事。")
    day = communities.local_day(tx.conn, tx.now, row["building_id"])
    before = store.turns(tx.conn, resident_id, day)
    turn = len(before) + 1 if turn is None else turn
    made = store.add(
        tx.conn, resident_id=resident_id, building_id=row["building_id"], day=day, turn=turn,
        at=tx.now, by=by, outcome=outcome.value, note=note,
    )  # fmt: skip
    if made is None:
        was = next(g for g in store.turns(tx.conn, resident_id, day) if g["turn"] == turn)
        if (was["outcome"], was["by"]) == (outcome.value, by):
            return int(was["request_id"]) if was["request_id"] is not None else None
        raise Refused(f"{was['by']} has rung meanwhile; look at the list again",
                      zh=f"{was['by']}刚刚打过。请刷新名单再看。")  # fmt: skip
    auditing.saw(tx, by, "greeted", resident_id=resident_id, outcome=outcome.value)
    if outcome is not GreetingOutcome.WANTS:
        return None
    request_id = requests.ask(
        tx, want=want, words=note, source=Source.GREETING, by=by, resident_id=resident_id,
        key=f"greeting:{made}",
    )  # fmt: skip
    store.set_request(tx.conn, made, request_id=request_id)
    return request_id
