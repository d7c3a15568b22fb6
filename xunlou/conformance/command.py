"""`xunlou conformance`: the examination at a console, with a person who presses and pulls plugs."""

import argparse
import asyncio
import os
import time

from xunlou.conformance.exam import Bench, Examiner, NoTerminal
from xunlou.conformance.points import Finding, Verdict

ASKS = {
    "power_on": "请打开终端 · Switch the terminal on.",
    "press": "请按一次求助 · Press SOS once.",
    "cut": "请拔掉网线或关掉无线,不要关机 · Cut its network without switching it off.",
    "power_again": "请断电(电池也取出),再通电联网 · Cut all power (battery too), then power and "
    "network again.",
}
LEFT = (
    "! 终端 {terminal} 还没有确认恢复原设置;它下次连上时会收到 · {terminal} has not confirmed "
    "its own settings; the broker keeps them for its next connection (retained, …/cfg): {body}"
)
MARKS = {Verdict.PASS: "✓", Verdict.FAIL: "✗", Verdict.NOT_SEEN: "–"}


def line(finding: Finding) -> str:
    """One point, as a person reads it."""
    return f"{MARKS[finding.verdict]} {finding.point:<13}{finding.asks}: {finding.why}"


async def _ask(what: str) -> None:
    print(f"» {ASKS[what]}", flush=True)
    await asyncio.sleep(0)


def run(args: argparse.Namespace) -> int:
    """0 when every point holds, 1 when one fails or was not tested, 2 without a terminal."""
    bench = Bench(
        os.environ.get("XUNLOU_MQTT_HOST", "127.0.0.1"),
        int(os.environ.get("XUNLOU_MQTT_PORT", "1883")),
        os.environ.get("XUNLOU_MQTT_USERNAME", "gateway"),
        os.environ.get("XUNLOU_MQTT_PASSWORD", ""),
        lambda: time.time_ns() // 1_000_000,
        patience_s=args.patience,
        ca=os.environ.get("XUNLOU_MQTT_CA", ""),
    )
    print(f"巡楼 {args.terminal}: {bench.host}:{bench.port}", flush=True)
    examiner = Examiner(bench, args.terminal, _ask)
    try:
        findings = asyncio.run(examiner.examine())
    except NoTerminal as error:
        raise ValueError(f"{error}; is it on, and does it speak to this broker?") from error
    except (OSError, TimeoutError) as error:
        raise ValueError(
            f"no broker at {bench.host}:{bench.port} takes us ({str(error) or 'no answer'}); set "
            "XUNLOU_MQTT_HOST, _PORT, _USERNAME, _PASSWORD, and stop the gateway meanwhile"
        ) from error
    finally:
        if examiner.unrestored:
            print(LEFT.format(body=examiner.unrestored, terminal=args.terminal), flush=True)
    for finding in findings:
        print(line(finding))
    return 0 if all(f.verdict is Verdict.PASS for f in findings) else 1
