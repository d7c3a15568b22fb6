"""The provider's JSON: a message, a page of messages, an error.

Field names and shapes follow the provider's 2010-04-01 Message resource as its official client
reads it. Counts are strings there, and so they are here. It must never leak a field of our own
into an answer: a server that came to rely on one would fail against the real provider.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import urlencode

from firmware_sim.phones.faults import ERROR_TEXTS
from firmware_sim.phones.ledger import Message

API_VERSION: Final = "2010-04-01"
MAX_PAGE_SIZE: Final = 1000
DEFAULT_PAGE_SIZE: Final = 50


class ProviderError(Exception):
    """An error answer of the provider: HTTP status, its own code, and words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, object]:
        """The JSON body the provider sends with the status."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def rfc2822(epoch_s: float | None) -> str | None:
    """A moment as the provider writes it: "Sat, 14 Mar 2026 06:10:00 +0000"."""
    if epoch_s is None:
        return None
    return format_datetime(datetime.fromtimestamp(epoch_s, UTC))


def messages_uri(account_sid: str) -> str:
    """Path of the account's list of messages."""
    return f"/{API_VERSION}/Accounts/{account_sid}/Messages.json"


def message_json(message: Message, account_sid: str) -> dict[str, object]:
    """One Message resource."""
    base = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}"
    code = message.error_code
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": message.body,
        "date_created": rfc2822(message.created_s),
        "date_sent": rfc2822(message.sent_s),
        "date_updated": rfc2822(message.updated_s),
        "direction": message.direction,
        "error_code": code,
        "error_message": None if code is None else ERROR_TEXTS.get(code, "Unknown error"),
        "from": message.from_number,
        "messaging_service_sid": message.messaging_service_sid,
        "num_media": "0",
        "num_segments": str(message.num_segments),
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{base}/Media.json"},
        "tags": None,
        "to": message.to_number,
        "uri": f"{base}.json",
    }


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters and the page asked for in a list request.

    A message that has not been sent has no date, so no DateSent filter finds it: whoever looks
    for a message right after a time-out should filter by To and read `date_created`.
    """

    filters: tuple[tuple[str, str], ...]  # kept for the page links
    to_number: str | None
    from_number: str | None
    sent_on: str | None  # "YYYY-MM-DD"
    sent_from_s: float | None
    sent_until_s: float | None
    page_size: int
    page: int
    after_sid: str | None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "ListQuery":
        """Read a query string. ProviderError 20001 for what the provider would refuse too."""
        names = ("To", "From", "DateSent", "DateSent<", "DateSent>")
        given = {name: query[name] for name in names if query.get(name)}
        try:
            size = int(query.get("PageSize", DEFAULT_PAGE_SIZE))
            page = int(query.get("Page", 0))
            sent_from, _ = _moment(given.get("DateSent>"))
            _, sent_until = _moment(given.get("DateSent<"))
            sent_on = given.get("DateSent")
            if sent_on:
                _moment(sent_on)
        except ValueError as error:
            raise ProviderError(400, 20001, f"Invalid query parameter: {error}") from error
        token = query.get("PageToken", "")
        return cls(
            filters=tuple(given.items()),
            to_number=given.get("To"),
            from_number=given.get("From"),
            sent_on=sent_on[:10] if sent_on else None,
            sent_from_s=sent_from,
            sent_until_s=sent_until,
            page_size=min(max(size, 1), MAX_PAGE_SIZE),
            page=max(page, 0),
            after_sid=token.removeprefix("PA") or None,
        )

    def matches(self, message: Message) -> bool:
        """Whether a message passes every filter."""
        if self.to_number is not None and message.to_number != self.to_number:
            return False
        if self.from_number is not None and message.from_number != self.from_number:
            return False
        if self.sent_on is None and self.sent_from_s is None and self.sent_until_s is None:
            return True
        if message.sent_s is None:
            return False
        day = datetime.fromtimestamp(message.sent_s, UTC).date().isoformat()
        return (
            (self.sent_on is None or day == self.sent_on)
            and (self.sent_from_s is None or int(message.sent_s) >= self.sent_from_s)
            and (self.sent_until_s is None or message.sent_s <= self.sent_until_s)
        )


def _moment(text: str | None) -> tuple[float | None, float | None]:
    """A date or a moment as (its first second, its last second); ValueError if neither."""
    if text is None:
        return None, None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    start_s = moment.timestamp()
    return start_s, start_s + (86_399 if len(text) == len("2026-03-14") else 0)


def page_json(
    newest_first: Iterable[Message], query: ListQuery, account_sid: str
) -> dict[str, Any]:
    """One page of the list, newest first, with the provider's links to its neighbours.

    The next page is found by the last message of this one, so that texts arriving between two
    requests shift nothing.
    """
    matching = (m for m in newest_first if query.matches(m))
    if query.after_sid is not None:
        for message in matching:
            if message.sid == query.after_sid:
                break
    records: list[Message] = []
    more = False
    for message in matching:
        if len(records) == query.page_size:
            more = True
            break
        records.append(message)
    base = messages_uri(account_sid)

    def link(page: int, token: str | None) -> str:
        fields = [*query.filters, ("PageSize", str(query.page_size)), ("Page", str(page))]
        if token:
            fields.append(("PageToken", f"PA{token}"))
        return f"{base}?{urlencode(fields)}"

    start = query.page * query.page_size
    return {
        "messages": [message_json(m, account_sid) for m in records],
        "end": start + max(len(records) - 1, 0),
        "first_page_uri": link(0, None),
        "next_page_uri": link(query.page + 1, records[-1].sid) if more else None,
        "page": query.page,
        "page_size": query.page_size,
        "previous_page_uri": link(0, None) if query.page == 1 else None,
        "start": start,
        "uri": link(query.page, query.after_sid),
    }
