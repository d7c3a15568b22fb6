"""What the community, its street and its district are called."""

from collections.abc import Mapping

from server import tables as t
from server.core import cells
from server.core.cells import Bad, Why
from server.database import Tx
from server.service import history
from server.service.refusals import Unknown
from server.service.register.forms import Said, misfit, unchanged_since
from server.store import register as store

FIELDS = ("name", "street", "district")


def name(
    tx: Tx, named: Mapping[str, str], *, seen: int, said: Said, community_id: int | None = None
) -> None:
    """Call a community (None: the first), its street and its district so; the latter two may have
    no name. Raises Unknown, Misfit or Stale."""
    row = store.community(tx.conn, community_id)
    if row is None:
        raise Unknown("the register is empty; register a building first")
    unchanged_since(tx, "community", row["id"], seen)
    new = {}
    for key in FIELDS:
        try:
            new[key] = cells.name(cells.clean(named.get(key, ""), as_written=True))
        except Bad as bad:
            raise misfit(key, bad.why, bad.detail) from bad
    if not new["name"]:
        raise misfit("name", Why.EMPTY)
    store.change(tx.conn, t.Community, {row["id"]: new})
    fields = {("community" if k == "name" else k): (row[k], v) for k, v in new.items()}
    history.note(
        tx, f"community:{row['id']}", fields, who=said.who, why=said.why, via=said.via
    )
