"""Which community a row is about, and which one a row may register.

Where several are registered a row says which it means; none is guessed. A community is known by its
name, and by its street and district where another has the same.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping

from server.core import houses
from server.core.access import EVERYWHERE, Level, Scope
from server.core.cells import Why
from server.core.houses import Named
from server.service.register.rows import Row
from server.store import communities
from server.store import register as store

MOST_LISTED = 20
"""Communities that a refusal names."""


@dataclass(slots=True, eq=False)
class Community:
    """A community as registered, or as drafted: then it has neither id nor rounds of its own."""

    id: int | None
    series: int
    named: Named
    facts: communities.CommunityFacts | None
    offices: set[tuple[str, str]] = field(default_factory=set)
    """(role, phone) of who stands at its desk and in the offices above it."""

    def today(self, now: datetime) -> date:
        """The day there."""
        return now.astimezone(
            self.facts.zone if self.facts else ZoneInfo(communities.BUILT_IN_ZONE)
        ).date()


class Communities:
    """Those that somebody with this scope may see, and those that a draft adds. `made`: ids of
    those that this file has registered already."""

    def __init__(
        self, rows: list[RowMapping], seen: frozenset[int] | None, scope: Scope = EVERYWHERE,
        made: frozenset[int] = frozenset(),
    ) -> None:
        """`seen`: ids of those with a house in the scope; None: every one."""
        every = [
            Community(r["id"], r["series"], Named(r["name"], r["street"], r["district"]),
                      communities.CommunityFacts(r))
            for r in rows
        ]  # fmt: skip
        self._scope, self._made = scope, made
        self._every = every
        self.by_series = {c.series: c for c in every}
        """Each by the series of its houses' numbers."""
        self.seen = [c for c in every if seen is None or c.id in seen]
        self.founds = True
        """Whether a row may register one that there is not yet."""

    @property
    def by_id(self) -> dict[int, Community]:
        """Each that is registered, by its id."""
        return {c.id: c for c in self._every if c.id is not None}

    @property
    def next_series(self) -> int:
        """The first series after all that were ever given."""
        return max((c.series for c in self._every), default=-1) + 1

    def called(self, community: Community) -> str:
        """How people call it where it has to be said; empty where it is the only one."""
        if len(self.seen) < 2:
            return ""
        return houses.distinct(community.named, [c.named for c in self.seen])

    def house(self, number: int) -> str:
        """What people call a house: 2, or 棠德 2."""
        community = self.by_series.get(houses.series(number))
        return houses.called(number, self.called(community) if community else "")

    def _listed(self) -> str:
        names = [c.named for c in self.seen]
        listed = [houses.distinct(n, names) for n in names[:MOST_LISTED]]
        return "、".join(listed) + ("…" if len(names) > MOST_LISTED else "")

    def meant(self, row: Row) -> list[Community]:
        """Those that a row may mean."""
        if row.meant is not None:
            return [c for c in self.seen if c.id == row.meant]
        return [self.seen[n] for n in houses.meant(row.named, [c.named for c in self.seen])]

    def find(self, row: Row) -> Community | None:
        """The community that a row means, which is registered or drafted. Else the row is
        refused, and says what to write."""
        found = self.meant(row)
        if len(found) == 1:
            return found[0]
        key = next((k for k in ("community", "building", "role") if k in row.columns), "")
        if not self.seen:
            row.refuse(key, Why.NO_COMMUNITY)
        elif found:
            row.refuse(key, Why.WHICH_COMMUNITY, self._listed())
        else:
            row.refuse(key, Why.NO_SUCH_COMMUNITY, self._listed())
        return None

    def find_or_found(self, row: Row) -> Community | None:
        """The same for a row of a building: with a name that is not registered it registers one
        with the next free series, where the asker answers for the place it lies in. The community
        is `add`ed once the row is taken."""
        named = row.named
        if self.meant(row) or not named.name or not self.founds:
            return self.find(row)
        same = [c for c in self._every if houses.alike(c.named.name, named.name)]
        there = next((c for c in same if c.id is not None and c.id not in self._made), None)
        if there is not None and there in self.seen:
            n = there.named
            row.refuse("community", Why.SAME_NAME, f"{n.district}{n.street}{n.name}")
        elif not self.may_lie(named):
            row.refuse("community", Why.COMMUNITY_BEYOND)
        else:
            return Community(None, self.next_series, named, None)
        return None

    def add(self, community: Community) -> None:
        """A community is drafted."""
        self._every.append(community)
        self.by_series[community.series] = community
        self.seen.append(community)

    def answers_for(self, community: Community) -> bool:
        """Whether the asker answers for the community as a whole; for one that they have just
        registered too."""
        return community.id is None or self._scope.answers_for(community.id)

    def may_lie(self, named: Named) -> bool:
        """Whether the asker may register a community that lies there: who answers for the whole
        installation, or for that street or district."""
        if self._scope.buildings is None:
            return True
        own = [c.named for c in self._every if c.id in self._scope.communities]
        match self._scope.level:
            case Level.DISTRICT:
                return any(named.district and c.district == named.district for c in own)
            case Level.STREET:
                return any(named.street and c.street == named.street
                           and c.district == named.district for c in own)
            case _:
                return False

    def may_move(self, community: Community, named: Named) -> bool:
        """Whether the asker may say that a community of theirs lies there. Whoever answers for a
        part of the installation may not put it beside communities beyond that part: who answers
        for its street or district would then see both."""
        if self._scope.buildings is None:
            return True
        was = community.named
        elsewhere = named.district != was.district
        for other in self._every:
            if other is community or self.answers_for(other):
                continue
            there = other.named
            if elsewhere and named.district and named.district == there.district:
                return False
            moved = elsewhere or named.street != was.street
            same = (named.district, named.street) == (there.district, there.street)
            if moved and named.street and same:
                return False
        return True


def load(
    conn: Connection, scope: Scope = EVERYWHERE, made: frozenset[int] = frozenset()
) -> Communities:
    """The communities, as somebody with this scope may see them."""
    seen = None
    if scope.buildings is not None:
        seen = scope.communities | store.communities_of(conn, scope.buildings)
    return Communities(list(store.communities(conn)), seen, scope, made)
