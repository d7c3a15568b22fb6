"""A community rehearses its own ladder with scenarios, before it is in force anywhere."""

from pathlib import Path

from server.ladders.keeping import DEFAULT_FILE
from tests.e2e.running import FREE, json_lines, once
from tests.parts import require

STORY = """\
name: Both stewards at once
about: What this community promises its residents.
cast:
  her: {terminal: {building: 11}}
  first: {phone: {building: 11, nth: 1}}
  second: {phone: {building: 11, nth: 2}}
steps:
  - {at: 0, id: press, do: {press: sos, on_terminal: her}}
  - id: first
    at: 0
    expect:
      sms: first
      contains: [["求助", "SOS"]]
      capture: {code: '(?:代码|[Cc]ode)\\s*(\\d{4})'}
    within_s: 60
  - {at: 0, id: second, expect: {sms: second, contains: [["求助", "SOS"]]}, within_s: 60}
  - {at: 90, id: done, do: {reply: "3 {code}", from: first}}
  - {at: 90, id: closed, expect: {alert: {state: resolved}}, within_real_s: 5}
"""
BOTH = "      - tell: [stewards]\n        wait: 2 min\n"
ONE = "      - tell: [steward_1]\n        wait: 3 min\n"


def test_a_ladder_that_breaks_a_promise_fails_the_scenario(tmp_path: Path) -> None:
    """The community's ladder tells one steward and waits three minutes. The demo runs on it: the
    expectation that both hear of it within a minute fails, that one alone, and the exit code says
    so. With the built-in ladder both are told at once (`test_the_library_of_scenarios`)."""
    require("mosquitto")
    text = DEFAULT_FILE.read_text("utf-8")
    assert BOTH in text
    ladder, story = tmp_path / "ladder.yaml", tmp_path / "promise.yaml"
    ladder.write_text(text.replace(BOTH, ONE, 1), "utf-8")
    story.write_text(STORY, "utf-8")
    run = once(
        tmp_path, "demo", "--headless", "--scenario", str(story), "--speed", "15", *FREE,
        "--sos-per-hour", "0", XUNLOU_LADDER_FILE=str(ladder),
    )  # fmt: skip
    steps = {s["step"]["step"]: s["step"]["ok"] for s in json_lines(run.stdout) if "step" in s}
    assert steps == {"press": True, "first": True, "second": False, "done": True, "closed": True}
    assert run.returncode == 1, run.stderr
