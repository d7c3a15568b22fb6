"""Every word a person reads on a screen, from one catalogue in two languages.

`i18n/zh/*.po` is written first; `i18n/en/*.po` carries the same keys in the same order (a test
holds them equal). One file a group of pages; any gettext editor opens them. Never put user-facing
words into a template or a script.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from babel.messages.pofile import read_po

Lang = Literal["zh", "en"]

LANGS: Final[tuple[Lang, ...]] = ("zh", "en")
HTML_LANG: Final[dict[Lang, str]] = {"zh": "zh-CN", "en": "en"}

_FOLDER = Path(__file__).parent / "i18n"


def _load(lang: Lang) -> dict[str, str]:
    """All words of a language. Raises ValueError where a key is twice, or a file is broken."""
    words: dict[str, str] = {}
    for path in sorted((_FOLDER / lang).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, abort_invalid=True):
                key = str(message.id)
                if key in words:
                    raise ValueError(f"{path.name}: {key} is there twice; keep one of them")
                if key:
                    words[key] = str(message.string)
    return words


CATALOGUE: Final[dict[Lang, dict[str, str]]] = {lang: _load(lang) for lang in LANGS}


def text(
    lang: Lang, key: str, params: Mapping[str, object] | None = None, words: str | None = None
) -> str:
    """The words for `key` (or these `words` instead), with `{name}` replaced from `params`.

    Raises KeyError for a key that is not in the catalogue: a missing word is a defect, and
    showing the key to a tired person would hide it.
    """
    words = CATALOGUE[lang][key] if words is None else words
    for name, value in (params or {}).items():
        words = words.replace("{" + name + "}", str(value))
    return words


def has(key: str) -> bool:
    """Whether the catalogue knows `key` (for words chosen by a value from outside)."""
    return key in CATALOGUE["zh"]


def live_texts(lang: Lang) -> dict[str, str]:
    """The part of the catalogue that the wall's scripts need, embedded into the page as JSON."""
    prefixes = ("live.", "word.", "told.", "channel.", "role.", "fault.", "outcome.", "act.")
    return {key: value for key, value in CATALOGUE[lang].items() if key.startswith(prefixes)}


def pick_lang(*wishes: str | None) -> Lang:
    """The first wish that is a language we have; Chinese when there is none."""
    for wish in wishes:
        if wish in LANGS:
            return wish
    return "zh"
