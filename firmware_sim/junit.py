"""Scenarios' reports as JUnit XML, which every CI shows: a suite a story, a case a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

StepReport = Mapping[str, Any]
"""scenario, title, step, ok, measured_s, detail: as /sim/scenario tells a step."""


def report(steps: Iterable[StepReport]) -> ElementTree.Element:
    """The element <testsuites>; `time` is what each step measured, in seconds."""
    stories: defaultdict[str, list[StepReport]] = defaultdict(list)
    for step in steps:
        stories[step["scenario"]].append(step)
    root = ElementTree.Element("testsuites")
    for name, told in stories.items():
        failed = sum(not step["ok"] for step in told)
        suite = ElementTree.SubElement(
            root, "testsuite", name=name, tests=str(len(told)), failures=str(failed)
        )
        for step in told:
            case = ElementTree.SubElement(
                suite, "testcase", classname=name, name=step["title"] or step["step"],
                time=f"{step['measured_s']:.3f}",
            )  # fmt: skip
            if not step["ok"]:
                ElementTree.SubElement(case, "failure", message=step["detail"])
    return root


def write(path: Path, steps: Iterable[StepReport]) -> None:
    """Write the report. Raises OSError when the file can't be written."""
    root = report(steps)
    ElementTree.indent(root)
    path.write_text(ElementTree.tostring(root, encoding="unicode") + "\n", "utf-8")
