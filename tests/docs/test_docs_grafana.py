"""Dashboard, alert rules and scrape configuration speak of metrics and services that exist."""

import json
import re
from collections.abc import Iterator
from typing import Any

import metrics_table
import pages
import pytest
import yaml

BOARD = "dashboards/grafana/boards/xunlou.json"
RULES = "xunlou/deploy/prometheus/rules.yml"
_SERIES = re.compile(r"\b(?:xunlou|process)_[a-z0-9_]+")


def board_queries() -> Iterator[str]:
    """Every query of the dashboard."""
    for panel in json.loads(pages.read(BOARD))["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]


def rules() -> list[dict[str, Any]]:
    """Every alert rule."""
    groups = yaml.safe_load(pages.read(RULES))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_that_is_drawn_or_watched_exists() -> None:
    """A renamed metric would leave an empty panel, or an alert that never fires."""
    known = metrics_table.names()
    for query in [*board_queries(), *(rule["expr"] for rule in rules())]:
        used = set(_SERIES.findall(query))
        assert used - known == set(), query


def test_every_metric_of_care_is_drawn() -> None:
    """What the server measures of care is on the board; a figure nobody sees helps nobody."""
    drawn = set(_SERIES.findall("\n".join(board_queries())))
    families = {metrics_table.shown_as(f) for f in metrics_table.families()["server metrics"]}
    unseen = {
        name for name in families
        if name.startswith("xunlou_") and not any(series.startswith(name) for series in drawn)
    }  # fmt: skip
    assert unseen <= {"xunlou_database_up"}, unseen


@pytest.mark.parametrize("label", ["lane", "kind", "what", "outcome", "file"])
def test_labels_have_values_that_occur(label: str) -> None:
    """`lane="SOS"` would match nothing, for ever."""
    values = {
        "lane": {"sos", "rounds", "urgent", "bulk"}, "kind": {"sos", "missed", "fault"},
        "what": {"steps", "rounds", "messages"}, "file": {"main", "wal"},
        "outcome": {"sent", "delivered", "undelivered", "failed"},
    }  # fmt: skip
    text = "\n".join([*board_queries(), *(rule["expr"] for rule in rules())])
    for found in re.findall(rf'{label}=~?"([^"]+)"', text):
        assert set(found.split("|")) <= values[label], found


def test_every_rule_says_what_it_means_and_what_to_do() -> None:
    """Whoever is woken at night reads two sentences and can act."""
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 12
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "warn"}
        assert rule["expr"].count("(") == rule["expr"].count(")"), rule["alert"]


def test_prometheus_scrapes_the_services_there_are() -> None:
    """Its targets are services of docker-compose.yml, on the ports they listen on."""
    compose = yaml.safe_load(pages.read("docker-compose.yml"))["services"]
    jobs = yaml.safe_load(pages.read("xunlou/deploy/prometheus/prometheus.yml"))["scrape_configs"]
    for job in jobs:
        (found,) = job["dns_sd_configs"]
        assert set(found["names"]) <= set(compose)
        for name in found["names"]:
            environment = compose[name]["environment"]
            shown = environment.get("XUNLOU_GATEWAY_METRICS", environment.get("XUNLOU_PORT", ""))
            assert shown.rpartition(":")[2] == str(found["port"]), name


def test_grafana_finds_its_board_and_its_source() -> None:
    """The provisioned data source is the one the panels ask, and the board's folder is mounted."""
    source = yaml.safe_load(
        pages.read("dashboards/grafana/provisioning/datasources/prometheus.yml")
    )["datasources"][0]
    board = json.loads(pages.read(BOARD))
    for panel in board["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == source["uid"]
    provider = yaml.safe_load(
        pages.read("dashboards/grafana/provisioning/dashboards/xunlou.yml")
    )["providers"][0]
    mounts = yaml.safe_load(pages.read("docker-compose.yml"))["services"]["grafana"]["volumes"]
    assert provider["options"]["path"] in {m["target"] for m in mounts if isinstance(m, dict)}
