"""`xunlou demo`: a whole watched community on one machine, with nobody real in it.

The SMS always go to the page of phones, whatever TWILIO_* says: sample residents have no stewards
who could be texted.
"""

import asyncio
import json
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from firmware_sim import junit, scenario
from firmware_sim.switches import BROKER_OFF
from server.app import locks_of
from server.core.access import AccountRole
from server.service import account_keeping
from server.service.locks import passphrase
from server.settings import Settings
from xunlou.account import write
from xunlou.embedded import (
    CannotStart,
    Embedded,
    Place,
    answers,
    command,
    prepare,
)
from xunlou.keys import Keys, write_private
from xunlou.observer import Observer
from xunlou.ports import free_port, port_is_free
from xunlou.sample import AS_OF, STORY_BUILDING, STORY_FLAT, guangdan, manifest, terminal_password
from xunlou.sim import scenario_files
from xunlou.stopping import stop_on_signals
from xunlou.summary import reckon, settled
from xunlou.supervise import ChildSpec, Supervisor

SMS_FROM = "+8610000000001"
SETTLE_WITHIN_S = 15.0
POLL_S = 0.25
STARTS_WITHIN_S = 15.0
"""So long may it take until the first terminal is connected, in real seconds."""
SWITCHES = "switches"
MARK = "THIS-IS-A-DEMO"
"""Only a directory with this file in it is ever cleared."""
TZ = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for. `start`: an aware instant, or None for the real present."""

    speed: float = 10.0
    start: datetime | None = datetime(AS_OF.year, AS_OF.month, AS_OF.day, 5, 40, tzinfo=TZ)
    seed: int = 314
    for_s: float | None = None
    port: int = 8000
    mqtt_port: int | None = None
    headless: bool = False
    scenarios: tuple[str, ...] = ()
    junit: Path | None = None
    sos_per_hour: float = 6.0
    directory: Path = Path(".demo")


def start_at(text: str) -> datetime | None:
    """What `--start` means: "now", "05:40" (on 14 March 2026), or a date with a time.

    Raises ValueError with the forms it takes.
    """
    if text == "now":
        return None
    try:
        if "T" not in text and "-" not in text:
            text = f"{AS_OF.isoformat()}T{text}"
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"--start {text!r}: give now, 05:40, or 2026-03-14T05:40") from None
    return at if at.tzinfo else at.replace(tzinfo=TZ)


class Demo:
    """One run of the demo."""

    def __init__(self, options: Options, keys: Keys) -> None:
        self.options = options
        directory = options.directory.resolve()
        self.phones_port = free_port() if options.port == 0 else options.port + 1
        self.place = Place(
            directory,
            options.port or free_port(),
            _mqtt_port(options.mqtt_port),
            keys,
            f"@{directory / SWITCHES / 'clock'}",
            {
                "XUNLOU_SIM_URL": f"http://127.0.0.1:{self.phones_port}",
                "TWILIO_ACCOUNT_SID": keys.sms_account,
                "TWILIO_AUTH_TOKEN": keys.sms_token,
                "TWILIO_FROM_NUMBER": SMS_FROM,
                "TWILIO_API_BASE_URL": f"http://127.0.0.1:{self.phones_port}",
                # A real second provider must not take over when the stand-in is slow.
                "TWILIO_BACKUP_ACCOUNT_SID": "",
                "TWILIO_BACKUP_AUTH_TOKEN": "",
                "TWILIO_BACKUP_FROM_NUMBER": "",
                "TWILIO_BACKUP_API_BASE_URL": "",
            },
            demo=True,
        )
        self.admin_password = passphrase()
        self.story_terminal = f"gd-{STORY_BUILDING}-{STORY_FLAT}"

    def _set_clock(self, lead_s: float = 0.0) -> None:
        """Set the clock so that it shows the start `lead_s` real seconds from now."""
        self._begins_at_s = real_s = time.time() + lead_s
        virtual_s = self.options.start.timestamp() if self.options.start else real_s
        clock = f"{real_s:.3f},{virtual_s:.3f},{self.options.speed}"
        (self.place.directory / SWITCHES / "clock").write_text(clock)

    def left_s(self) -> float | None:
        """Real seconds to go on for; None: for ever. They count from the start that the clock was
        set to: where everything runs sooner, it shows less."""
        if self.options.for_s is None:
            return None
        return max(0.0, self._begins_at_s - time.time()) + self.options.for_s

    @property
    def phones_url(self) -> str:
        """The page of phones."""
        return f"http://127.0.0.1:{self.phones_port}"

    def lay_out(self) -> None:
        """A fresh directory with database, fleet manifest and the shell's variables."""
        directory = self.place.directory
        if directory.exists() and any(directory.iterdir()) and not (directory / MARK).exists():
            raise CannotStart(
                f"{directory} holds something that no demo has made; pass --data with a new name"
            )
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True, mode=0o700)
        (directory / MARK).write_text("Made by `xunlou demo`, and made anew by the next one.\n")
        (directory / SWITCHES).mkdir(mode=0o700)
        self._set_clock()
        community = guangdan(self.options.seed)
        prepare(self.place, community)
        self._add_administrator()
        secret = self.place.keys.terminal_secret
        fleet = json.dumps(manifest(community, secret), ensure_ascii=False)
        write_private(directory / "fleet.json", fleet)
        variables = {
            "XUNLOU_URL": self.place.url,
            "XUNLOU_API_TOKEN": self.place.keys.api_token,
            "XUNLOU_PHONES_URL": self.phones_url,
            "MQTT_HOST": "127.0.0.1",
            "MQTT_PORT": str(self.place.mqtt_port),
            "SOS_TERMINAL": self.story_terminal,
            "SOS_PASSWORD": terminal_password(secret, self.story_terminal),
        }
        lines = "".join(f"{name}={value}\n" for name, value in variables.items())
        write_private(directory / "demo.env", lines)

    def _add_administrator(self) -> None:
        """A demo's administrator needs to change no password: nobody real is in it."""
        settings = Settings(database_url=self.place.database_url, clock=self.place.clock)
        locks = locks_of(settings)
        write(
            settings,
            lambda tx: account_keeping.bootstrap(
                tx, locks, account_keeping.FIRST, self.admin_password, AccountRole.ADMINISTRATOR
            ),
        )

    async def start(self, supervisor: Supervisor) -> Embedded:
        """Start everything; returns when the phones answer too."""
        if not port_is_free(self.phones_port):
            raise CannotStart(
                f"port {self.phones_port} (the page of phones) is in use on 127.0.0.1; pass --port"
            )
        # The story begins when everything runs: seconds of starting are minutes of a fast clock,
        # and on a busy machine the round would be over before anybody could check in.
        self._set_clock(STARTS_WITHIN_S)
        embedded = Embedded(self.place, supervisor)
        await embedded.start()
        words = [
            "sim", "--fleet", str(self.place.directory / "fleet.json"),
            "--seed", str(self.options.seed), "--phones-port", str(self.phones_port),
            "--sos-per-hour", str(self.options.sos_per_hour),
            "--switches", str(self.place.directory / SWITCHES),
            # Its own figures are printed, and its parts share two cores while the fleet comes.
            "--progress-s", "0", "--connects-per-s", "200",
        ]  # fmt: skip
        for path in scenario_files(self.options.scenarios):
            words += ["--scenario", str(path)]
        if self.options.scenarios:
            words += ["--stay"]
        environment = self.place.environment() | {
            "XUNLOU_MQTT_PROTOCOL": embedded.mqtt_protocol,
        }
        supervisor.start(ChildSpec("sim", command(*words), environment))
        await answers(f"{self.phones_url}/healthz", self.place.directory / "log" / "sim.log")
        assert embedded.broker is not None
        self._broker = embedded.broker.name
        return embedded

    async def obey_switches(self, supervisor: Supervisor) -> None:
        """Keep the broker down for as long as the tester wants it so. Ends when cancelled."""
        away = self.place.directory / SWITCHES / BROKER_OFF
        while True:
            held = supervisor.children[self._broker].held
            if away.exists() and not held:
                supervisor.hold(self._broker)
            elif held and not away.exists():
                supervisor.release(self._broker)
            await asyncio.sleep(POLL_S)

    def banner(self) -> str:
        """What a newcomer needs to see, once."""
        env = self.options.directory / "demo.env"
        topic = "xunlou/v1/t/$SOS_TERMINAL/evt/sos"
        sos = (
            f'. {env if env.is_absolute() else f"./{env}"}; mosquitto_pub -h "$MQTT_HOST" '
            '-p "$MQTT_PORT" -i "$SOS_TERMINAL-shell" -u "$SOS_TERMINAL" -P "$SOS_PASSWORD" '
            f'-q 1 -t "{topic}" -m "{{\\"boot\\":1,\\"seq\\":$(date +%s)}}"'
        )
        lines = [
            "",
            f"  巡楼 Xunlou   {self.place.url}",
            f"  登录 login    operator  /  {self.place.keys.operator_password}",
            f"  管理 accounts {account_keeping.FIRST}  /  {self.admin_password}",
            f"  电话 phones   {self.phones_url}",
            f"  测试 tester   {self.place.url}/sim",
            f"  令牌 token    in {env} (XUNLOU_API_TOKEN)",
            "",
            "  试一试 Three things to try:",
            "  1. Watch the windows fill as people check in; the round is due at 06:00.",
            "  2. Press SOS for building 11, floor 3, from another shell:",
            f"       {sos}",
            "  3. Open the phones, find building 11, and answer 1 as one of its two stewards.",
            "",
            "  Ctrl-C stops everything.",
            "",
        ]
        return "\n".join(lines)


def _mqtt_port(asked: int | None) -> int:
    """The port asked for; else 1883, or another where something (the system's own Mosquitto, say)
    already listens there."""
    if asked:
        return asked
    return 1883 if asked is None and port_is_free(1883) else free_port()


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line, ensure_ascii=False), flush=True)


async def _headless(demo: Demo, stop: asyncio.Event) -> int:
    """Print the journal while it runs, or while the scenarios play; then settle and print the
    reckoning. 1 when anything was lost or doubled, or a step of the scenario failed."""
    loop = asyncio.get_running_loop()
    left_s = demo.left_s()
    end = loop.time() + left_s if left_s is not None else None
    async with Observer(demo.place.url, demo.phones_url, demo.place.keys) as observer:
        played = 0
        while not stop.is_set() and (end is None or loop.time() < end):
            for entry in await observer.new_entries():
                _print(entry)
            story = await observer.scenario()
            for step in story["steps"][played:]:
                _print({"step": step})
            played = len(story["steps"])
            if demo.options.scenarios and not story["playing"]:
                break
            await _pause(stop, POLL_S)
        await observer.quiet()
        settle_end = loop.time() + SETTLE_WITHIN_S
        seen = observer.entries_read
        books = await observer.books()
        while not settled(books) and loop.time() < settle_end:
            await asyncio.sleep(POLL_S)
            books = await observer.books()
        for late in books.journal[seen:]:
            _print(dict(late))
    summary = reckon(books)
    if demo.options.scenarios:
        if demo.options.junit:
            junit.write(demo.options.junit, story["steps"])
        summary |= {"scenario_ok": story["ok"] and not story["playing"], "steps": played}
    _print({"summary": summary})
    good = summary["lost"] == summary["doubled"] == 0 and summary.get("scenario_ok", True)
    return 0 if good else 1


async def _pause(stop: asyncio.Event, seconds: float | None) -> None:
    """Until the stop event, for ever or at most so many seconds."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def run(options: Options) -> int:
    """Run the demo until Ctrl-C or `for_s`. Returns the exit code. Raises CannotStart."""
    if options.speed <= 0:
        raise ValueError(f"--speed {options.speed:g}: give a number above 0")
    for path in scenario_files(options.scenarios):
        scenario.load(path)  # a mistake in it is better said before anything starts
    stop = stop_on_signals()
    demo = Demo(options, Keys.fresh())

    over = False

    def alarm(name: str, line: str) -> None:
        if not over:  # parts that are being stopped complain about each other
            print(f"[{name}] {line}", file=sys.stderr, flush=True)

    print("starting …", file=sys.stderr, flush=True)
    await asyncio.to_thread(demo.lay_out)
    code = 0
    async with Supervisor(demo.place.directory / "log", alarm) as supervisor:
        embedded = await demo.start(supervisor)
        for warning in embedded.warnings:
            print(f"! {warning}", file=sys.stderr, flush=True)
        switches = asyncio.create_task(demo.obey_switches(supervisor))
        if options.headless:
            code = await _headless(demo, stop)
        else:
            print(demo.banner(), flush=True)
            await _pause(stop, demo.left_s())
        over = True
        switches.cancel()
    print("stopped.", file=sys.stderr, flush=True)
    return code
