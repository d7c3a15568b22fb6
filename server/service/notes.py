"""Notes as people write and read them, and as they are stored: sealed (server/vault.py).

A note that can't be opened is said to be there and unreadable; it never keeps anybody from a page
that an SOS needs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping

from server.database import Tx
from server.service.refusals import Refused
from server.store import notes as store
from server.vault import NoKey, Vault, key_of

CHUNK = 50
"""Notes sealed anew in one transaction: an SOS waits for few milliseconds at most."""
UNREADABLE = {
    "zh": "(已加密保存,但这台服务器缺少密钥,现在读不出来。请联系值班室,直接上门或打120,不要等。)",
    "en": "(There is a note, but its key is missing on this server, so it can't be read now. Ask"
          " the care centre; do not wait for it.)",
}  # fmt: skip
OF_RESIDENT = ("access_notes", "risks")


def seal(tx: Tx, what: str, row_id: int, text: str) -> str:
    """A note as it is stored. Raises Refused where there is no key."""
    try:
        return tx.vault.seal(what, row_id, text)
    except NoKey as error:
        zh = "服务器没有加密密钥,进门办法和健康提示暂时不能保存,请联系管理员。"
        raise Refused(
            f"the note can't be kept safely, so it is not kept: {error}", zh=zh
        ) from error


def shown(vault: Vault, what: str, row_id: int, stored: str) -> str:
    """A note as a person reads it, or the words that it can't be read."""
    text = vault.open(what, row_id, stored)
    return f"{UNREADABLE['zh']} {UNREADABLE['en']}" if text is None else text


def of_resident(vault: Vault, row: RowMapping) -> dict[str, Any]:
    """A resident's row with its notes open."""
    return {**row, **{name: shown(vault, f"resident.{name}", row["id"], row[name])
                      for name in OF_RESIDENT}}  # fmt: skip


def of_assignment(vault: Vault, row: RowMapping) -> dict[str, Any]:
    """An assignment's row (with its `id`) with the key's place open."""
    place = shown(vault, "assignment.key_place", row["id"], row["key_place"])
    return {**row, "key_place": place}


def sealed_values(tx: Tx, table: str, row_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Columns to be written to a row, with the notes among them sealed. Raises Refused."""
    return {
        name: seal(tx, f"{table}.{name}", row_id, value)
        if f"{table}.{name}" in store.SEALED else value
        for name, value in values.items()
    }  # fmt: skip


def next_lot(
    conn: Connection, key_id: str, what: str, after: int
) -> tuple[list[tuple[int, str]], int | None]:
    """Notes to be sealed anew under this key, and from where to go on (None: that was all)."""
    found = list(store.not_under(conn, what, key_id, after, CHUNK))
    return found, found[-1][0] if len(found) == CHUNK else None


def seal_anew(
    tx: Tx, what: str, lot: list[tuple[int, str]]
) -> tuple[int, Counter[str]]:
    """Seal these notes under the key that seals now; how many were, and how many can't be opened,
    by their key. Whoever writes a note meanwhile is not overwritten."""
    done, lost = 0, Counter[str]()
    for row_id, stored in lot:
        text = tx.vault.open(what, row_id, stored)
        if text is None:
            lost[key_of(stored) or "?"] += 1
        else:
            done += store.put(tx.conn, what, row_id, tx.vault.seal(what, row_id, text), stored)
    return done, lost


def every(conn: Connection) -> Iterator[tuple[str, int, str]]:
    """All notes as they are stored: column, row, note. Read in lots."""
    for what in store.SEALED:
        after = 0
        while lot := store.some(conn, what, after, CHUNK * 10):
            yield from ((what, row_id, stored) for row_id, stored in lot)
            after = lot[-1][0]
