"""What the pages need from the server, as a protocol that the server implements.

The pages call nothing else. An implementation does its own locking, logging and rights; the pages
only show what they are given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from starlette.requests import Request

from dashboards.account_reader import AccountReader
from dashboards.forms_reader import FormReader
from dashboards.help_reader import HelpReader
from dashboards.register_reader import RegisterReader
from dashboards.terminals_reader import TerminalsReader


@dataclass(frozen=True)
class User:
    """A person who is logged in. `may_act` is false for those who may look and not touch.
    `rights`: words of docs/security.md; `scope`: which houses, for the reader alone. `wide`: not
    for a single building. `must_change`: came with a one-time password. `common`: there is a
    community for which they answer as a whole, so its desk, rota and hours are theirs too. `names`:
    series → name of the communities they see, where they are several."""

    name: str
    role: str
    may_act: bool = True
    rights: frozenset[str] = frozenset({"look", "act", "access", "report", "hall"})
    scope: Any = None
    wide: bool = True
    must_change: bool = False
    account_id: int = 0
    session: str = ""
    common: bool = True
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Login:
    """A login that worked: the session's token, and what this browser keeps to be known again."""

    token: str
    device: str


@dataclass(frozen=True)
class LoginError:
    """Why a login was refused, as a word of the catalogue (`login.error.<reason>`)."""

    reason: Literal[
        "wrong", "locked", "over", "unavailable", "stranger", "unproven", "provider_down"
    ]


@dataclass(frozen=True)
class Begun:
    """A login elsewhere that began: where the browser goes, and the note it keeps until it is
    back."""

    address: str
    note: str


class ActionRefused(Exception):
    """An action is not possible now; `message` says why. `words`: by language, or the same for
    all."""

    def __init__(self, words: str | Mapping[str, str]) -> None:
        super().__init__(words if isinstance(words, str) else words["zh"])
        self._words = words

    def message(self, lang: str) -> str:
        """Why not, in the language of whoever reads it."""
        return self._words if isinstance(self._words, str) else self._words[lang]


class Reader(
    RegisterReader, AccountReader, FormReader, HelpReader, TerminalsReader, Protocol
):
    """The server's read side, as the pages see it."""

    async def snapshot(self, user: User | None) -> Mapping[str, Any]:
        """The body of `GET /api/v1/snapshot`, of the user's houses. None: the hall's own screen."""
        ...

    async def community(self) -> Mapping[str, Any] | None:
        """The snapshot's `community` {name, tz} alone; None before there is one."""
        ...

    async def desks(self, user: User) -> Sequence[Mapping[str, Any]]:
        """The communities for which the user answers as a whole, {id, name, tz}, in the order of
        their registration; empty before there is one."""
        ...

    async def current_user(self, request: Request) -> User | None:
        """Who sent this request; None when nobody is logged in. Raises 404 when its address names
        something outside the houses of their account."""
        ...

    async def login(
        self, username: str, password: str, code: str, request: Request
    ) -> Login | LoginError:
        """A fresh session, or why not. `code`: of the second factor, for those who have one.
        Limits the rate of guesses itself."""
        ...

    @property
    def elsewhere(self) -> str:
        """What people call the house's identity provider; empty: there is none."""
        ...

    async def begin_elsewhere(self, following: str) -> Begun | LoginError:
        """Where to log in elsewhere; `following`: the page that was wanted."""
        ...

    async def finish_elsewhere(
        self, note: str, request: Request
    ) -> tuple[Login, str] | LoginError:
        """What became of it: a session and the page that was wanted, or why not."""
        ...

    async def logout(self, request: Request) -> None:
        """Ends the session of this request on the server; harmless when there is none."""
        ...

    async def alert_detail(self, user: User, alert_id: int) -> Mapping[str, Any] | None:
        """The body of `GET /api/v1/alerts/{id}` as `user` may see it (card, timeline, ladder, and
        `seq`, the journal number all of it is true for); None: no such alert."""
        ...

    async def alert_act(
        self, user: User, alert_id: int, action: str, fields: Mapping[str, str]
    ) -> None:
        """Does one of the card's `actions` in the name of `user`.

        `fields`: `as_person_id`, `outcome`, `note`, `item_resident_id`, each optional. Idempotent.
        Raises ActionRefused.
        """
        ...

    async def alert_access(
        self, user: User, alert_id: int, reason: str
    ) -> Mapping[str, Any] | None:
        """The way into the resident's home: {access_notes, risks, phone, key_holders [{name,
        phone, where}]}; None when the alert has no resident. The look is logged with `reason`."""
        ...

    async def handover(self, community: int | None) -> Mapping[str, Any]:
        """The sheet of the shift that is ending at a community's desk (None: there is none yet):
        now_ms, last_id, on_duty (a name or None),
        picture {since_ms, until_ms, counts {sos, missed}, open [{id, kind, state, test, place,
        fault, opened_ms, who}], blind [{from_ms, to_ms}], homes_away [{place, until_ms}],
        people_away [{name, role, building, until_ms}], notes [{place, kind, outcome, note, by,
        at_ms}]}, before [{id, at_ms, since_ms, outgoing, incoming, note}] (newest first)."""
        ...

    async def handover_written(self, handover_id: int) -> Mapping[str, Any] | None:
        """One earlier handover: id, at_ms, since_ms, outgoing, incoming, note, by, community (an
        id) and the picture as it was then; None: no such handover."""
        ...

    async def hand_over(
        self, user: User, outgoing: str, incoming: str, note: str, last_id: int,
        community: int | None,
    ) -> int:
        """Writes a handover of a community's desk down, once for a double tap; returns its id.
        `last_id`: the newest handover on the sheet that its writer read. Raises ActionRefused."""
        ...

    async def steward_view(self, token: str) -> Mapping[str, Any] | None:
        """What the holder of this token may see now; None for a token we never gave out.

        Must not change anything: preview robots open links. Keys: state (open, accepted,
        on_scene, resolved, expired), kind, address, address_en, title, emergency {read_out {zh,
        en}} or None, opened_ms, now_ms, age, lives_alone,
        others [{name, state}], mine, resident, access [{label, text}], key_holders
        [{name, phone, where}], risks, phone, actions, code, items [{resident_id, label, state,
        age, lives_alone, heard_ms, back_ms}] (heard_ms: the last sign of life; back_ms: the end of
        an absence before this round); optional: lang, outcome, fall, test, cancelled_by_resident.
        What a steward may know only after accepting is None until then: the page cannot leak what
        it was not given.
        """
        ...

    async def steward_act(
        self, token: str, action: str, fields: Mapping[str, Sequence[str]]
    ) -> Mapping[str, Any]:
        """Does one of the view's `actions` and returns the new view.

        Idempotent: a second tap of the same button is no error. `fields` are the form's values,
        for a missed round `resident_id` once per ticked flat. Raises ActionRefused.
        """
        ...
