"""What /metrics says after a real SOS: the right figures, and nobody in them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from leaks import leaks
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from town import HEAD, SECOND, Town, a_town

WATCHER = "metrics-token-of-the-tests"
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(town: Town) -> Figures:
    """Every series with its labels."""
    answer = await town.api.get("/metrics", headers={"Authorization": f"Bearer {WATCHER}"})
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(figures: Figures, name: str, **labels: str) -> float:
    """One series; what has never been counted is 0."""
    return figures.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Town]:
    """A town whose metrics somebody may read."""
    async with a_town(tmp_path) as town:
        town.runtime.settings.metrics_token = SecretStr(WATCHER)
        yield town


@pytest.mark.sqlite_only(reason="of two words at one instant PostgreSQL may count both as first")
async def test_a_real_sos_is_in_the_figures_once(watched: Town) -> None:
    """Pressed, sent twice by the terminal, told, accepted after 40 s, at the door after 400 s,
    resolved: each is counted once, in its bucket, and the gauges follow."""
    town = watched
    before = await scrape(town)

    def grown(name: str, **labels: str) -> float:
        return figure(after, name, **labels) - figure(before, name, **labels)

    press = town.event("sos")
    assert await town.signals(press) == ["stored"]
    assert await town.signals({**press, "attempt": 2}) == ["duplicate"]
    await town.expect_sms(HEAD, "求助")
    after = await scrape(town)
    assert figure(after, "xunlou_alerts_open", kind="sos", state="open") == 1
    assert grown("xunlou_signals_total", type="sos", result="stored") == 1
    assert grown("xunlou_signals_total", type="sos", result="duplicate") == 1
    assert grown("xunlou_alerts_opened_total", kind="sos") == 1
    assert grown("xunlou_deliveries_total", channel="sms", outcome="delivered") == 2
    assert grown("xunlou_alert_sent_seconds_count", kind="sos") == 1
    assert grown("xunlou_alert_told_seconds_count", kind="sos") == 1
    assert grown("xunlou_ingest_seconds_count", lane="urgent") == 2

    await town.move(40)
    await town.reply(HEAD, "1")
    await town.reply(SECOND, "1")
    await town.move(360)
    await town.reply(HEAD, "2")
    after = await scrape(town)
    assert grown("xunlou_alert_accepted_seconds_count", kind="sos") == 1
    assert grown("xunlou_alert_accepted_seconds_sum", kind="sos") == 40
    assert grown("xunlou_alert_accepted_seconds_bucket", kind="sos", le="30.0") == 0
    assert grown("xunlou_alert_door_seconds_sum", kind="sos") == 400
    assert grown("xunlou_alert_door_seconds_bucket", kind="sos", le="480.0") == 1
    assert figure(after, "xunlou_alerts_open", kind="sos", state="on_scene") == 1
    await town.reply(HEAD, "3")
    assert (await town.sos())["state"] == "resolved"
    after = await scrape(town)
    assert figure(after, "xunlou_alerts_open", kind="sos", state="on_scene") == 0
    assert figure(after, "xunlou_outbox_messages", lane="sos", state="queued") == 0


async def test_quarantine_transit_and_backlog_are_in_the_figures(watched: Town) -> None:
    """A stranger's terminal, unreadable bytes, a made-up reason; a press that took two seconds by
    the device's clock; messages that wait because the provider is down."""
    town = watched
    before = await scrape(town)
    assert await town.signals(town.event("sos", "nobody-1")) == ["quarantined"]
    reject = {"topic": "xunlou/v1/t/x/evt/checkin", "payload_b64": "AA=="}
    await town.signals(rejects=[{**reject, "reason": "not_json"}, {**reject, "reason": "何桂芳"}])
    await town.fault("503", count=1000)
    ts = int((town.hand.at_s - 2) * 1000)
    live = town.event("sos", ts=ts, ts_ok=True)
    assert await town.signals(live) == ["stored"]
    await town.settled()
    town.hand.at_s += 5
    after = await scrape(town)

    def grown(name: str, **labels: str) -> float:
        return figure(after, name, **labels) - figure(before, name, **labels)

    assert grown("xunlou_quarantined_total", reason="unknown_terminal") == 1
    assert grown("xunlou_quarantined_total", reason="not_json") == 1
    assert grown("xunlou_quarantined_total", reason="other") == 1
    assert grown("xunlou_signal_transit_seconds_sum") == pytest.approx(2)
    assert figure(after, "xunlou_outbox_oldest_seconds", lane="sos") == pytest.approx(5)
    assert figure(after, "xunlou_outbox_messages", lane="sos", state="queued") == 2
    assert figure(after, "xunlou_overdue_seconds", what="messages") > 0


REFUSE = {
    "sqlite": (
        "CREATE TRIGGER no BEFORE INSERT ON message BEGIN SELECT RAISE(ABORT, 'full'); END",
    ),
    "postgres": (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION 'full'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON message EXECUTE FUNCTION no()",
    ),
}
TAKE = {"sqlite": "DROP TRIGGER no", "postgres": "DROP TRIGGER no ON message"}


async def test_a_decision_that_was_rolled_back_counts_nothing(
    watched: Town, database: str
) -> None:
    """What the database refused has not happened, to the figures neither."""
    town = watched
    before = await scrape(town)
    lists = {"signals": [town.event("sos")], "gateway": "gw-1"}
    await town.sql(lambda c: [c.exec_driver_sql(words) for words in REFUSE[database]])
    with pytest.raises((httpx.HTTPError, AssertionError)):
        await town.signals(*lists["signals"])
    await town.sql(lambda c: c.exec_driver_sql(TAKE[database]))
    after = await scrape(town)
    assert figure(after, "xunlou_alerts_opened_total", kind="sos") == figure(
        before, "xunlou_alerts_opened_total", kind="sos"
    )


async def test_no_figure_names_a_person_a_number_or_a_terminal(watched: Town) -> None:
    """Every word of the page is searched for everybody in the register."""
    town = watched
    await town.press()
    await town.reply(HEAD, "1")
    await town.settled()
    answer = await town.api.get("/metrics", headers={"Authorization": f"Bearer {WATCHER}"})
    assert leaks(answer.text, town.community) == []
    assert re.search(r"[一-鿿]", answer.text) is None
    assert re.search(r"\bgd-\d", answer.text) is None
    assert leaks(f"stored for {HEAD}", town.community), "the search itself must find somebody"


async def test_the_page_has_its_own_token_and_is_off_without_one(
    watched: Town, tmp_path: Path
) -> None:
    """Neither staff's nor gateways' token opens it, and without a token it is closed to all."""
    town = watched
    for token, expected in ((WATCHER, 200), ("api-token", 401), ("gateway-token", 401), ("x", 401)):
        answer = await town.api.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == expected, token
    town.runtime.settings.metrics_token = None
    assert (await town.api.get("/metrics")).status_code == 403


async def test_without_its_database_the_process_still_shows_its_own_figures(
    watched: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`xunlou_database_up` is 0, and what only the database knows is absent rather than zero."""
    town = watched

    async def gone(_query: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(town.runtime.database, "read", gone)
    figures = await scrape(town)
    assert figure(figures, "xunlou_database_up") == 0
    assert "xunlou_alerts_open" not in {name for name, _ in figures}
    assert "xunlou_feed_clients" in {name for name, _ in figures}
