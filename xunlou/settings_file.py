"""Settings from a file, and secrets from files of their own; the environment wins over both.

`XUNLOU_SETTINGS_FILE` names a file of lines `NAME=value`. A secret may be given as the name of a
file that holds it (`XUNLOU_SECRET_FILE=/run/secrets/xunlou`), as container engines and systemd
hand them out. What is read is put into this process's environment, where every program of ours,
and each child, finds it. A line that can't be meant is an error with its place, never passed over:
a misspelt name would otherwise be a setting that silently does not hold.
"""

import difflib
import re
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings

FILE: Final = "XUNLOU_SETTINGS_FILE"
LOGS: Final = ("XUNLOU_LOG_LEVEL", "XUNLOU_LOG_FORMAT")
"""Settings of all programs, which have no class of their own."""
ALSO_SECRET: Final = frozenset({"XUNLOU_DATABASE_URL"})
"""A password may stand in it."""
_LINE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")
_OURS = re.compile(r"(XUNLOU|TWILIO)_[A-Z0-9_]+_FILE")


class BadSettings(ValueError):
    """The file can't be used; the words say where, what and how to mend it."""


def variables() -> dict[str, bool]:
    """Every setting by the name people set; whether it is a secret that NAME_FILE may hold. Not
    where NAME_FILE is a setting of its own, as that of the notes' keys: a file of several lines."""
    from gateway.settings import GatewaySettings
    from server.settings import Settings

    found = dict.fromkeys(LOGS, False)
    models: tuple[type[BaseSettings], ...] = (Settings, GatewaySettings)
    for model in models:
        for field_name, field in model.model_fields.items():
            prefix = model.model_config.get("env_prefix", "")
            name = field.alias or f"{prefix}{field_name}".upper()
            secret = "SecretStr" in str(field.annotation) or field.annotation is SecretStr
            found[name] = found.get(name, False) or secret or name in ALSO_SECRET
    return {name: secret and f"{name}_FILE" not in found for name, secret in found.items()}


def _unquoted(value: str) -> str | None:
    """The value without quotes around it; None when a quote is left open."""
    value = value.strip()
    if value[:1] in ("'", '"'):
        closed = len(value) >= 2 and value[-1] == value[0]
        return value[1:-1] if closed else None
    return value


def parse(text: str, where: str, known: Mapping[str, bool]) -> dict[str, tuple[str, str]]:
    """Each setting of the file: its value, and its place as people say it. Raises BadSettings.

    `known`: every setting, and whether it is a secret (then NAME_FILE is a setting too)."""
    names = {*known, *(f"{n}_FILE" for n, secret in known.items() if secret)}
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        place = f"{where}, line {number}"
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        match = _LINE.fullmatch(bare)
        if match is None:
            raise BadSettings(f"{place}: write NAME=value, as XUNLOU_PORT=8000 (without spaces "
                              "before =, without `export`)")  # fmt: skip
        name, value = match["name"], _unquoted(match["value"])
        if name not in names:
            raise BadSettings(f"{place}: there is no setting {name}{_near(name, names)}")
        if value is None:
            raise BadSettings(f"{place}: {name} begins with a quote that is not closed")
        if name in found:
            raise BadSettings(f"{place}: {name} stands in {found[name][1]} already; keep one")
        found[name] = (value, place)
    return found


def _near(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name.upper(), sorted(names), 1)
    return f"; did you mean {near[0]}?" if near else " (docs/settings.md lists all)"


def _content(name: str, path: str, place: str) -> str:
    """The secret in a file, without the line's end that editors leave."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadSettings(f"{place}: {name}={path} can't be read: {why}; name a file that this "
                          "account may read") from None  # fmt: skip
    text = text.rstrip("\r\n")
    if "\n" in text or "\x00" in text:
        raise BadSettings(f"{place}: {name}={path}: a secret is one line, and this file has more")
    return text


def take(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Put what the files say into the environment; where each setting came from, for those that
    came from a file. What the environment says already stands. Raises BadSettings."""
    path = environment.get(FILE, "")
    pointers = [n for n in environment if _OURS.fullmatch(n) and n != FILE]
    if not path and not pointers:
        return {}
    known = variables()
    pairs = {name: (environment[name], "the environment") for name in pointers
             if known.get(name.removesuffix("_FILE"))}  # fmt: skip
    for name in pairs:
        if name.removesuffix("_FILE") in environment:
            raise BadSettings(f"the environment: {name} and {name.removesuffix('_FILE')} are both "
                              "set; keep one")  # fmt: skip
    if path:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise BadSettings(f"{FILE}={path} can't be read: {why}; name a file that this account "
                              "may read, or unset it") from None  # fmt: skip
        told = parse(text, path, known)
        for name in told:
            if known.get(name.removesuffix("_FILE")) and name.removesuffix("_FILE") in told and (
                name.endswith("_FILE")
            ):
                raise BadSettings(f"{told[name][1]}: {name} and {name.removesuffix('_FILE')} are "
                                  "both set; keep one")  # fmt: skip
        outer = {*environment, *(n.removesuffix("_FILE") for n in pairs)}
        for name, found in told.items():
            plain = name.removesuffix("_FILE") if known.get(name.removesuffix("_FILE")) else name
            if plain not in outer and name not in outer:
                pairs[name] = found
    origins = {}
    for name, (value, place) in pairs.items():
        plain = name.removesuffix("_FILE")
        pointer = name.endswith("_FILE") and known.get(plain, False)
        environment[plain if pointer else name] = (
            _content(name, value, place) if pointer else value
        )
        origins[plain if pointer else name] = place
        if pointer:  # a child has the value, and need not be able to read the file
            environment.pop(name, None)
    # A child has what was read, and would read the file's other settings over again for nothing.
    environment.pop(FILE, None)
    return origins
