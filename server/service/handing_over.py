"""The handover of a shift: two names, what was told, one journal entry."""

from datetime import datetime
from typing import Any, assert_never

from server.core import handover as core
from server.database import Tx
from server.service.refusals import Refused
from server.store import handovers, journal

WORDS: dict[core.Flaw, tuple[str, str]] = {
    "no_outgoing": ("say who hands over: the outgoing name is empty", "请写交班人的名字。"),
    "no_incoming": ("say who takes over: the incoming name is empty", "请写接班人的名字。"),
    "same_person": ("a handover needs two people; both names are the same",
                    "交接要两个人:两个名字不能一样。"),
    "name_too_long": (f"a name has at most {core.LONGEST_NAME} characters",
                      f"名字太长了,最多{core.LONGEST_NAME}个字。"),
}  # fmt: skip


def hand_over(
    tx: Tx, outgoing: str, incoming: str, note: str, *, last_id: int, since: datetime,
    picture: dict[str, Any], by: str, community_id: int | None,
) -> int:  # fmt: skip
    """Write the handover of a community's desk down; returns its id. `last_id`: the newest handover
    of this desk that its writer knew of, so that a double tap is one handover and two writers at
    once are not both right.

    Raises Refused for a missing name, one person twice, or a handover that came in between.
    """
    checked = core.names(outgoing, incoming)
    match checked:
        case str():
            en, zh = WORDS[checked]
            raise Refused(en, zh=zh)
        case core.Names():
            pass
        case _:
            assert_never(checked)
    newest = next(iter(handovers.recent(tx.conn, 1, community_id)), None)
    if newest is not None and newest["id"] != last_id:
        if (newest["outgoing"], newest["incoming"]) == (checked.outgoing, checked.incoming):
            return int(newest["id"])
        raise Refused(
            f"{newest['outgoing']} has handed over to {newest['incoming']} meanwhile;"
            " read that sheet first",
            zh=f"{newest['outgoing']}刚刚已交给{newest['incoming']}。请先看那一份,再签。",
        )
    handover_id = handovers.add(
        tx.conn, at=tx.now, since=since, outgoing=checked.outgoing, incoming=checked.incoming,
        note=note.strip()[:2000], by=by, picture=picture, community_id=community_id,
    )  # fmt: skip
    journal.note(
        tx, "handed_over", handover_id=handover_id, outgoing=checked.outgoing,
        incoming=checked.incoming, open=len(picture["open"]), by=by,
    )  # fmt: skip
    return handover_id
