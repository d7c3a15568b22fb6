"""What every form of the register has in common: who says so and why, what is wrong with a field,
and what somebody else changed meanwhile.

A form that was opened before somebody else's change is refused with that change: nobody's work is
overwritten unseen.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import RowMapping

from server.core.cells import Why
from server.database import Tx
from server.service.history import Via
from server.service.register.rows import Problem
from server.service.register.words import reason
from server.store import changes

Cells = Mapping[str, str]
"""What stands in a form's fields, by the keys of the columns (server/core/columns.py)."""
LEAST_REASON = 2


class Misfit(Exception):
    """A form that can't be taken: the words for each field, in both languages ("": for all)."""

    def __init__(self, fields: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__("; ".join(f"{k}: {w['en']}" for k, w in fields.items()))
        self.fields = fields


class Stale(Exception):
    """Somebody else changed the same since this form was opened: `rows` of the history."""

    def __init__(self, rows: Sequence[RowMapping]) -> None:
        super().__init__("changed meanwhile")
        self.rows = rows


@dataclass(frozen=True, slots=True)
class Said:
    """Who says so, why, and by which way."""

    who: str
    why: str
    via: str = Via.FORM

    def checked(self) -> "Said":
        """With a reason, on one line. Raises Misfit without one."""
        why = " ".join(self.why.split())[:200]
        if len(why) < LEAST_REASON:
            raise Misfit({"reason": {"zh": "请写明原因", "en": "say why"}})
        return Said(self.who, why, self.via)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was filled in. `removed`: ids of assignments to take off; `seen`: the newest
    change that whoever opened it could see; `langs`: the language for the number in a column."""

    cells: Cells
    said: Said
    removed: Collection[int] = ()
    seen: int = 0
    langs: Mapping[str, str] = field(default_factory=dict)
    address: Mapping[str, str] | None = None


def misfit(key: str, why: Why, detail: str = "") -> Misfit:
    """A form with one field that can't be taken."""
    problem = Problem(1, "", why, detail)
    return Misfit({key: {lang: reason(problem, lang) for lang in ("zh", "en")}})


def unchanged_since(tx: Tx, kind: str, number: int, seen: int, *more: str) -> None:
    """Nobody has changed it since. Raises Stale."""
    changes.hold(tx.conn, kind, number)
    if rows := changes.after(tx.conn, [f"{kind}:{number}", *more], seen):
        raise Stale(rows)
