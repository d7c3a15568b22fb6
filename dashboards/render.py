"""Turns a template and its facts into a page in the reader's language.

Knows the request only for language and theme; never fetches facts itself.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from dashboards import houses, palette
from dashboards.forms import look_again
from dashboards.i18n import HTML_LANG, Lang, has, pick_lang, text

FOLDER: Final = Path(__file__).parent
STATIC: Final = FOLDER / "static"
THEMES: Final = ("auto", "dark", "light")


@cache
def asset(name: str) -> str:
    """The address of a static file with its content's fingerprint: a new file, a new address."""
    content = palette.css().encode() if name == "palette.css" else (STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:10]}"


def dialable(number: str) -> str:
    """A phone number as a tel: link takes it: digits and a leading plus, nothing else."""
    return re.sub(r"(?!^\+)\D", "", number.strip())


def readable(number: str) -> str:
    """A phone number as it is read out: a Chinese one in groups and without its country."""
    local = re.fullmatch(r"\+86(\d{3})(\d{4})(\d{4})", number)
    return " ".join(local.groups()) if local else number


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["dialable"] = dialable
    env.filters["readable"] = readable
    env.filters["sign"] = houses.sign
    env.globals.update(asset=asset, has=has)
    return env


_ENV: Final = _environment()


def request_lang(request: Request, fallback: str | None = None) -> Lang:
    """`?lang=` for this page, else the cookie, else `fallback` (a steward's own language)."""
    return pick_lang(request.query_params.get("lang"), request.cookies.get("lang"), fallback)


def _translator(lang: Lang, names: houses.Names) -> Callable[..., str]:
    """`names`: of the reader's communities, in front of each house where they are several."""

    def t(key: str, **params: object) -> str:
        if key in houses.WORDS:
            return houses.said(lang, key, params, names)
        return text(lang, key, params)

    return t


def _names(facts: Mapping[str, Any]) -> houses.Names:
    """Of the communities that the reader sees: of whoever is logged in, or of the screen."""
    if "names" in facts:
        return facts["names"]  # type: ignore[no-any-return]
    user = facts.get("user")
    return user.names if user is not None else {}


def _bilingual(lang: Lang) -> Callable[..., Markup]:
    """On a Chinese page the English words follow small; on an English page they stand alone."""

    def both(key: str, **params: object) -> Markup:
        words = Markup.escape(text(lang, key, params))
        if lang == "en":
            return words
        english = Markup.escape(text("en", key, params))
        return words + Markup(' <span class="en" lang="en">') + english + Markup("</span>")

    return both


def _localiser(lang: Lang) -> Callable[[Mapping[str, Any], str], Any]:
    def local(thing: Mapping[str, Any], key: str) -> Any:
        """The field `key` in the reader's language where the server gives both."""
        return (thing.get(f"{key}_en") if lang == "en" else None) or thing.get(key)

    return local


def page(
    request: Request,
    template: str,
    facts: dict[str, Any],
    *,
    status: int = 200,
    lang: Lang | None = None,
    default_theme: str = "auto",
) -> HTMLResponse:
    """Renders `template` with `facts` and the words: `t` in one language, `both` with English.
    Houses in `t` are called as the reader calls them: `user`, or `names` of a screen."""
    lang = lang or request_lang(request)
    theme = request.cookies.get("theme", default_theme)
    html = _ENV.get_template(template).render(
        **facts,
        t=_translator(lang, _names(facts)),
        both=_bilingual(lang),
        local=_localiser(lang),
        lang=lang,
        html_lang=HTML_LANG[lang],
        theme=theme if theme in THEMES else default_theme,
        here=request.url.path,
        again=look_again(request),
    )
    return HTMLResponse(html, status_code=status)
