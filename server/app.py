"""The composition root: settings in, a running server out. Only here are channel and clock chosen.

The order of stopping matters: streams and polls end on the stop event first, because uvicorn waits
for open requests before it lets the lifespan end.
"""

import asyncio
import contextlib
import hmac
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import time
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import SecretStr
from sqlalchemy.exc import IntegrityError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.pages import mount
from dashboards.server_reader import ServerReader
from server import bookkeeping, jobs, oidc, schema, sealing
from server.api import (
    absences,
    addresses,
    alerts,
    answers,
    communities,
    feed,
    greetings,
    health,
    help_requests,
    hours,
    ladder,
    measures,
    people,
    privacy,
    refusals,
    register,
    register_files,
    rounds,
    sight,
    signals,
    terminals,
    visits,
)
from server.api.webhooks import inbound, status, voice
from server.auditor import LOOP, Auditor
from server.channels.base import Channel
from server.channels.console import NoProvider
from server.channels.lines import BACKUP, MAIN, Line, Lines
from server.channels.twilio import TwilioSms
from server.channels.twilio_account import Account, Credentials
from server.channels.twilio_voice import TwilioCalls
from server.clock import Clock
from server.core.access import AccountRole
from server.core.ladder import Night
from server.core.messages import Ways
from server.core.words import Channel as Way
from server.database import Database
from server.feed import Broadcaster
from server.hands import Pace
from server.ladders.keeping import LadderFile
from server.outbox import Worker
from server.resealing import Resealing
from server.retention import Retention
from server.runtime import Runtime
from server.service import account_keeping, auditing, sweep
from server.service.effects import ROUND_LANE, SOS_LANE
from server.service.house import House
from server.service.locks import Locks
from server.settings import Settings
from server.takeover import Takeover
from server.vault import Vault
from server.watchdog import TICK_S, Watchdog

log = logging.getLogger(__name__)
SECRET_LEAST = 16
BODY_MOST_BYTES = 2 * 1024 * 1024
FILE_MOST_BYTES = 24 * 1024 * 1024
FILE_PATHS = frozenset({
    "/api/v1/register/import", "/register/import", "/register/apply", "/register/rejected",
})  # fmt: skip
"""Where a file of the register comes in: only staff get as far as sending one."""
OPERATOR = "operator"
GRACE_S = 2
TURN_S = 0.0005
"""How long one thread of this process may keep the others waiting, s. With Python's own 5 ms a
press beside 2,500 check-ins a second took longer (docs/performance.md)."""
KEEP_ALIVE_S = 75
"""How long a quiet client's connection stays open, s. Longer than the gateway leaves one unused, so
that the client always closes first: a press sent on a connection that ends in that moment would
wait for the next try."""
FIRST_LOGIN = """
  首次登录 first login   {first}
  这个密码只用一次,登录后请马上改。 It works once, for a week: change it after logging in.

"""


class NotReady(Exception):
    """The server can't start; the words say what to do."""


def build(settings: Settings, clock: Clock | None = None) -> Runtime:
    """The server's parts, not yet running; `clock` instead of the settings' own.

    Raises NotReady with what to do.
    """
    secret = settings.secret.get_secret_value() if settings.secret else ""
    if len(secret) < SECRET_LEAST:
        raise NotReady(f"set XUNLOU_SECRET to at least {SECRET_LEAST} random characters")
    if settings.gateway_token is None:
        raise NotReady("set XUNLOU_GATEWAY_TOKEN; the gateways send the same token")
    if (flaw := oidc.flaw_in(settings)) is not None:
        raise NotReady(flaw)
    clock = clock or Clock.parse(settings.clock)
    have, need = schema.current(settings.database_url), schema.newest()
    if have != need:
        raise NotReady(f"the database is at revision {have}, this code needs {need}: "
                       "run `xunlou db upgrade`")  # fmt: skip
    vault = vault_of(settings)
    database = Database(settings.database_url, clock, vault)
    stop = asyncio.Event()
    house = house_of(settings, secret.encode(), vault)
    locks = locks_of(settings)
    return Runtime(settings, clock, database, house, locks, stop, Broadcaster(database, stop))


def locks_of(settings: Settings) -> Locks:
    """How logins are kept. The key of what is derived for them is not the one of the links."""
    key = hmac.digest(_secret(settings.secret).encode(), b"accounts", "sha256")
    return Locks.make(
        key, settings.argon2_memory_kib, settings.argon2_passes, settings.session_idle_min,
        settings.session_hours,
    )  # fmt: skip


def lines_of(settings: Settings, speed: float = 1.0) -> Lines:
    """The providers that the settings name, first and second, by SMS and by call."""
    accounts = []
    if settings.has_sms:
        accounts.append((MAIN, Credentials(
            settings.twilio_account_sid, _secret(settings.twilio_auth_token),
            settings.twilio_from_number, settings.twilio_api_base_url, settings.public_url,
        )))  # fmt: skip
    if settings.has_backup:
        accounts.append((BACKUP, Credentials(
            settings.twilio_backup_account_sid, _secret(settings.twilio_backup_auth_token),
            settings.twilio_backup_from_number, settings.twilio_backup_api_base_url,
            settings.public_url,
        )))  # fmt: skip
    if not accounts:
        return Lines.only(NoProvider(), speed=speed)
    found = []
    for name, credentials in accounts:
        account = Account(credentials)
        found.append(Line(name, Way.SMS, TwilioSms(account)))
        if settings.voice:
            found.append(Line(name, Way.VOICE, TwilioCalls(account)))
    return Lines(found, speed)


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


def vault_of(settings: Settings) -> Vault:
    """The keys of notes that the settings name. Having none is a fault, and stops nothing."""
    path = Path(settings.notes_keys_file) if settings.notes_keys_file else None
    return Vault(_secret(settings.notes_keys), path, wanted=True)


def house_of(settings: Settings, link_key: bytes, vault: Vault | None = None) -> House:
    """What the settings say of this installation. Raises NotReady when nobody could answer."""
    ways = Ways(settings.sms_two_way, settings.has_sms and settings.voice, settings.duty_phone)
    if not (ways.two_way or ways.calls or ways.phone):
        raise NotReady(
            "with XUNLOU_SMS_TWO_WAY=false nobody could answer an alert: set XUNLOU_VOICE=true "
            "with an SMS account, or XUNLOU_DUTY_PHONE"
        )
    starts, ends = (time.fromisoformat(t) for t in settings.night.split("-"))
    ladder_file = LadderFile(Path(settings.ladder_file) if settings.ladder_file else None)
    return House(
        settings.links_at, link_key, ladder_file, ways, Night(starts, ends),
        _secret(settings.terminal_secret), vault or Vault(),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def running(runtime: Runtime, channel: Channel | None = None) -> AsyncIterator[Auditor]:
    """Everything that works in the background, for the time of the body, which gets the auditor.
    `channel`: instead of the settings' own, for everything."""
    speed = runtime.clock.speed
    if channel is None:
        lines = lines_of(runtime.settings, speed)
    else:
        lines = Lines.only(channel, channel, speed)
    database, house = runtime.database, runtime.house
    if runtime.settings.operator_password is not None:
        password = runtime.settings.operator_password.get_secret_value()

        await database.write(
            lambda tx: account_keeping.bootstrap(
                tx, runtime.locks, OPERATOR, password, AccountRole.OPERATOR
            )
        )
    if database.sqlite:  # the embedded edition has one server: what is leased now, nobody sends
        await database.write(lambda tx: sweep.at_start(tx, house))
    pace = Pace(runtime.settings.sms_per_s)
    workers = [Worker(database, house, lines, [lane], pace) for lane in (SOS_LANE, ROUND_LANE)]
    tasks = [asyncio.create_task(w.run(runtime.stop)) for w in workers]
    tasks.append(asyncio.create_task(database.listen(runtime.stop)))
    tasks.append(asyncio.create_task(Retention(database, runtime.settings).run(runtime.stop)))
    tasks.append(asyncio.create_task(Resealing(database).run(runtime.stop)))
    tasks.append(asyncio.create_task(Takeover(database, pace.shared_by).run(runtime.stop)))
    tasks.append(asyncio.create_task(runtime.feed.run()))
    seal_key = auditing.key_of(runtime.locks.key)
    tasks.append(asyncio.create_task(sealing.run(database, seal_key, runtime.stop)))
    tasks.append(asyncio.create_task(bookkeeping.run(database, runtime.stop)))
    sweeper = jobs.Sweeper(database, house)
    deadman = runtime.settings.deadman_url
    auditor = Auditor(
        database, house, lines, sweeper.ring, deadman.get_secret_value() if deadman else ""
    )
    tasks.append(asyncio.create_task(auditor.run(runtime.stop)))
    scheduler = jobs.start(sweeper, runtime.clock)
    try:
        yield auditor
    finally:
        runtime.stop.set()
        scheduler.shutdown(wait=False)
        done, late = await asyncio.wait(tasks, timeout=GRACE_S)
        for task in late:
            task.cancel()
        for task in done:
            if not task.cancelled() and task.exception() is not None:
                log.error("a background task died", exc_info=task.exception())
        await asyncio.get_running_loop().run_in_executor(None, database.close)


def create_app(runtime: Runtime) -> FastAPI:
    """The ASGI application over a runtime: API, webhooks and pages."""
    app = FastAPI(
        title="Xunlou",
        version="0.1.0",
        summary="Building-watch alerts for older residents",
        description="Signals in, alerts to two stewards a building, a live feed for the wall.",
        # FastAPI's own pages load their scripts from elsewhere; the schema itself is served.
        docs_url=None,
        redoc_url=None,
    )
    app.state.runtime = runtime
    app.add_exception_handler(refusals.Refusal, refusals.answer)
    app.add_exception_handler(RequestValidationError, answers.not_understood)
    resources = (
        health, measures, signals, sight, alerts, register, register_files, communities,
        addresses, terminals, absences, people, privacy, rounds, ladder, help_requests, visits,
        greetings, hours, feed, inbound, status, voice,
    )  # fmt: skip
    for resource in resources:
        app.include_router(resource.router)
    mount(app, ServerReader(runtime))
    if runtime.settings.sim_url:

        @app.get("/sim", include_in_schema=False)
        async def tester() -> RedirectResponse:
            """The tester's page, which the simulator serves. Without the setting there is no such
            route: production has none."""
            return RedirectResponse(f"{runtime.settings.sim_url}/sim", 307)

    app.add_middleware(BoundedBodies)
    return app


class _TooLarge(Exception):
    """A request's body went over the bound."""


class BoundedBodies:
    """Refuses bodies over 2 MiB (where a file of the register comes in: 24), announced or not.
    Plain ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in; answer 413 when it is too much."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        most = FILE_MOST_BYTES if scope["path"] in FILE_PATHS else BODY_MOST_BYTES
        left = most
        refusal = JSONResponse({"detail": f"at most {most} bytes a request"}, 413)

        started = False

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise _TooLarge
            return message

        async def answered(message: Message) -> None:
            # Whoever reads the body may turn our refusal into an answer of their own: ours stands.
            nonlocal started
            if left >= 0 or started:
                started = True
                await send(message)

        if length.isdigit() and int(length) > most:
            await refusal(scope, receive, send)
            return
        with contextlib.suppress(_TooLarge):
            await self._app(scope, counted, answered)
        if left < 0 and not started:
            await refusal(scope, receive, send)


class _Server(uvicorn.Server):
    """Uvicorn that ends open streams when it is told to stop, and leaves signals to us."""

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the caller, who sets the stop event."""
        yield


async def _made_ready(app: FastAPI) -> None:
    """FastAPI works out its routes when they are first asked for, which takes half a second: not
    while somebody's press waits. An address that nobody has makes it ask them all. (A
    client, for this one request, would be seven MiB.)"""
    nowhere = "/api/v1/nowhere"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
        "method": "GET", "path": nowhere, "raw_path": nowhere.encode(), "query_string": b"",
        "root_path": "", "headers": [(b"host", b"own")], "client": None, "server": None,
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_answer: Message) -> None:
        pass

    await app(scope, receive, send)


@contextlib.asynccontextmanager
async def _watching(auditor: Auditor) -> AsyncIterator[None]:
    """The running event loop under a watchdog, for the time of the body."""
    dog = Watchdog(lambda: auditor.tell_duty([LOOP]))

    async def beat() -> None:
        while True:
            dog.beat()
            await asyncio.sleep(TICK_S)

    beating = asyncio.create_task(beat())
    dog.start()
    try:
        yield
    finally:
        dog.stop()
        beating.cancel()


async def serve(
    settings: Settings, stop: asyncio.Event, ready: Callable[[], None] = lambda: None
) -> None:
    """Run the server until `stop` is set; `ready` is called once, right before the first request is
    taken. Raises NotReady."""
    sys.setswitchinterval(TURN_S)
    runtime = build(settings)
    app = create_app(runtime)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        # A stranger must not learn what we run; and headers of proxies are not trusted.
        server_header=False,
        proxy_headers=False,
    )
    server = _Server(config, runtime.stop)
    await _made_ready(app)
    async with running(runtime) as auditor, _watching(auditor):
        try:
            first = await runtime.database.write(
                lambda tx: account_keeping.first_administrator(tx, runtime.locks)
            )
        except IntegrityError:  # another server made one in this very moment, and has told it
            first = None
        if first is not None:  # to the console, once; never through the log
            sys.stdout.write(FIRST_LOGIN.format(first=first))
            sys.stdout.flush()
        ready()
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        runtime.stop.set()
        server.should_exit = True
        stopping.cancel()
        await serving
