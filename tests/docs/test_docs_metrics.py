"""docs/metrics.md is what the registries hold."""

import metrics_table
import pages


def test_every_metric_is_documented_as_it_is() -> None:
    """The tables are what the code would write; `make docs` mends them."""
    page = pages.read("docs/metrics.md")
    assert metrics_table.render(page) == page


def test_metrics_are_named_in_base_units_and_explained() -> None:
    """Seconds and bytes, never milliseconds; totals for what only grows; a meaning for each."""
    for part in metrics_table.families().values():
        for family in part:
            assert family.documentation, family.name
            assert not family.name.endswith(("_ms", "_kb", "_percent")), family.name
            assert family.name.startswith(("xunlou_", "process_")), family.name
