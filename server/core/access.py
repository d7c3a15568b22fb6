"""Who may do what, and for which houses.

Pure. A role is a set of rights; a scope is a set of buildings. Whoever asks for something outside
their scope is told that it is not there, never that it is somebody else's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class AccountRole(StrEnum):
    """What somebody who logs in is to the house (not to be confused with a contact's `Role`)."""

    OPERATOR = "operator"
    COORDINATOR = "coordinator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    KIOSK = "kiosk"


class Right(StrEnum):
    """One thing that an account or a token may do."""

    LOOK = "look"
    """The wall, alerts, buildings, residents without the way in."""
    ACT = "act"
    """Alerts, absences, the handover, a round reported for a steward, requests, visits,
    greetings."""
    ACCESS = "access"
    """The way into a home, for a reason that is logged."""
    REGISTER = "register"
    """Change who lives where, who is told, the rounds, the terminals; counter an entry of hours."""
    REPORT = "report"
    """Figures of a period, on screen and as CSV."""
    RECORD = "record"
    """Journal, messages and quarantine, word for word."""
    ACCOUNTS = "accounts"
    """Other people's accounts, and tokens."""
    HALL = "hall"
    """The screen of the community hall."""


_DESK: Final = frozenset({Right.LOOK, Right.ACT, Right.ACCESS, Right.REPORT, Right.HALL})
RIGHTS: Final[Mapping[AccountRole, frozenset[Right]]] = {
    AccountRole.OPERATOR: _DESK,
    AccountRole.COORDINATOR: _DESK | {Right.REGISTER},
    AccountRole.ADMINISTRATOR: frozenset(Right),
    # Sees what was done and may do nothing, not even open a door's note.
    AccountRole.AUDITOR: frozenset({Right.LOOK, Right.REPORT, Right.RECORD, Right.HALL}),
    AccountRole.KIOSK: frozenset({Right.HALL}),
}


class Level(StrEnum):
    """How wide a scope is. `all`: the whole installation."""

    ALL = "all"
    DISTRICT = "district"
    STREET = "street"
    COMMUNITY = "community"
    BUILDING = "building"


_WIDEST_FIRST: Final = tuple(Level)


@dataclass(frozen=True, slots=True)
class Scope:
    """The houses somebody answers for. `buildings`: their ids; None: every one, also those that
    are built tomorrow. `every`: these are all that there are today. `communities`: the ids of those
    that lie within it as a whole, with their desk, rota and rounds."""

    level: Level = Level.ALL
    buildings: frozenset[int] | None = None
    every: bool = False
    communities: frozenset[int] = frozenset()

    def shows(self, building_id: int | None) -> bool:
        """Whether what concerns this building may be seen. What concerns no building concerns us
        all: that we are blind, or a press of a terminal that nobody has assigned."""
        return self.buildings is None or building_id is None or building_id in self.buildings

    def covers(self, other: "Scope") -> bool:
        """Whether the other scope lies within this one: nobody gives away more than they have. A
        wider level never does, though it may have no more houses today: it may have tomorrow."""
        if self.buildings is None:
            return True
        if _WIDEST_FIRST.index(other.level) < _WIDEST_FIRST.index(self.level):
            return False
        return other.buildings is not None and other.buildings <= self.buildings

    @property
    def wide(self) -> bool:
        """Whether it is at least a community, and not one building of it."""
        return self.level is not Level.BUILDING

    def answers_for(self, community_id: int) -> bool:
        """Whether what all houses of a community have in common (its desk with rota and handover,
        its rounds, its address, its hours) is within."""
        return self.buildings is None or community_id in self.communities

    @property
    def answers(self) -> bool:
        """Whether there is a community at all whose common things are within."""
        return self.buildings is None or bool(self.communities)

    @property
    def common(self) -> bool:
        """Whether it has no house beyond it: what is one for all houses of the installation and
        can't be told apart by community is for nobody else."""
        return self.buildings is None or (self.wide and self.every)


EVERYWHERE: Final = Scope()
NOWHERE: Final = Scope(Level.BUILDING, frozenset())
