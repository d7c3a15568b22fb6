"""A steward asks by SMS for help which can wait, for a household of theirs."""

from sqlalchemy import RowMapping

from server.core import request_sms
from server.core.help_requests import Source
from server.core.houses import sign
from server.core.messages import Subject
from server.core.words import Role, Template
from server.database import Tx
from server.service import effects
from server.service.effects import ROUND_LANE
from server.service.help import requests
from server.service.house import House
from server.store import doors, walks


def ask(tx: Tx, house: House, person: RowMapping, body: str, provider_id: str) -> bool:
    """Write it down and thank for it; False where it is no request, or not from a steward: then a
    person must read it. A door that is not theirs or not known is left to the desk, with the words
    as they came. The caller has made sure that no alert waits for this person."""
    asked = request_sms.asked(body)
    mine = walks.houses_of(tx.conn, person["id"]) if asked is not None else ()
    if asked is None or not mine:
        return False
    named = [h for h in mine if h["number"] == asked.building]
    own = [h for h in mine if h["role"] == Role.STEWARD] or list(mine)
    chosen = (named or own)[0]
    resident_id = None
    if asked.label and (named or asked.building is None):
        here = doors.search(
            tx.conn, building_number=chosen["number"], label=asked.label, name="", limit=2
        )
        resident_id = here[0]["id"] if len(here) == 1 else None
    door = f"{asked.building}-" if asked.building is not None else ""
    said = asked.words if resident_id is not None else f"{door}{asked.label} {asked.words}"
    requests.ask(
        tx, want=asked.want, words=said, source=Source.STEWARD, by=person["name"],
        resident_id=resident_id, building_id=chosen["id"], key=f"sms:{provider_id}",
    )  # fmt: skip
    subject = Subject(building=sign(chosen["number"]))
    # Not in the lane of alerts: thanks can wait.
    effects.answer(tx, house, person, Template.REQUEST_NOTED, subject, lane=ROUND_LANE)
    return True
