"""The main job, end to end, as a newcomer runs it: real broker, server, gateway, fleet, phones."""

import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from tests.e2e.running import FREE, clean_environment, json_lines, once, running
from tests.parts import require

README = Path(__file__).parents[2] / "README.md"
STEPS = [
    "pressed", "told", "centre_has_it", "on_the_wall", "accepted", "she_knows", "link", "way_in",
    "at_the_door", "on_scene", "press_to_door", "safe", "resolved", "lamp",
]  # fmt: skip


@pytest.fixture(autouse=True)
def mosquitto() -> None:
    """All of these need the real broker."""
    require("mosquitto")


def test_a_headless_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Every press has its receipt, every alert its messages; nothing is lost or doubled."""
    run = once(
        tmp_path, "demo", "--headless", "--speed", "60", "--for", "45", *FREE,
        "--sos-per-hour", "30", "--start", "05:30",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    lines = json_lines(run.stdout)
    summary = lines[-1]["summary"]
    assert summary["presses"] == summary["receipts"] >= 1
    assert summary["checkins"] > 100
    assert summary["missed"] >= 1
    assert summary["messages"] >= 2 * summary["alerts"]
    assert summary["accepted"] >= 1
    assert (summary["lost"], summary["doubled"]) == (0, 0)
    seqs = [line["seq"] for line in lines[:-1] if "seq" in line]
    assert seqs == sorted(set(seqs))
    assert "Traceback" not in run.stderr


def test_the_14th_of_march(tmp_path: Path) -> None:
    """She falls, both stewards are told within two seconds, one goes, sees the way in, is at the
    door within fifteen minutes; each step holds, in its order."""
    run = once(
        tmp_path, "demo", "--headless", "--scenario", "14-march", "--speed", "60", *FREE,
        "--sos-per-hour", "0",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    lines = json_lines(run.stdout)
    steps = [line["step"] for line in lines if "step" in line]
    assert [s["step"] for s in steps] == STEPS
    assert [s["step"] for s in steps if not s["ok"]] == []
    by_name = {s["step"]: s for s in steps}
    assert by_name["told"]["measured_s"] <= 2
    assert by_name["press_to_door"]["measured_s"] <= 15 * 60
    summary = lines[-1]["summary"]
    assert (summary["sos"], summary["resolved"], summary["lost"]) == (1, 1, 0)


def shell_block(words: str) -> str:
    """The README's shell block that holds `words`, as a person would paste it."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.S)
    (block,) = [b for b in blocks if words in b]
    return str(block)


def test_a_press_from_the_newcomers_own_shell(tmp_path: Path) -> None:
    """The README's own line reaches both stewards' phones and the wall; Ctrl-C then ends
    everything within three seconds, without a traceback or an orphan."""
    require("mosquitto_pub")
    with running(tmp_path, "demo", *FREE, "--sos-per-hour", "0", "--speed", "1") as demo:
        banner = demo.until_printed("Ctrl-C")
        env = dict(
            line.split("=", 1)
            for line in (tmp_path / ".demo" / "demo.env").read_text().splitlines()
        )
        token = {"Authorization": f"Bearer {env['XUNLOU_API_TOKEN']}"}
        with httpx.Client(base_url=env["XUNLOU_URL"], headers=token) as api:
            press = shell_block("mosquitto_pub")
            subprocess.run(
                ["sh", "-c", press], cwd=tmp_path, check=True, env=clean_environment(), timeout=10
            )
            alert = _wait_for_sos(api)
            assert alert["address"] == "11栋3楼301"
            phones = httpx.get(f"{env['XUNLOU_PHONES_URL']}/phones?active=true").json()["phones"]
            eleven = [p for p in phones if p["building"] == 11 and p["role"] == "steward"]
            assert len(eleven) == 2
            snapshot = api.get("/api/v1/snapshot").json()
            house = next(b for b in snapshot["buildings"] if b["number"] == 11)
            assert [f["label"] for f in house["flats"] if f["state"] == "sos"] == ["301"]
        login = re.search(r"operator  /  (\S+)", banner)
        assert login is not None
        with httpx.Client(base_url=env["XUNLOU_URL"], follow_redirects=True) as person:
            form = {"username": "operator", "password": login[1]}
            page = person.post("/login", data=form, headers={"Origin": env["XUNLOU_URL"]})
            assert page.url.path == "/wall"
            assert "11栋" in page.text
        assert len(demo.family()) >= 5
        code, seconds = demo.stop()
        assert code == 0
        assert seconds < 3
        assert demo.family() == []
        assert "Traceback" not in demo.errors()


def _wait_for_sos(api: httpx.Client) -> dict:
    """The SOS whose two SMS have arrived."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for alert in api.get("/api/v1/alerts", params={"kind": "sos"}).json()["alerts"]:
            # Before six it is night, and their phones ring as well.
            texts = [t["state"] for t in alert["told"] if t["channel"] == "sms"]
            if texts == ["delivered"] * 2:
                return dict(alert)
        time.sleep(0.05)
    raise AssertionError("no SOS with two delivered SMS within 10 s")


def test_an_orphan_is_impossible(tmp_path: Path) -> None:
    """Even kill -9 of the parent takes all children with it."""
    with running(tmp_path, "demo", *FREE, "--sos-per-hour", "0") as demo:
        demo.until_printed("Ctrl-C")
        demo.process.kill()
        demo.process.wait(5)
        end = time.monotonic() + 5
        while demo.family() and time.monotonic() < end:
            time.sleep(0.05)
        assert demo.family() == []


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--start", "half past five"], "give now, 05:40, or 2026-03-14T05:40"),
        (["--scenario", "15-march"], "14-march"),
        (["--speed", "0"], "above 0"),
        (["--data", "."], "pass --data"),
    ],
)
def test_a_wrong_option_is_answered_with_advice(
    tmp_path: Path, words: list[str], advice: str
) -> None:
    """One line that says what to do, exit code 2, and nothing of the person's is touched."""
    (tmp_path / "precious.txt").write_text("mine")
    run = once(tmp_path, "demo", *FREE, *words)
    assert run.returncode == 2
    assert advice in run.stderr
    assert "Traceback" not in run.stderr
    assert (tmp_path / "precious.txt").read_text() == "mine"
