"""The last week of rounds of each building, one letter a round: the strip under a façade.

Read side; changes nothing. Derived from worklists and blind times; a table of rounds may take this
place without anybody noticing.
"""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import Connection

from server.core import rounds
from server.store import handovers, people, wall

LENGTH = 14
"""A week of two rounds a day."""
ALL_IN, MISSED, BLIND, UNKNOWN = "o", "m", "b", "-"


def strips(conn: Connection, now: datetime) -> dict[int, str]:
    """Building id → the last 14 rounds, the oldest first: everybody gave a sign in time, somebody
    was missed, nobody could be judged (we were blind), or before our time."""
    community = people.community(conn)
    if community is None:
        return {}
    deadlines = _past(community, now)
    first = deadlines[0] - timedelta(hours=12)
    missed = Counter(wall.missed_since(conn, first))
    dark = handovers.blind_since(conn, first, 200)
    began = wall.began(conn)
    found = {}
    for building in wall.buildings(conn):
        letters = ""
        for deadline in deadlines:
            if missed[building["id"], deadline]:
                letters += MISSED
            elif began is None or deadline < began:
                letters += UNKNOWN
            elif any(a <= deadline and (b is None or deadline < b) for a, b in dark):
                letters += BLIND
            else:
                letters += ALL_IN
        found[building["id"]] = letters
    return found


def _past(community: people.CommunityFacts, now: datetime) -> list[datetime]:
    """The deadlines of the last 14 rounds that are over, the oldest first."""
    found: set[datetime] = set()
    for days in range(LENGTH + 1):
        around = rounds.occurrences(community.plans, community.zone, now - timedelta(days=days))
        found |= {o.deadline for o in around if o.deadline <= now}
        if len(found) > LENGTH + len(community.plans) * 3:
            break
    return sorted(found)[-LENGTH:]
