"""Contacts who stand by several houses: whoever looks after some of these houses may see such a
person, but what changes, exports or erases them concerns all of them."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from server.core.access import Scope
from server.service.refusals import Beyond
from server.store import people, scopes

BEYOND: Final[Mapping[str, str]] = {
    "zh": "此人还关系到您账号范围以外的楼栋(或值班室,或目前不在任何楼栋),您不能改动、导出或删除。"
    "请让管辖其全部楼栋的账号(例如全社区的协调员)来办。",
    "en": "this contact also concerns houses beyond your account (or the care centre, or no house "
    "at all): ask somebody whose account covers all of their houses, such as a coordinator of the "
    "whole installation, to do it",
}


def demand_whole(conn: Connection, scope: Scope, person_id: int) -> None:
    """All houses of this contact lie in the scope, and the scope answers for every community at
    whose desk they stand. Whoever stands nowhere (any more) is for accounts that leave no house
    out. Raises Beyond."""
    if scope.common or not people.has_person(conn, person_id):
        return  # who isn't there is for the use-case to say
    houses = scopes.houses_of(conn, "person_id", str(person_id)) or ()
    desks = scopes.desks_of(conn, "person_id", person_id)
    whole = (houses and all(h is None or scope.shows(h) for h in houses)
             and all(map(scope.answers_for, desks)))  # fmt: skip
    if not whole:
        raise Beyond(BEYOND["en"], zh=BEYOND["zh"])
