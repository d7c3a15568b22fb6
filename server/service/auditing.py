"""The audit: what people saw and did, apart from the journal and past its retention.

Acts come from the journal, in the transaction of the act: whatever it notes with a person's name
(`by`). Looks at personal data come from the pages and the API. What machines say is not in it, so
that a storm of check-ins costs it nothing; sealing is a job of its own, off every hot path.
"""

import hmac
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.core import chain
from server.database import Tx
from server.store import audit
from server.tables import to_ms

MOST = 500
"""Entries sealed in one transaction."""


def key_of(secret: bytes) -> bytes:
    """The key of the chain, from the one that logins are kept under."""
    return hmac.digest(secret, b"audit", "sha256")


def saw(tx: Tx, who: str, what: str, **about: Any) -> None:
    """Somebody looked at personal data."""
    audit.add(tx.conn, tx.now, [(who, what, about)])


def _link(row: RowMapping, position: int) -> chain.Link:
    return chain.Link(
        position, to_ms(row["at"]), row["who"], row["what"], row["about"], row["digest"] or ""
    )


def seal(tx: Tx, key: bytes) -> int:
    """Give the oldest entries that have none their place in the chain; how many."""
    rows = audit.unsealed(tx.conn, MOST)
    if not rows:
        return 0
    here = checkpoint(tx.conn)
    for row in rows:
        position = here.position + 1
        here = chain.Checkpoint(position, chain.digest(key, here.digest, _link(row, position)))
        audit.seal(tx.conn, row["id"], position, here.digest)
    return len(rows)


def checkpoint(conn: Connection) -> chain.Checkpoint:
    """Where the chain stands."""
    last = audit.end(conn)
    return chain.Checkpoint(last["position"], last["digest"]) if last else chain.Checkpoint()


def verify(
    conn: Connection, key: bytes, known: chain.Checkpoint | None = None
) -> chain.Checkpoint | chain.Broken:
    """Whether the chain holds, and runs through a checkpoint that was kept elsewhere."""
    links = (_link(row, row["position"]) for row in audit.sealed(conn))
    return chain.verify(key, links, known)
