"""Renders the tables of docs/metrics.md from the registries; run it to write them anew.

It must never hold a meaning of its own: the help text in the code is the documentation.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from pydantic import SecretStr
from settings_table import block

from gateway import metrics as gateway_metrics
from gateway.bridge import Bridge
from gateway.counters import Counters
from gateway.settings import GatewaySettings
from server import metrics as server_metrics
from server.api.measures import Snapshot
from server.metrics import REGISTRY
from server.store.gauges import Seen

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
HEAD = "| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n"
LABELS = {
    metric.describe()[0].name: ", ".join(metric._labelnames)
    for metric in vars(server_metrics).values()
    if isinstance(metric, MetricWrapperBase)
}
"""Also of what has counted nothing yet, and so shows no labels."""
EVERYTHING = Seen(
    outbox={}, outbox_oldest_s={}, commands=0, alerts={},
    overdue_s={"steps": 0.0}, gateway_heard_s=0.0, database_bytes={"main": 0},
)  # fmt: skip


def families() -> dict[str, list[Metric]]:
    """What each program shows."""
    settings = GatewaySettings(gateway_token=SecretStr("-"), mqtt_password=SecretStr("-"))
    return {
        "server metrics": [*REGISTRY.collect(), *Snapshot(EVERYTHING, 0, 0.0).collect()],
        "gateway metrics": [*gateway_metrics.Figures(Bridge(settings, Counters())).collect()],
    }


def shown_as(family: Metric) -> str:
    """The name a query uses; a histogram's three series share it as their stem."""
    return f"{family.name}_total" if family.type == "counter" else family.name


def names() -> set[str]:
    """Every series name that a query may hold."""
    found = set()
    for part in families().values():
        for family in part:
            name = shown_as(family)
            found |= (
                {f"{name}_{end}" for end in ("bucket", "count", "sum")}
                if family.type == "histogram" else {name}
            )  # fmt: skip
    return found


def _labels(family: Metric) -> str:
    seen = {label for sample in family.samples for label in sample.labels} - {"le"}
    return LABELS.get(family.name, ", ".join(sorted(seen)))


def table(part: Iterable[Metric]) -> str:
    """The table of one program."""
    return HEAD + "".join(
        f"| `{shown_as(f)}` | {f.type} | {_labels(f)} | {f.documentation.rstrip('.')} |\n"
        for f in part
    )


def render(page: str) -> str:
    """The page with every generated part written anew. Raises ValueError when one is missing."""
    for name, part in families().items():
        if not block(name).search(page):
            raise ValueError(f"docs/metrics.md has no part `<!-- generated: {name} -->`")
        fresh = table(part)
        page = block(name).sub(lambda m, new=fresh: f"{m[1]}{new}{m[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
