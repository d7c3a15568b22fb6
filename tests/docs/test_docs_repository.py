"""Nothing in the repository depends on where it was written, or on one source of packages."""

import re
import stat
from pathlib import Path

import pages

# In pieces, so that this file doesn't find itself.
_HOSTS = (
    "py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "npm" + "js.com",
    "un" + "pkg.com", "js" + "delivr.net", "docker" + ".io", "gh" + "cr.io", "qu" + "ay.io",
    "crates" + ".io", "proxy.gol" + "ang.org", "deb.deb" + "ian.org",
)  # fmt: skip
_PLACES = re.compile(r"(?<![\w.\-/])/" + r"work/\w|\.\./" + r"shared\b")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    return "" if b"\0" in raw else raw.decode("utf-8", "replace")


def test_no_file_names_a_package_registry() -> None:
    """Which registry is used is a matter of the machine, not of the project."""
    found = [
        f"{pages.name(p)}: {host}"
        for p in pages.files()
        for host in _HOSTS
        if host in _text(p).lower()
    ]
    assert found == []


def test_no_file_names_a_place_on_the_machine_where_it_was_written() -> None:
    """A clone works anywhere."""
    found = [
        f"{pages.name(p)}: {match.group()}"
        for p in pages.files()
        for match in [_PLACES.search(_text(p))]
        if match
    ]
    assert found == []


def test_the_scripts_can_be_run() -> None:
    """`.ci/setup` and `.ci/run` are executable, and begin with their interpreter."""
    for script, first in ((".ci/setup", "#!/bin/sh"), (".ci/run", "#!/usr/bin/env bash")):
        path = pages.ROOT / script
        assert path.stat().st_mode & stat.S_IXUSR, script
        assert path.read_text(encoding="utf-8").splitlines()[0] == first


def test_every_locked_package_has_hashes_and_one_version() -> None:
    """pip refuses what isn't exactly what we tested (docs/adr/0005)."""
    lines = pages.read("requirements.lock").replace("\\\n", " ").splitlines()
    entries = [line for line in lines if line.strip() and not line.startswith("#")]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[\w,-]+\])?==[^ ]+ ", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_the_license_is_the_one_that_is_declared() -> None:
    """pyproject.toml says Apache-2.0, and the file is its full text."""
    text = pages.read("LICENSE")
    assert 'license = "Apache-2.0"' in pages.read("pyproject.toml")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_make_test_leaves_no_folder_of_tests_out() -> None:
    """`make test` names the folders, as some share the cores and some do not; one that nobody named
    would never run, and what one run leaves out (`--ignore`) is in another."""
    makefile = pages.read("Makefile").replace("\\\n", "")
    lists = dict(re.findall(r"^([A-Z]+) = (.+)$", makefile, re.MULTILINE))
    recipe = makefile.split("\ntest: ")[1].split("\n\n")[0]
    runs = [
        re.sub(r"\$\(([A-Z]+)\)", lambda m: lists[m[1]], lists[name])
        for name in re.findall(r"\$\(([A-Z]+)\) \|\|", recipe)
    ]
    assert len(runs) == 3, "each list of tests is run"
    left_out = {path for run in runs for path in re.findall(r"--ignore (\S+)", run)}
    named = [path for run in runs for path in re.sub(r"--ignore \S+", "", run).split()]
    assert len(named) == len(set(named)), "nothing runs twice"
    assert left_out <= set(named), "what is left out of one run is in another"
    tests = pages.ROOT / "tests"
    folders = {f"tests/{p.relative_to(tests).parts[0]}" for p in tests.rglob("test_*.py")}
    assert set(named) - left_out == folders
