"""README.md promises nothing that isn't there."""

import re
import subprocess
import sys

import pages


def _options_of(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


def _help(*words: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "xunlou", *words, "--help"],
        cwd=pages.ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return run.stdout


def test_the_table_of_the_demos_options_is_complete() -> None:
    """Every option of `xunlou demo` is in the table, and the table has no other."""
    table = pages.read("README.md").partition("## Options of the demo")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(--[a-z-]+)` \|", table, re.MULTILINE))
    assert listed == _options_of(_help("demo")) - {"--help"}


def test_every_command_named_on_the_pages_exists() -> None:
    """`xunlou something` and `make something` on a page can be typed."""
    commands = set(re.findall(r"^ {4}([a-z]+)(?: |$)", _help(), re.MULTILINE))
    assert {"demo", "up", "serve", "gateway", "sim", "db", "doctor"} <= commands
    targets = set(re.findall(r"^([a-z]+):", pages.read("Makefile"), re.MULTILINE))
    for page in pages.markdown():
        code = re.findall(r"`[^`\n]+`|^```sh\n.*?^```", page.read_text(encoding="utf-8"),
                          re.DOTALL | re.MULTILINE)  # fmt: skip
        for piece in code:
            for word in re.findall(r"(?:^|[`/\s])xunlou ([a-z]+)\b", piece):
                assert word in commands, f"{pages.name(page)}: xunlou {word}"
            for word in re.findall(r"(?:^|[`\s])make ([a-z]+)\b", piece):
                assert word in targets, f"{pages.name(page)}: make {word}"


def test_the_press_from_a_shell_uses_what_the_demo_writes() -> None:
    """Each variable in the README's commands is one that docs/settings.md says is in demo.env."""
    section = pages.read("docs/settings.md").partition("demo.env")[2]
    written = set(re.findall(r"`([A-Z][A-Z_]+)`", section))
    used = {
        name
        for block in pages.code_blocks(pages.read("README.md"), "sh")
        for name in re.findall(r"\$([A-Z][A-Z_]+)", block)
    }
    assert {"SOS_TERMINAL", "SOS_PASSWORD", "MQTT_PORT", "XUNLOU_API_TOKEN"} <= used
    assert used <= written


def test_the_layout_is_the_layout() -> None:
    """Every directory in the table exists, and every package of ours is in it."""
    table = pages.read("README.md").partition("## Where things are")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE))
    assert all((pages.ROOT / d).is_dir() for d in listed)
    packages = {p.parent.name for p in pages.ROOT.glob("*/__init__.py")}
    assert packages <= listed
