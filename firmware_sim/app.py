"""The simulator as one process: fleet, residents, and the page of phones, in one event loop.

`run` is what `xunlou sim` calls. It installs no signal handler: whoever calls it sets the stop
event. Everything is down within 1.5 s of that, by dropping connections rather than asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import uvicorn

from firmware_sim import casting, control, manifest, runner, scenario, tester
from firmware_sim import clock as clocks
from firmware_sim.clock import Clock
from firmware_sim.flash import FlashBank, MemoryBank
from firmware_sim.flash_file import FileBank
from firmware_sim.fleet import Fleet
from firmware_sim.line import Broker, MqttVersion
from firmware_sim.node import Summary
from firmware_sim.residents import Residents
from firmware_sim.story import Scenario, Step
from firmware_sim.switches import Switches
from firmware_sim.world import HttpWorld

if TYPE_CHECKING:
    from fastapi import FastAPI

# Boot counters of a fleet without a flash file count from here, so that they stay small.
BOOT_EPOCH_S: Final = 1_700_000_000
FILES_BESIDE_LINES: Final = 256
STOP_S: Final = 1
# As long as the server keeps one, s: the official client reuses its connection for each message.
KEEP_ALIVE_S: Final = 75
NEAR_PER_S: Final = 4_000.0
AFAR_PER_S: Final = 200.0
SIDE_BY_SIDE: Final = 8
"""Scenarios at once. Each looks many times a second, from the process that also runs the fleet."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TwilioSettings:
    """The account that the phones play, and the server that they text back to."""

    account_sid: str
    auth_token: str = field(repr=False)
    from_number: str
    webhook_base: str  # the server's public URL, exactly as it checks signatures
    auto_answer: bool = False


@dataclass(frozen=True, slots=True)
class SimConfig:
    """Everything a run needs. `duration_s` is real; rates are per virtual hour.

    Scenarios are played side by side and end the run, unless `stay` is set. While one is given the
    phones answer nothing by themselves: its stewards would otherwise act twice.

    Without `flash_file` terminals forget at the end of the process, and count boots from the
    wall clock so that the server does not take a new run's presses for repeats.
    """

    fleet_file: Path
    mqtt_host: str = "127.0.0.1"
    mqtt_port: int = 1883
    mqtt_protocol: MqttVersion = "3.1.1"
    mqtt_ca: str = ""
    """The authority's certificate, where the broker wants TLS."""
    seed: int = 14
    sos_per_hour: float = 0.0
    accidents_per_hour: float = 0.0
    blows_per_hour: float = 0.0
    ramp_s: float = 0.0  # virtual; over it the three rates rise from nothing
    connects_per_s: float | None = None
    """None: what the way to the broker bears (`pace`)."""
    flash_file: Path | None = None
    phones_host: str = "127.0.0.1"
    phones_port: int = 8001
    twilio: TwilioSettings | None = None
    """None: no page of phones. The control under /sim is there in either case."""
    scenarios: tuple[Path, ...] = ()
    stay: bool = False
    server_url: str = "http://127.0.0.1:8000"
    api_token: str = field(default="", repr=False)
    duration_s: float | None = None
    connected_within_s: float = 60.0  # scenarios begin when the fleet is connected
    switches: Path | None = None
    """Where the clock and the broker are switched; None: no page for testers, no such switches."""
    tell_every_s: float = 5.0  # real; how often `progress` hears


@dataclass(frozen=True, slots=True)
class SimResult:
    """What a run came to; `ok` is False when a scenario's step failed, or was never played."""

    summary: Summary
    steps: tuple[dict[str, Any], ...] = ()
    """Of all scenarios, as /sim/scenario tells them; what an early end left out has failed."""
    finished: bool = True
    """Whether every scenario was played to its end."""

    @property
    def ok(self) -> bool:
        """Whether every scenario was played to its end, and every step of it held."""
        return self.finished and all(step["ok"] for step in self.steps)


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(
    config: SimConfig,
    stop: asyncio.Event | None = None,
    *,
    clock: Clock | None = None,
    report: runner.Reporter | None = None,
    progress: Callable[[Summary], None] | None = None,
) -> SimResult:
    """Run until `stop` is set, `duration_s` is over, or the scenarios have been played.

    `report` hears each step of a scenario as it ends, `progress` how far things are, every
    `tell_every_s` and once more at the end.

    Raises manifest.ManifestError, scenario.ScenarioError and clock.ClockSettingError for settings,
    and OSError when the phones' port is taken.
    """
    stop = stop or asyncio.Event()
    clock = clock or clocks.from_env(os.environ)
    town = manifest.load(config.fleet_file)
    stories = tuple(scenario.load(path) for path in config.scenarios)
    allow_files(len(town.terminals) + FILES_BESIDE_LINES)
    fleet = Fleet(
        town.terminals,
        Broker(
            config.mqtt_host, config.mqtt_port, config.mqtt_protocol, ca=config.mqtt_ca
        ),
        clock,
        bank=_bank(config),
        seed=config.seed,
        connects_per_s=config.connects_per_s or pace(config.mqtt_host),
    )
    cast = _cast(town, stories)
    residents = Residents(
        town, fleet, config.seed, config.sos_per_hour, config.accidents_per_hour,
        config.blows_per_hour, config.ramp_s, cast=cast,
    )  # fmt: skip
    played = control.Progress(playing=bool(stories))

    def heard(story: Scenario, step: Step, result: runner.Result) -> None:
        played.report(story, step, result)
        if report is not None:
            report(story, step, result)

    await fleet.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(fleet.stop)
        residents.start()
        app = _phones_app(config, config.twilio, town, clock)
        app.include_router(control.router(fleet, residents, played))
        if config.switches is not None:
            tester.add(app, fleet, Switches(clock, config.switches))
        await stack.enter_async_context(_serving(app, config))
        if progress is not None:
            await stack.enter_async_context(_telling(fleet, progress, config.tell_every_s))
        left: list[Scenario] = []
        if stories:
            left = await _play(config, town, clock, fleet, stories, stop, heard)
            _told_as_left_out(left, played)
            played.playing = False
        if not stories or config.stay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), config.duration_s)
        summary = fleet.summary()
    return SimResult(summary, tuple(played.steps), finished=not left)


def _told_as_left_out(left: list[Scenario], played: control.Progress) -> None:
    """A report without the steps that were never played would read as if all had held."""
    told = {(step["scenario"], step["step"]) for step in played.steps}
    for story in left:
        for step in story.steps:
            if (story.name, step.id) not in told:
                why = "never played: the run was ended before"
                played.report(story, step, runner.Result(step.id, False, 0.0, why))


def pace(host: str) -> float:
    """How many connections a second to begin, where nobody says. A broker on this machine takes
    ten thousand within seconds (`tests.bench.sim_fleet`); one elsewhere is shared with others, and
    a storm of ours must not be what they notice."""
    try:
        near = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = False
    return NEAR_PER_S if near else AFAR_PER_S


@contextlib.asynccontextmanager
async def _telling(
    fleet: Fleet, progress: Callable[[Summary], None], every_s: float
) -> AsyncIterator[None]:
    """Tell how far things are while entered, and at the end."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(every_s)
            progress(fleet.summary())

    telling = asyncio.create_task(tell(), name="progress")
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait({telling})
        progress(fleet.summary())


def _cast(town: manifest.Manifest, stories: tuple[Scenario, ...]) -> frozenset[str]:
    """Every terminal that plays a part. A story without its people is told so when it is played:
    the others are played all the same."""
    found: set[str] = set()
    for story in stories:
        with contextlib.suppress(casting.NoSuchPart):
            found |= casting.terminals_of(town, (story,))
    return frozenset(found)


def allow_files(count: int) -> None:
    """Raise the process's limit of open files to `count` where the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < count:
        log.warning("only %d open files allowed, %d wanted: raise `ulimit -n`", wanted, count)


def _bank(config: SimConfig) -> FlashBank:
    # Real seconds, not virtual ones: a demo may begin at the same virtual minute every time.
    first_boot = int(clocks.ScaledClock().now_ms() // 1000) - BOOT_EPOCH_S
    if config.flash_file is not None:
        return FileBank(config.flash_file, first_boot)
    return MemoryBank(first_boot)


def _phones_app(
    config: SimConfig, twilio: TwilioSettings | None, town: manifest.Manifest, clock: Clock
) -> FastAPI:
    """The phones; without an account to play, only what carries the control."""
    if twilio is None:
        return _bare_app()
    from firmware_sim.phones.app import create_app
    from firmware_sim.phones.config import PhoneEntry, PhonesConfig

    return create_app(
        PhonesConfig(
            account_sid=twilio.account_sid,
            auth_token=twilio.auth_token,
            from_number=twilio.from_number,
            webhook_base=twilio.webhook_base,
            clock=lambda: clock.now_ms() / 1000,
            phones=tuple(
                PhoneEntry(p.number, p.name, p.role, p.building, p.lang) for p in town.phones
            ),
            speed=lambda: clock.speed,
            seed=config.seed,
            auto_answer=twilio.auto_answer and not config.scenarios,
            tz=town.tz.key,
        )
    )


def _bare_app() -> FastAPI:
    from fastapi import FastAPI

    app = FastAPI(title="Xunlou fleet (simulation)", docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    return app


@contextlib.asynccontextmanager
async def _serving(app: FastAPI, config: SimConfig) -> AsyncIterator[None]:
    """uvicorn in this loop, up when entered. Raises OSError when the port can't be had."""
    server = _Server(
        uvicorn.Config(
            app,
            host=config.phones_host,
            port=config.phones_port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=STOP_S,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )
    task = asyncio.create_task(_quiet_exit(server), name="phones")
    try:
        while not server.started:
            if task.done():
                raise OSError(
                    f"the phones can't listen on {config.phones_host}:{config.phones_port}"
                )
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        done, _ = await asyncio.wait({task}, timeout=STOP_S)
        if not done:
            # An open stream must not keep the whole simulator.
            task.cancel()
            await asyncio.wait({task}, timeout=0.2)


async def _quiet_exit(server: _Server) -> None:
    # uvicorn leaves with SystemExit when it can't bind; that must not end the caller's loop.
    with contextlib.suppress(SystemExit):
        await server.serve()


async def _play(
    config: SimConfig,
    town: manifest.Manifest,
    clock: Clock,
    fleet: Fleet,
    stories: tuple[Scenario, ...],
    stop: asyncio.Event,
    report: runner.Reporter,
) -> list[Scenario]:
    """All scenarios side by side, unless `stop` comes first; those that were not played to their
    end."""
    left = list(stories)
    started_s = time.monotonic()
    everybody = len(fleet.terminals)
    try:
        await fleet.until(
            lambda: stop.is_set() or fleet.connected == everybody,
            config.connected_within_s,
        )
    except TimeoutError:
        # Play all the same: a scenario must show what a broken chain looks like.
        log.warning("%d of %d terminals connected", fleet.connected, everybody)
    log.info("fleet connected after %.1f s", time.monotonic() - started_s)
    async with httpx.AsyncClient(timeout=10) as client:
        world = HttpWorld(
            town,
            clock,
            client,
            phones_url=f"http://{config.phones_host}:{config.phones_port}",
            server_url=config.server_url,
            api_token=config.api_token,
        )

        seats = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(story: Scenario) -> None:
            async with seats:
                await runner.play(story, world, report)
                left.remove(story)

        async def all_of_them() -> None:
            async with asyncio.TaskGroup() as group:
                # The longest first: what waits for a round must not begin after it.
                for story in sorted(stories, key=lambda s: -s.steps[-1].at_s):
                    if not story.alone:
                        group.create_task(one(story))
            for story in stories:
                if story.alone:
                    await one(story)

        playing = asyncio.create_task(all_of_them())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((playing, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not playing.done():
            playing.cancel()
            await asyncio.wait((playing,))
        else:
            playing.result()
    return left
