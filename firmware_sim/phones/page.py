"""The page of phones: what each person's phone shows, and buttons to answer from it.

Server-rendered; a small script asks for what changed. It must never render the whole phone
book, and never hide that all of it is a simulation.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from firmware_sim.phones.calls import Call
from firmware_sim.phones.config import PhoneEntry
from firmware_sim.phones.exchange import Exchange
from firmware_sim.phones.ledger import Message
from firmware_sim.phones.rest import exchange_of
from firmware_sim.phones.stewards import code_in

MAX_CARDS = 60
MAX_BUBBLES = 40
CODE_MEMORY_S = 3 * 3600.0  # virtual; an older alert is no longer what a bare "1" is about
_URL = re.compile(r"https?://[^\s<>\"'，。；、）】]+")
_RUN = uuid4().hex  # a page that outlived a restart of the phones notices by this

ROLES = {
    "steward": ("巡楼员", "steward"),
    "substitute": ("替补", "substitute"),
    "key_holder": ("保管钥匙", "key holder"),
    "duty": ("值班", "on duty"),
    "unknown": ("未登记", "not in the book"),
}
QUICK = (
    ("1", "我去", "I'm going"),
    ("2", "我到门口", "at the door"),
    ("3", "平安", "safe"),
    ("0", "去不了", "can't go"),
)
MARKS = {
    "failed": ("未送达", "not delivered"),
    "undelivered": ("未送达", "not delivered"),
}

templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
router = APIRouter()


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message as drawn."""

    mine: bool
    html: Markup
    time: str
    day: str | None  # set where a new day begins
    author: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """One phone as drawn."""

    number: str
    key: str
    entry: PhoneEntry
    role_zh: str
    role_en: str
    bubbles: list[Bubble]
    hidden: int
    unread: int
    opted_out: bool
    call: Call | None  # that rings, or is being talked on; else the last one
    code: str | None  # what a quick button adds, when this phone knows several open codes

    @property
    def group(self) -> int:
        """Building number; 0 for the community's own phones, which come first."""
        return self.entry.building or 0


def linked(text: str) -> Markup:
    """The text, safe for HTML, with its web addresses made clickable."""
    parts: list[Markup] = []
    end = 0
    for match in _URL.finditer(text):
        url = match.group().rstrip(".,;:!?)")
        parts.append(escape(text[end : match.start()]))
        parts.append(
            Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(url, url)
        )
        end = match.start() + len(url)
    parts.append(escape(text[end:]))
    return Markup("").join(parts)


def card(exchange: Exchange, number: str) -> Card:
    """Everything the page draws for one phone."""
    ledger = exchange.ledger
    entry = ledger.entry(number)
    messages = ledger.on_phone(number)
    shown = messages[-MAX_BUBBLES:]
    role_zh, role_en = ROLES.get(entry.role, (entry.role, entry.role))
    return Card(
        number=number,
        key=number.lstrip("+"),
        entry=entry,
        role_zh=role_zh,
        role_en=role_en,
        bubbles=_bubbles(shown, ZoneInfo(exchange.config.tz)),
        hidden=len(messages) - len(shown),
        unread=ledger.unread(number),
        opted_out=(number, exchange.config.from_number) in exchange.opted_out,
        call=exchange.calls.current(number) or next(iter(exchange.calls.of(number)[::-1]), None),
        code=_code_to_add(messages, exchange.config.clock()),
    )


def _bubbles(messages: list[Message], zone: ZoneInfo) -> list[Bubble]:
    bubbles: list[Bubble] = []
    day = None
    for message in messages:
        at = datetime.fromtimestamp(message.sent_s or message.created_s, zone)
        today = f"{at.month}月{at.day}日"
        mine = message.direction == "inbound"
        lost = mine and message.webhook not in (None, "200")
        bubbles.append(
            Bubble(
                mine=mine,
                html=linked(message.body),
                time=at.strftime("%H:%M"),
                day=today if today != day else None,
                author=message.author,
                problem=message.webhook if lost else None,
            )
        )
        day = today
    return bubbles


def _code_to_add(messages: list[Message], now_s: float) -> str | None:
    """The last code heard, if more than one was heard lately: then a bare "1" is ambiguous."""
    codes = [
        code
        for m in messages
        if m.direction != "inbound"
        and m.created_s > now_s - CODE_MEMORY_S
        and (code := code_in(m.body))
    ]
    return codes[-1] if len(set(codes)) > 1 else None


def search(exchange: Exchange, query: str, limit: int = MAX_CARDS) -> list[str]:
    """Numbers in the book that fit: "11" or "11栋" a building, else part of a name or number."""
    words = query.strip().lower()
    building = re.fullmatch(r"(\d{1,3})\s*(?:栋|幢|座|#)?", words)
    found = []
    for entry in exchange.ledger.book.values():
        if building:
            fits = entry.building == int(building.group(1))
        else:
            fits = words in entry.name.lower() or words in entry.number
        if fits:
            found.append(entry.number)
            if len(found) == limit:
                break
    return found


def chosen(exchange: Exchange, query: str) -> list[Card]:
    """The phones to draw: search results, or the most recently active; in a steady order."""
    if query.strip():
        numbers = search(exchange, query)
    else:
        numbers = exchange.ledger.active_numbers()[:MAX_CARDS]
    cards = [card(exchange, number) for number in numbers]
    return sorted(cards, key=lambda c: (c.group, c.number))


@router.get("/", response_class=HTMLResponse)
async def phones_page(request: Request, q: str = "") -> HTMLResponse:
    """The page of phones."""
    exchange = exchange_of(request)
    cards = chosen(exchange, q)
    groups: dict[int, list[Card]] = {}
    for one in cards:
        groups.setdefault(one.group, []).append(one)
    html = templates.get_template("phones.html").render(
        groups=groups,
        query=q.strip(),
        seq=exchange.ledger.seq,
        run=_RUN,
        quick=QUICK,
        auto=exchange.auto_answer,
        in_book=len(exchange.ledger.book),
        active=exchange.ledger.active_count,
        shown=len(cards),
        limit=MAX_CARDS,
        from_number=exchange.config.from_number,
    )
    # Nothing but our own files may load or be called: the page must work with no network.
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'"
    )
    return HTMLResponse(
        html, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    )


@router.get("/updates")
async def updates(
    request: Request, after: int = 0, run: str = "", q: str = ""
) -> dict[str, object]:
    """Cards changed since `after`; `run` differs once the phones were started anew."""
    exchange = exchange_of(request)
    ledger = exchange.ledger
    answer: dict[str, object] = {
        "run": _RUN,
        "auto": exchange.auto_answer,
        "active": ledger.active_count,
    }
    if run != _RUN:
        return answer | {"seq": ledger.seq, "cards": []}
    changed = ledger.changed_since(after)
    if q.strip():
        wanted = set(search(exchange, q))
        changed = [(at, number) for at, number in changed if number in wanted]
    # Past the limit the rest waits for the next request: `seq` stops where this answer stops.
    seq = changed[MAX_CARDS - 1][0] if len(changed) > MAX_CARDS else ledger.seq
    macro = templates.get_template("card.html").module
    cards = []
    for _, number in changed[:MAX_CARDS]:
        one = card(exchange, number)
        html = str(macro.card(one, QUICK))  # type: ignore[attr-defined]
        cards.append({"key": one.key, "group": one.group, "html": html})
    return answer | {"seq": seq, "cards": cards}
