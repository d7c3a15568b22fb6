"""Which communities there are, as far as somebody has to be told which one is meant.

Where there is one community, nobody has: no name is in any answer here.
"""

from collections.abc import Collection

from sqlalchemy import Connection, RowMapping, func, select

from server import tables as t
from server.core.access import EVERYWHERE, Scope
from server.store import rosters, scopes
from server.store.communities import CommunityFacts

ASSIGNMENT, RESIDENT, BUILDING = t.table(t.Assignment), t.table(t.Resident), t.table(t.Building)
MOST_NAMED = rosters.MOST_NAMED


def seen(
    communities: Collection[CommunityFacts], houses: Collection[RowMapping],
    scope: Scope = EVERYWHERE,
) -> tuple[CommunityFacts, ...]:
    """The communities of which this scope has a house, or the whole. `houses`: rows of `building`.
    Asks nothing."""
    if scope.buildings is None:
        return tuple(communities)
    theirs = {b["community_id"] for b in houses if scope.shows(b["id"])} | scope.communities
    return tuple(c for c in communities if c.id in theirs)


def beside(communities: Collection[CommunityFacts]) -> dict[int, str]:
    """Series → name where they are several: in front of a house. Empty where they are not."""
    return {c.series: c.name for c in communities} if len(communities) > 1 else {}


def in_sight(conn: Connection, scope: Scope = EVERYWHERE) -> tuple[CommunityFacts, ...]:
    """The communities of which this scope has a house, or the whole, in the order of their
    registration."""
    return tuple(CommunityFacts(row) for row in scopes.seen(conn, scope))


def names(conn: Connection, scope: Scope = EVERYWHERE) -> dict[int, str]:
    """Series → name of each community in sight, where they are several; else empty."""
    return beside(in_sight(conn, scope))


def of_several(conn: Connection, person_ids: Collection[int]) -> frozenset[int]:
    """Whoever of these people stands by houses, residents or desks of more than one community. Of
    many, everybody who does."""
    community = func.coalesce(ASSIGNMENT.c.community_id, BUILDING.c.community_id)
    house = func.coalesce(ASSIGNMENT.c.building_id, RESIDENT.c.building_id)
    query = (
        select(ASSIGNMENT.c.person_id)
        .outerjoin(RESIDENT, RESIDENT.c.id == ASSIGNMENT.c.resident_id)
        .outerjoin(BUILDING, BUILDING.c.id == house)
        .group_by(ASSIGNMENT.c.person_id)
        .having(func.count(community.distinct()) > 1)
    )
    if len(person_ids) <= MOST_NAMED:
        query = query.where(ASSIGNMENT.c.person_id.in_(person_ids))
    return frozenset(conn.execute(query).scalars())
