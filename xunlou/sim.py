"""`xunlou sim`: the simulator as a command. Secrets come from the environment, never arguments."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from firmware_sim import app, junit, runner, scenario
from firmware_sim.node import Summary
from firmware_sim.story import Scenario, Step
from xunlou.stopping import stop_on_signals

SCENARIOS = Path(scenario.__file__).parent / "scenarios"


def scenario_file(name: str) -> Path:
    """A scenario by file, or by its name in the library. Raises ValueError listing the library."""
    path = Path(name)
    if path.is_file():
        return path.resolve()
    kept = SCENARIOS / f"{name}.yaml"
    if kept.is_file():
        return kept
    known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.yaml")))
    raise ValueError(f"no scenario {name!r}: give a YAML file, or one of: {known}")


def scenario_files(words: Sequence[str]) -> tuple[Path, ...]:
    """The scenarios that the words name; `all` is the whole library. Raises ValueError."""
    if "all" in words:
        return tuple(sorted(SCENARIOS.glob("*.yaml")))
    return tuple(scenario_file(word) for word in words)


def _say(story: Scenario, step: Step, result: runner.Result) -> None:
    mark = "ok  " if result.ok else "FAIL"
    print(f"{mark} {story.name}: {step.title or step.id}: {result.detail}", flush=True)


def _tell(now: Summary) -> None:
    """One line of how far a fleet is."""
    of = now.figures
    print(
        f"在线 connected {now.connected:,}/{now.terminals:,} · 断电 dark {now.dark:,} · "
        f"发出 sent {of.sent:,} · 已收 pubacks {of.pubacks:,} · "
        f"回执 receipts {of.receipts:,} · 重发 resent {of.resent:,} · "
        f"等待 waiting {of.waiting:,} · 丢失 lost {of.lost:,}",
        flush=True,
    )


async def run(args: argparse.Namespace) -> int:
    """Run until Ctrl-C, or until the scenarios are played. Returns 1 when a step failed or was
    never played."""
    if args.connects_per_s is not None and args.connects_per_s <= 0:
        raise ValueError(f"--connects-per-s {args.connects_per_s:g}: give a number above 0")
    environment = os.environ
    account = environment.get("TWILIO_ACCOUNT_SID", "")
    config = app.SimConfig(
        fleet_file=args.fleet,
        mqtt_host=environment.get("XUNLOU_MQTT_HOST", "127.0.0.1"),
        mqtt_port=int(environment.get("XUNLOU_MQTT_PORT", "1883")),
        mqtt_ca=environment.get("XUNLOU_MQTT_CA", ""),
        # Terminals speak 3.1.1 wherever they are; every broker takes it.
        mqtt_protocol="3.1.1",
        stay=args.stay,
        seed=args.seed,
        sos_per_hour=args.sos_per_hour,
        accidents_per_hour=args.accidents_per_hour,
        blows_per_hour=args.blows_per_hour,
        ramp_s=args.ramp_s,
        connects_per_s=args.connects_per_s,
        flash_file=args.flash,
        tell_every_s=args.progress_s,
        phones_port=args.phones_port,
        twilio=app.TwilioSettings(
            account_sid=account or "AC-of-nobody",
            auth_token=environment.get("TWILIO_AUTH_TOKEN", "") if account else "",
            from_number=environment.get("TWILIO_FROM_NUMBER", ""),
            webhook_base=environment.get("XUNLOU_PUBLIC_URL", "http://127.0.0.1:8000"),
            auto_answer=not args.manual,
        )
        if account or args.switches is not None  # a rehearsal has a page, and no texts of its own
        else None,  # and a fleet alone its figures
        scenarios=scenario_files(args.scenario),
        switches=args.switches,
        server_url=environment.get("XUNLOU_SERVER_URL", "http://127.0.0.1:8000"),
        api_token=environment.get("XUNLOU_API_TOKEN", ""),
    )
    result = await app.run(
        config, stop_on_signals(), report=_say, progress=_tell if args.progress_s else None
    )
    if args.junit:
        junit.write(args.junit, result.steps)
    summary = result.summary
    said = {
        "ok": result.ok, "finished": result.finished,
        "terminals": summary.terminals, "connected": summary.connected,
        "reconciliation": asdict(summary.figures), "faults": summary.faults,
    }  # fmt: skip
    print(json.dumps(said), flush=True)
    return 0 if result.ok else 1
