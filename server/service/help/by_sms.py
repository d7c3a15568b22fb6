"""A steward asks by SMS for help which can wait, for a household of theirs."""

from sqlalchemy import RowMapping

from server.core import houses, request_sms
from server.core.help_requests import Source
from server.core.houses import sign
from server.core.messages import Subject
from server.core.words import Role, Template
from server.database import Tx
from server.service import effects
from server.service.effects import ROUND_LANE
from server.service.help import requests
from server.service.house import House
from server.store import doors, places, walks


def ask(tx: Tx, house: House, person: RowMapping, body: str, provider_id: str) -> bool:
    """Write it down and thank for it; False where it is no request, or not from a steward: then a
    person must read it. A door that is not theirs or not known is left to the desk, with the words
    as they came. False as well where it may be a house of two communities: nobody's errand is done
    in the wrong one. The caller has made sure that no alert waits for this person."""
    if request_sms.asked(body) is None:
        return False
    mine = walks.houses_of(tx.conn, person["id"])
    theirs = {houses.series(h["number"]) for h in mine}
    names = places.names(tx.conn) if len(theirs) > 1 else {}
    asked = request_sms.asked(body, [names[s] for s in theirs if s in names])
    if asked is None or not mine:
        return False
    if asked.community:
        mine = [h for h in mine if houses.of(names, h["number"]) == asked.community]
    named = [h for h in mine if sign(h["number"]) == asked.building]
    own = [h for h in mine if h["role"] == Role.STEWARD] or list(mine)
    if len({houses.series(h["number"]) for h in named or own}) > 1:
        return False
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
    subject = effects.named(tx, Subject(building=sign(chosen["number"])), chosen["id"], person)
    # Not in the lane of alerts: thanks can wait.
    effects.answer(tx, house, person, Template.REQUEST_NOTED, subject, lane=ROUND_LANE)
    return True
