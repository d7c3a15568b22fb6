"""The library of scenarios, played as the documented command plays it. A file of its own: it takes
longest, and files run side by side."""

from pathlib import Path
from xml.etree import ElementTree

from firmware_sim import scenario
from tests.e2e.running import FREE, json_lines, once
from tests.parts import require


def test_the_library_of_scenarios(tmp_path: Path) -> None:
    """Every story of the library holds, step by step, side by side in one community; the report
    says so in JUnit's form."""
    require("mosquitto")
    library = {p.stem for p in scenario.SCENARIOS.glob("*.yaml")}
    assert len(library) >= 20
    run = once(
        tmp_path, "demo", "--headless", "--scenario", "all", "--speed", "30", *FREE,
        "--sos-per-hour", "0", "--start", "05:20", "--junit", "report.xml", within_s=400,
    )  # fmt: skip
    lines = json_lines(run.stdout)
    steps = [line["step"] for line in lines if "step" in line]
    assert [(s["scenario"], s["title"], s["detail"]) for s in steps if not s["ok"]] == []
    assert run.returncode == 0, run.stderr
    summary = lines[-1]["summary"]
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    suites = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert len(suites) == len(library)
    assert sum(int(s.get("tests", 0)) for s in suites) == len(steps)
    assert sum(int(s.get("failures", 0)) for s in suites) == 0
