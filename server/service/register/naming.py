"""What a community, its street and its district are called; and communities that are new."""

from collections.abc import Mapping

from server import tables as t
from server.core import cells
from server.core.access import Scope
from server.core.cells import Bad, Why
from server.core.houses import Named, may_be_one
from server.database import Tx
from server.service import history
from server.service.refusals import Unknown
from server.service.register import places
from server.service.register.forms import Misfit, Said, misfit, unchanged_since
from server.store import register as store

FIELDS = ("name", "street", "district")


def name(
    tx: Tx, named: Mapping[str, str], *, seen: int, said: Said, scope: Scope,
    community_id: int | None = None,
) -> None:
    """Call this community (None: the first), its street and its district so; the latter two may
    have no name. Raises Unknown, Misfit or Stale."""
    row = store.community(tx.conn, community_id)
    if row is None:
        raise Unknown("there is no such community; register a building first, or the community")
    if not scope.answers_for(row["id"]):
        raise Unknown(f"there is no community {row['id']} for this account")
    unchanged_since(tx, "community", row["id"], seen)
    new = _read(named)
    known = places.load(tx.conn, scope)
    own = known.by_id[row["id"]]
    if not known.may_move(own, _named(new)):
        raise misfit(next((k for k in ("street", "district") if new[k] != row[k]), "name"),
                     Why.COMMUNITY_BEYOND)  # fmt: skip
    if _named(new) != own.named:
        _refuse_a_double(known, _named(new), own)
    store.change(tx.conn, t.Community, {row["id"]: new})
    fields = {("community" if k == "name" else k): (row[k], v) for k, v in new.items()}
    history.note(
        tx, f"community:{row['id']}", fields, who=said.who, why=said.why, via=said.via
    )


def add(
    tx: Tx, named: Mapping[str, str], *, said: Said, scope: Scope
) -> int:
    """Register a community without houses yet, with the built-in rounds and zone and the next free
    series; returns its id. Raises Misfit."""
    said = said.checked()
    new = _read(named)
    known = places.load(tx.conn, scope)
    if not known.may_lie(_named(new)):
        raise misfit("name", Why.COMMUNITY_BEYOND)
    _refuse_a_double(known, _named(new))
    (made,) = store.add_communities(tx.conn, [(known.next_series, _named(new))]).values()
    fields = {("community" if k == "name" else k): (None, v) for k, v in new.items() if v}
    history.note(tx, f"community:{made}", fields, who=said.who, why=said.why, via=said.via)
    return made


def _read(named: Mapping[str, str]) -> dict[str, str]:
    new = {}
    for key in FIELDS:
        try:
            new[key] = cells.name(cells.clean(named.get(key, ""), as_written=True))
        except Bad as bad:
            raise misfit(key, bad.why, bad.detail) from bad
    if not new["name"]:
        raise misfit("name", Why.EMPTY)
    return new


def _named(new: Mapping[str, str]) -> Named:
    return Named(new["name"], new["street"], new["district"])


def _refuse_a_double(
    known: places.Communities, named: Named, own: places.Community | None = None
) -> None:
    """No two communities have the same name, street and district: nobody could tell which is
    meant. One whose street or district is not said may be any."""
    for other in known.seen:
        if other is not own and may_be_one(named, other.named):
            n = other.named
            called = f"{n.district}{n.street}{n.name}"
            raise Misfit({"name": {
                "zh": f"已登记同名的社区 {called},请写明街道和区,以便区分",
                "en": f"{called} has this name: write street and district to tell them apart"}})
