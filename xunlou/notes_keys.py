"""`xunlou keys …`: the keys that notes on ways in and health are sealed under (docs/privacy.md).

Changes keys while everything runs: the new one is put first, servers see the file change, and what
was sealed under the old one is sealed anew in small lots. It must never print a key but `new`.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from server.app import vault_of
from server.clock import Clock
from server.database import Database
from server.resealing import everything
from server.service import notes
from server.settings import Settings
from server.vault import BadKey, Key, NoKey, Vault, fresh, key_of, listed

FILE = "notes.keys"
HEAD = """\
# Keys of notes, one a line: the first seals, all open (docs/privacy.md). Without them the notes in
# the database and in its backups can't be read, by nobody. Keep a copy apart from the backups.
"""


def key_file(directory: Path) -> Path:
    """Where an embedded installation keeps its keys."""
    given = os.environ.get("XUNLOU_NOTES_KEYS_FILE")
    return Path(given) if given else directory / FILE


def kept(directory: Path) -> Path:
    """The key file of an embedded installation, made with a first key where there is none."""
    path = key_file(directory)
    if not path.exists():
        _write(path, [fresh()])
    return path


def settings_at(data: Path | None, database_url: str) -> Settings:
    """The settings, with the keys of the directory given to `xunlou up`."""
    if data is None:
        return Settings(database_url=database_url)
    return Settings(
        database_url=database_url, notes_keys_file=str(key_file(Path(data).resolve()))
    )


def vault_at(data: Path | None) -> Vault:
    """The keys there, for whoever writes notes: a directory without a key gets its first one."""
    if data is not None:
        kept(Path(data).resolve())
    return vault_of(settings_at(data, Settings().database_url))


def run(args: argparse.Namespace, database_url: str) -> int:
    """0; 1 when notes can't be read. Raises ValueError with what to do."""
    if args.action == "new":
        print(fresh())
        return 0
    settings = settings_at(args.data, database_url)
    path = Path(settings.notes_keys_file) if settings.notes_keys_file else None
    if args.action == "forget":
        return _forget(settings, path, args.id)
    if args.action == "rotate":
        return _rotate(settings, path)
    return _show(settings)


def _show(settings: Settings) -> int:
    vault = vault_of(settings)
    under, lost = counted(settings, vault)
    for position, key_id in enumerate(vault.ids):
        does = "seals and opens" if position == 0 else "opens"
        print(f"{key_id}  here, {does}: {under.pop(key_id, 0)} notes")
    for key_id, count in sorted(under.items()):
        name = key_id or "in the clear"
        print(f"{name}  {'no key needed' if not key_id else 'NOT HERE'}: {count} notes")
    for where in lost[:20]:
        print(f"can't be read: {where}")
    if vault.problem:
        print(f"xunlou: {vault.problem}", file=sys.stderr)
    return 1 if lost or vault.problem else 0


def counted(settings: Settings, vault: Vault) -> tuple[Counter[str], list[str]]:
    """How many notes are sealed under which key ("" = in the clear), and which can't be opened."""
    database = Database(settings.database_url, Clock())
    under, lost = Counter[str](), []
    try:
        with database.reader.begin() as conn:
            for what, row_id, stored in notes.every(conn):
                under[key_of(stored) or ""] += 1
                if vault.open(what, row_id, stored) is None:
                    lost.append(f"{what} {row_id}")
    finally:
        database.close()
    return under, lost


def _rotate(settings: Settings, path: Path | None) -> int:
    if path is not None:
        old = listed(path.read_text("utf-8")) if path.exists() else []
        _write(path, [fresh(), *old])
    vault = vault_of(settings)
    if vault.problem:
        raise ValueError(vault.problem)
    database = Database(settings.database_url, Clock(), vault)
    try:
        done = everything(database, lambda n: print(f"\r{n} notes", end="", file=sys.stderr))
    except NoKey as error:
        raise ValueError(str(error)) from error
    finally:
        database.close()
    print(f"\r{done} notes sealed under {vault.current}")
    if path is None:
        print("the first key of XUNLOU_NOTES_KEYS seals now; when every server has this setting,"
              " the others may go from it")  # fmt: skip
    else:
        print("the old keys stay in the file, for backups made until now; `xunlou keys forget` "
              "takes one out")  # fmt: skip
    if vault.problem:
        print(f"xunlou: {vault.problem}", file=sys.stderr)
        return 1
    return 0


def _forget(settings: Settings, path: Path | None, key_id: str) -> int:
    if path is None or not path.exists():
        raise ValueError("there is no key file here: take the key out of XUNLOU_NOTES_KEYS")
    words = listed(path.read_text("utf-8"))
    ids = [_id(word) for word in words]
    if key_id not in ids:
        raise ValueError(f"there is no key {key_id} in {path.name}; see `xunlou keys show`")
    if key_id == ids[0]:
        raise ValueError(f"{key_id} seals now; `xunlou keys rotate` first")
    needed = counted(settings, vault_of(settings))[0][key_id]
    if needed:
        raise ValueError(f"{needed} notes are sealed under {key_id}; `xunlou keys rotate` first")
    _write(path, [word for word, own in zip(words, ids, strict=True) if own != key_id])
    print(f"forgotten: {key_id}. Notes in older backups can't be read without it")
    return 0


def _id(word: str) -> str:
    try:
        return Key.parse(word).id
    except BadKey:
        return "?"


def _write(path: Path, keys: list[str]) -> None:
    """Whole or not at all, and only for its owner: a server may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(HEAD + "".join(f"{key}\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
