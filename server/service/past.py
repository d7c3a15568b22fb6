"""What is held of people goes by itself when its time is over: of residents who are watched no
more, and of contacts who stand behind no target any more.

It must never take away what a press still needs: `erasing` holds that, and refuses; whoever is
refused is asked again the next day.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from server.database import Database, Tx
from server.service import erasing, history
from server.service.refusals import Refused
from server.store import consents, people
from server.store import past as store

MOST = 100
"""Of each kind and day. An erasure reads the whole journal once."""
WHO = "system"


def empty_notes(tx: Tx, resident_id: int, before: datetime, why: str) -> bool:
    """The way in, what concerns health and the places of keys. False where it holds no longer that
    they may go."""
    if not store.noted(tx.conn, before, 1, of=resident_id):
        return False
    people.set_resident(tx.conn, resident_id, access_notes="", risks="")
    consents.forget_key_places(tx.conn, resident_id)
    history.note(
        tx, f"resident:{resident_id}",
        {"access_notes": history.HIDDEN, "risks": history.HIDDEN},
        who=WHO, why=why, via=history.Via.RULE,
    )  # fmt: skip
    return True


async def clear(
    database: Database, life: timedelta, rest: Callable[[], Awaitable[bool]]
) -> dict[str, int]:
    """One day's work; how many lost their notes, and how many residents and contacts were erased.
    `rest` is awaited between two of them, and says whether to stop."""
    before, why = database.clock.now() - life, f"{life.days} days after the end"
    gone = {"notes": 0, "residents": 0, "contacts": 0}
    await database.write(lambda tx: store.mark_roleless(tx.conn, tx.now))
    for one in await database.read(lambda c: store.noted(c, before, MOST)):
        gone["notes"] += await database.write(
            lambda tx, one=one: empty_notes(tx, one, before, why)  # type: ignore[misc]
        )
        if await rest():
            return gone
    left: list[int] = []
    for one in await database.read(lambda c: store.erasable(c, before, MOST)):
        try:
            done = await erasing.erase(database, "resident", one, who=WHO, why=why)
        except Refused:  # pressed meanwhile
            continue
        gone["residents"] += 1
        left += done["contacts_left"]
        if await rest():
            break
    # Who stood by them alone has had nothing to do for as long; the others' own time decides.
    over = [
        *await database.read(lambda c: store.among(c, left)),
        *await database.read(lambda c: store.roleless(c, before, MOST)),
    ]
    for one in dict.fromkeys(over):
        try:
            await erasing.erase(database, "person", one, who=WHO, why=why)
        except Refused:
            continue
        gone["contacts"] += 1
        if await rest():
            break
    return gone
