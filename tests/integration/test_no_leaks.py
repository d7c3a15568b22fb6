"""Nobody stands in a log, a metric, an address or an error after a day in which all was used:
presses, pages, searches, files, notes, wrong input, refusals and a crash."""

import io
import logging
import re
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import httpx
import pytest
from leaks import leaks, personal
from staff_kit import login, make_account
from town import GRANNY, HEAD, SECOND, Town, a_town, page_in

from server.service import consenting
from xunlou import logs

WATCHER = "a-token-of-the-figures"
ADDRESS = re.compile(r"""\b(?:href|src|action|hx-get|hx-post|data-url)=["']([^"']*)["']""")
FROM_OURSELVES = {"Sec-Fetch-Site": "same-origin", "X-Requested-With": "xunlou"}


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything the server logs, at the most talkative level that a setting can ask for."""
    root, kept = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    quiet = {n: logging.getLogger(n).level for n in
             ("httpx", "httpcore", "urllib3", "twilio", "alembic", "sqlalchemy", "apscheduler")}
    with mock.patch.object(sys, "stderr", kept):
        logs.set_up({"XUNLOU_LOG_LEVEL": "DEBUG", "XUNLOU_LOG_FORMAT": "json"})
    yield kept
    root.handlers, root.level = before[0], before[1]
    for name, level in quiet.items():
        logging.getLogger(name).setLevel(level)


class Day:
    """A day of staff and stewards; keeps every address and every error it meets."""

    def __init__(self, town: Town, clerk: httpx.AsyncClient) -> None:
        self.town, self.clerk = town, clerk
        self.addresses: set[str] = set()
        self.errors: list[str] = []
        self.told_anew: list[tuple[str, str]] = []
        """Who stands in a refused form that neither was sent nor stood on its page before."""
        self._a_form = False
        for client in (clerk, town.api, town.gateway):
            client.event_hooks["response"].append(self._met)

    async def _met(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.addresses.add(answer.headers.get("location", ""))
        if answer.status_code >= 400 and not self._a_form:
            self.errors.append(answer.text)
        elif "html" in answer.headers.get("content-type", ""):
            self.addresses |= {unescape(found) for found in ADDRESS.findall(answer.text)}

    async def post(self, path: str, **form: str) -> httpx.Response:
        """A form of a page."""
        return await self.clerk.post(path, data=form, headers=FROM_OURSELVES)

    async def refused(self, path: str, page: str, **form: str) -> None:
        """A form of `page` that is not taken, and shown again with what was sent: whoever stands
        there was sent, or stood there before."""
        before = (await self.clerk.get(page)).text
        self._a_form = True
        answer = await self.post(path, **form)
        self._a_form = False
        assert answer.status_code in (409, 422), (path, answer.status_code)
        assert answer.headers["content-type"].startswith("text/html"), path
        sent = before + " ".join(form.values())
        community = self.town.community
        self.told_anew += [
            (path, word) for word in personal(community) if word in answer.text and word not in sent
        ]


async def a_press_and_its_pages(day: Day) -> None:
    """From the press to the end, by SMS and link, with the way in."""
    town = day.town
    await town.press()
    await town.reply(HEAD, "1")
    sms = [body for number in (HEAD, SECOND) for body in await town.phone(number)]
    day.addresses |= {page_in(body) for body in sms if "/s/" in body}
    for path in [a for a in day.addresses if a.startswith("/s/")]:
        await town.api.get(path)
    alert = (await town.sos())["id"]
    await day.clerk.get(f"/alerts/{alert}")
    await day.post(f"/alerts/{alert}/access", reason="checking")
    await town.act(alert, "resolve", outcome="helped", note="何婉仪 is well")


async def the_register(day: Day, her: dict[str, Any]) -> None:
    """Searches, pages, files in and out, an export of one person, consents."""
    town, who = day.town, her["id"]
    for path in ("/buildings", "/buildings/11", "/buildings/11/sheet", "/residents", "/wall",
                 f"/residents/{who}", f"/residents/{who}/card", "/reports",
                 "/register"):  # fmt: skip
        assert (await day.clerk.get(path)).status_code == 200, path
    await day.post("/residents", words=her["name"])
    await day.post(f"/residents/{who}/access", reason="checking")
    await day.post(f"/residents/{who}/consent", purpose="access", given_by="resident", how="spoken")
    secret = {"secrets": True, "reason": "checking", "format": "csv"}
    table = (await town.api.post("/api/v1/register/export", json=secret)).content
    assert leaks(table.decode("utf-8-sig"), town.community), "the export itself must hold people"
    broken = table.replace("女".encode(), b"?")
    await town.api.post("/api/v1/register/import", content=broken)
    await town.api.post(f"/api/v1/residents/{who}/export", json={"reason": "checking"})


async def every_page(day: Day, her: dict[str, Any]) -> None:
    """All other pages of the staff, each with somebody on it, and what is written on them."""
    town, who, name = day.town, her["id"], her["name"]
    head, terminal = await town.person(HEAD), her["terminal_id"]
    everybody = (await town.api.get("/api/v1/assignments")).json()["assignments"]
    duty = next(a for a in everybody if a["role"] == "duty")
    assert (await day.post("/requests", resident_id=str(who), kind="repair", source="phone",
                           words=f"{name}家的灯")).status_code == 303  # fmt: skip
    assert (await day.post("/visits", resident_id=str(who), cause="other",
                           why=f"{name}出院")).status_code == 303  # fmt: skip
    assert (await day.post(f"/greetings/{who}", outcome="well",
                           note=f"{name}很好")).status_code == 303  # fmt: skip
    assert (await day.post("/handover", outgoing=duty["name"], incoming=name, note=HEAD,
                           last_id="0")).status_code == 303  # fmt: skip
    away = {"until": "2026-03-20T18:00", "reason": f"{name}住院"}
    assert (await day.post(f"/residents/{who}/away", **away)).status_code == 303
    assert (await day.post(f"/residents/{who}/back")).status_code == 303
    request = (await town.api.get("/api/v1/requests")).json()["requests"][0]["id"]
    assert (await day.post(f"/requests/{request}/take", person=str(head))).status_code == 303
    forms = [f"/residents/{who}/{form}" for form in ("edit", "move", "end", "away")]
    forms += [f"/people/{head}", f"/people/{head}/away", "/residents/new", "/buildings/new",
              "/buildings/11/edit", "/duty/add", "/duty/remove", "/duty/community",
              f"/duty/shifts/{duty['person_id']}"]  # fmt: skip
    histories = [f"{p}/history" for p in (f"/residents/{who}", "/buildings/11", f"/people/{head}",
                                          "/duty")]  # fmt: skip
    lists = ["/duty", "/handover", "/handover/1", "/requests", f"/requests/{request}", "/visits",
             "/greetings", "/greetings/sheet", "/hours", f"/hours/{head}", "/terminals",
             f"/terminals/{terminal}", "/terminals/labels", "/accounts", "/account", "/kiosk",
             f"/hours/{head}/statement.csv", "/reports.csv"]  # fmt: skip
    shown = ""
    for path in (*forms, *histories, *lists):
        answer = await day.clerk.get(path)
        assert answer.status_code == 200, path
        shown += answer.text
    assert name in shown, "somebody stands on the pages that were walked"


async def forms_that_are_refused(day: Day, her: dict[str, Any]) -> None:
    """Each kind of form, sent with a person in it and not taken."""
    town, who, name = day.town, her["id"], her["name"]
    head, terminal = await town.person(HEAD), her["terminal_id"]
    person = {"name": name, "phone": HEAD, "lang": "zh"}
    for path, form in (
        ("/residents/new", {"name": name, "phone": HEAD, "family": name, "family_phone": SECOND}),
        (f"/residents/{who}/edit", {"name": name, "phone": HEAD}),
        (f"/residents/{who}/move", {"building": "12", "flat": name}),
        (f"/residents/{who}/end", {"how": "other"}),
        (f"/residents/{who}/away", {"until": name, "reason": name}),
        (f"/people/{head}", person), (f"/people/{head}/away", {"until": name, "reason": name}),
        ("/buildings/new", {"head": name, "head_phone": HEAD}),
        ("/buildings/11/edit", {"head": name, "head_phone": HEAD}),
        ("/duty/add", {**person, "role": "duty"}), ("/duty/remove", {"assignment": name}),
        ("/duty/community", {"name": name}),
    ):  # fmt: skip
        await day.refused(path, path, **form)
    for path, page, form in (
        ("/requests", "/requests", {"place": name, "words": name, "kind": name}),
        ("/requests/1/take", "/requests/1", {"person": "999999", "name": name}),
        ("/visits", "/visits", {"place": name, "why": name, "cause": name}),
        ("/visits/1/drop", "/visits", {"visitor": name}),
        (f"/greetings/{who}", "/greetings", {"outcome": name, "note": name}),
        ("/handover", "/handover", {"outgoing": name, "note": HEAD}),
        ("/terminals/enrol", "/terminals", {"ids": name, "reason": name}),
        (f"/terminals/{terminal}/lost", f"/terminals/{terminal}", {"place": name}),
        ("/accounts", "/accounts", {"username": name, "name": name, "role": name}),
        ("/account/password", "/account", {"old": HEAD, "new": HEAD}),
    ):
        await day.refused(path, page, **form)


async def everything_wrong(day: Day, her: dict[str, Any]) -> None:
    """Each way in which something is not understood, not there, or not allowed."""
    town, name = day.town, her["name"]
    person = {"name": name, "phone": f"{HEAD}x", "role": "steward", "reason": "a wrong number"}
    assert (await town.api.post("/api/v1/assignments", json=person)).status_code == 422
    held = {**person, "phone": HEAD, "role": "duty"}
    assert (await town.api.post("/api/v1/assignments", json=held)).status_code == 409
    await town.api.post("/api/v1/signals", content=f"{name} {HEAD}")
    await town.api.post("/webhooks/twilio/inbound", data={"From": HEAD, "Body": name})
    await town.api.post("/api/v1/residents/999999/access", json={"reason": "checking"})
    await town.api.post(f"/api/v1/residents/{her['id']}/erase", json={"reason": "too early"})
    for path in ("/nowhere", "/residents/999999", "/s/no-such-token-anywhere"):
        await day.clerk.get(path, headers={"Accept": "text/html"})
    await day.post("/login", username="nobody", password=HEAD)
    strange = {"gateway": "gw-1", "signals": [
        {"t": GRANNY, "type": name, "boot": 1, "seq": 99}]}  # fmt: skip
    assert (await town.gateway.post("/api/v1/signals", json=strange)).status_code == 422


async def a_crash(day: Day, her: dict[str, Any]) -> None:
    """Something fails in the middle, with a person in its hands; the log keeps the whole story."""
    with mock.patch.object(consenting, "listed", side_effect=LookupError("a part failed")):
        path = f"/api/v1/residents/{her['id']}/export"
        answer = await day.town.api.post(path, json={"reason": "checking"})
    assert answer.status_code == 500


async def test_nobody_is_in_logs_metrics_addresses_and_errors(
    tmp_path: Path, logged: io.StringIO
) -> None:
    """Every name, number and note of the register, searched for in all four."""
    async with a_town(tmp_path, metrics_token=WATCHER) as town:
        # Where uvicorn tells of crashes; it has just set this logger up.
        uvicorn = logging.getLogger("uvicorn.error")
        uvicorn.addHandler(logging.getLogger().handlers[0])
        await make_account(town, "mai", "administrator")
        async with await login(town, "mai") as clerk:
            day, her = Day(town, clerk), (await town.residents())["301"]
            await a_press_and_its_pages(day)
            await the_register(day, her)
            await every_page(day, her)
            await forms_that_are_refused(day, her)
            await everything_wrong(day, her)
            await a_crash(day, her)
        figures = (
            await town.api.get("/metrics", headers={"Authorization": f"Bearer {WATCHER}"})
        ).text
        uvicorn.handlers.clear()
    assert "xunlou_" in figures
    assert "a part failed" in logged.getvalue()
    assert len(day.errors) >= 8
    assert day.told_anew == []
    dialled = {a for a in day.addresses if a.startswith(("tel:", "sms:"))}
    assert dialled, "a page has a number to call"
    addresses = "\n".join(unquote(a) for a in day.addresses - dialled)
    assert f"/residents/{her['id']}" in addresses
    found = {
        "log": leaks(logged.getvalue(), town.community), "metrics": leaks(figures, town.community),
        "addresses": leaks(addresses, town.community),
        "errors": leaks("\n".join(day.errors), town.community),
    }
    assert found == {"log": [], "metrics": [], "addresses": [], "errors": []}


def test_the_search_knows_everybody() -> None:
    """Contacts of every kind, and every kind of note."""
    from xunlou.sample import guangdan

    town = guangdan(buildings=12)
    homes = [r for _, _, r in town.flats_with_residents()]
    some = {p.name for r in homes for p in (r.befriender, r.family) if p is not None}
    some |= {p.name for p in (*town.street, *town.district, *town.duty)}
    some |= {r.access_notes for r in homes if r.access_notes} | {"易跌倒"}
    assert some <= personal(town)
