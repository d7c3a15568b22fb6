"""The command `xunlou`: the front door to every part."""

import argparse
import asyncio
import gc
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xunlou import logs, settings_file, words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xunlou", description="巡楼: building-watch alerts")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    demo = commands.add_parser("demo", help="a whole watched community with nobody real in it")
    demo.add_argument("--speed", type=float, default=10.0, help="times real time (default 10)")
    demo.add_argument("--start", default="05:40", help="now, 05:40 (14 March), or a date and time")
    demo.add_argument("--seed", type=int, default=314, help="of community and behaviour")
    demo.add_argument("--for", dest="for_s", type=float, help="real seconds from the start on")
    demo.add_argument("--port", type=int, default=8000, help="of the wall; the phones: one more")
    demo.add_argument("--mqtt-port", type=int, help="of the broker (default 1883 if it is free)")
    demo.add_argument("--headless", action="store_true", help="journal and summary as JSON lines")
    demo.add_argument("--scenario", action="append", default=[], metavar="NAME",
                      help="play one of the library, a YAML file, or all; may be repeated")
    demo.add_argument("--junit", type=Path, help="write the scenarios' report here (JUnit XML)")
    demo.add_argument("--sos-per-hour", type=float, default=6.0, help="presses in the community")
    demo.add_argument("--data", type=Path, default=Path(".demo"), help="directory, made anew")

    up = commands.add_parser("up", help="broker, server and gateway for real, in one directory")
    up.add_argument("--data", type=Path, default=Path("data"), help="directory, kept")
    up.add_argument("--port", type=int, default=8000)
    up.add_argument("--mqtt-port", type=int, default=1883)
    up.add_argument("--tls-name", action="append", default=[], metavar="NAME",
                    help="host name or address under which terminals reach the broker; may be "
                    "repeated. Without one it listens on this machine alone")
    up.add_argument("--tls-port", type=int, default=8883, help="of the broker, for terminals")
    up.add_argument("--sample", action="store_true", help="load the sample community if empty")

    commands.add_parser("serve", help="the server alone (settings: docs/settings.md)")
    commands.add_parser("gateway", help="a gateway alone")

    _sim_parser(commands)

    _database_parsers(commands)

    _add_register(commands)
    _add_ladder(commands)

    exam = commands.add_parser("conformance", help="does a real terminal keep the contract?")
    exam.add_argument("--terminal", required=True, help="its id")
    exam.add_argument("--patience", type=float, default=120.0, help="seconds for each thing asked")

    doctor = commands.add_parser("doctor", help="look at everything and say what to do")
    doctor.add_argument("--data", type=Path, help="the directory given to `xunlou up`")
    return _with_accounts(parser, commands)


def _add_ladder(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    ladder = commands.add_parser("ladder", help="who is told, when, how").add_subparsers(
        dest="action", required=True, metavar="action"
    )
    check = ladder.add_parser("check", help="look through a ladder file")
    check.add_argument("file", type=Path)
    explain = ladder.add_parser("explain", help="who would be told of a resident")
    explain.add_argument("--resident", required=True, help="id, or terminal")
    explain.add_argument("--at", help="date and time (default: now)")
    explain.add_argument("--kind", choices=["sos", "missed"], default="sos")
    explain.add_argument("--lang", choices=["zh", "en"], default="zh")


def _with_accounts(parser: argparse.ArgumentParser, commands: Any) -> argparse.ArgumentParser:
    words.account(commands)
    words.broker(commands)
    words.audit(commands)
    words.keys(commands)
    words.person(commands)
    return parser


def _add_register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    register = commands.add_parser("register", help="the register from a file, and into one")
    actions = register.add_subparsers(dest="action", required=True, metavar="action")
    taking = actions.add_parser("import", help="compare a CSV or XLSX with the register; take it")
    taking.add_argument("file", type=Path)
    taking.add_argument("--apply", action="store_true", help="write it (default: compare only)")
    taking.add_argument("--rejected", type=Path, help="write rejected rows and reasons here, XLSX")
    giving = actions.add_parser("export", help="write the register into a new file")
    giving.add_argument("file", type=Path, help=".xlsx: all tables; .csv: one (--sheet)")
    giving.add_argument("--sheet", choices=["residents", "buildings", "offices"],
                        default="residents")
    giving.add_argument("--secrets", action="store_true", help="access and health notes too")
    for parser in (taking, giving):
        parser.add_argument("--data", type=Path, help="the directory given to `xunlou up`")
        parser.add_argument("--lang", choices=["zh", "en"], default="zh")
        parser.add_argument("--reason", default="", help="stands in the journal")
        parser.add_argument("--who", default="", help="your name, for the journal")


def _database_parsers(commands: Any) -> None:
    db = commands.add_parser("db", help="the database")
    actions = db.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("upgrade", help="bring the schema up to this code")
    actions.add_parser("check", help="look the database through; changes nothing")
    move = actions.add_parser("copy", help="move everything into an empty database, verified")
    move.add_argument("--from", dest="source", required=True, help="sqlite:///… or postgresql+…")
    move.add_argument("--to", dest="target", help="default: XUNLOU_DATABASE_URL")

    backup = commands.add_parser("backup", help="the whole database into one file, while it runs")
    backup.add_argument("file", type=Path, help="a new file")
    restore = commands.add_parser("restore", help="the database out of such a file")
    restore.add_argument("file", type=Path)
    restore.add_argument("--force", action="store_true", help="also over a database in use before")
    upgrade = commands.add_parser("upgrade", help="the database up to this code, backup first")
    upgrade.add_argument("--backups", type=Path, help="directory (default: backups/ in --data)")
    upgrade.add_argument("--without-backup", action="store_true",
                         help="migrate although there will be no way back")
    for command in (backup, restore, upgrade):
        command.add_argument("--data", type=Path, help="the directory given to `xunlou up`")


def _sim_parser(commands: Any) -> None:
    words.rehearse(commands)
    sim = commands.add_parser("sim", help="simulated terminals and the page of phones")
    sim.add_argument("action", nargs="?", choices=["run", "console"], default="run",
                     help="console: the tester's screen for a simulator that runs")
    sim.add_argument("--fleet", type=Path, help="fleet manifest (JSON)")
    sim.add_argument("--seed", type=int, default=314)
    sim.add_argument("--phones-port", type=int, default=8001)
    sim.add_argument("--sos-per-hour", type=float, default=6.0)
    sim.add_argument("--accidents-per-hour", type=float, default=0.0, help="each taken back")
    sim.add_argument("--blows-per-hour", type=float, default=0.0,
                     help="falls, hard chairs and dropped pendants, a third each")
    sim.add_argument("--ramp", dest="ramp_s", type=float, default=0.0, metavar="S",
                     help="virtual seconds over which these rates rise from nothing")
    sim.add_argument("--connects-per-s", type=float, metavar="N",
                     help="default: 4000 to a broker on this machine, 200 to one elsewhere")
    sim.add_argument("--progress-s", type=float, default=5.0, metavar="S",
                     help="a line of figures every S seconds; 0: none")
    sim.add_argument("--flash", type=Path, metavar="FILE",
                     help="keep the terminals' flash in FILE, and go on from it the next time")
    sim.add_argument("--scenario", action="append", default=[], metavar="NAME",
                     help="of the library, a YAML file, or all; may be repeated")
    sim.add_argument("--junit", type=Path, help="write the scenarios' report here (JUnit XML)")
    sim.add_argument("--stay", action="store_true", help="run on after the scenario")
    sim.add_argument("--switches", type=Path, metavar="DIR",
                     help="serve the tester's page /sim; DIR: where clock and broker are switched")
    sim.add_argument("--manual", action="store_true", help="stewards answer only by your hand")


def _conformance(args: argparse.Namespace) -> int:
    from xunlou.conformance import command

    return command.run(args)


def _keep_what_is_loaded() -> None:
    """Modules, routes and models stay until the end of the process. Looking through all of them for
    garbage, again and again, held every thread for 150 to 230 ms, in a flood each second: with it
    a press waited."""
    gc.collect()
    gc.freeze()


async def _until_signal(part: Any, *args: Any) -> None:
    """Run one part, ending it cleanly on Ctrl-C or SIGTERM."""
    from xunlou.stopping import stop_on_signals

    await part(*args, stop_on_signals())


def _demo(args: argparse.Namespace) -> int:
    from xunlou import demo

    options = demo.Options(
        speed=args.speed, start=demo.start_at(args.start), seed=args.seed, for_s=args.for_s,
        port=args.port, mqtt_port=args.mqtt_port, headless=args.headless,
        scenarios=tuple(args.scenario), junit=args.junit, sos_per_hour=args.sos_per_hour,
        directory=args.data,
    )  # fmt: skip
    return asyncio.run(demo.run(options))


def _up(args: argparse.Namespace) -> int:
    from xunlou import up

    asyncio.run(
        up.run(args.data, args.port, args.mqtt_port, sample=args.sample,
               tls_names=args.tls_name, tls_port=args.tls_port)
    )  # fmt: skip
    return 0


def _serve(_args: argparse.Namespace) -> int:
    from server.app import serve
    from server.settings import Settings

    async def part(settings: Settings, stop: asyncio.Event) -> None:
        await serve(settings, stop, ready=_keep_what_is_loaded)

    asyncio.run(_until_signal(part, Settings()))
    return 0


def _gateway(_args: argparse.Namespace) -> int:
    from gateway.app import run
    from gateway.settings import GatewaySettings

    async def part(settings: GatewaySettings, stop: asyncio.Event) -> None:
        await run(settings, stop)

    _keep_what_is_loaded()
    asyncio.run(_until_signal(part, GatewaySettings()))
    return 0


def _sim(args: argparse.Namespace) -> int:
    if args.action == "console":
        from firmware_sim import console

        asyncio.run(console.run(f"http://127.0.0.1:{args.phones_port}"))
        return 0
    if args.fleet is None:
        raise ValueError("xunlou sim needs --fleet FILE (or: xunlou sim console)")
    from xunlou.sim import run

    return asyncio.run(run(args))


def _rehearse(args: argparse.Namespace) -> int:
    from xunlou import rehearse

    return rehearse.command(args)


def _db(args: argparse.Namespace) -> int:
    from server import migrate, schema
    from server.settings import Settings

    url = Settings().database_url
    if args.action != "upgrade":
        from xunlou import database

        if args.action == "check":
            return database.check(url)
        return database.copy(args.source, args.target or url)
    before = schema.current(url)
    migrate.upgrade(url)
    print(f"database: {before or 'empty'} → {schema.current(url)}")
    return 0


def _database_url(args: argparse.Namespace) -> str:
    from server.settings import Settings

    if args.data is None:
        return Settings().database_url
    return f"sqlite:///{args.data.resolve() / 'xunlou.db'}"


def _backup(args: argparse.Namespace) -> int:
    from xunlou import backup

    made = backup.make(_database_url(args), args.file)
    print(f"backup: {args.file}, schema {made.revision}, {made.size} bytes, sha256 {made.sha256}")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from xunlou import restore

    done = restore.restore(args.file, _database_url(args), force=args.force)
    print(f"restored: schema {done.revision}, made {done.made_at}")
    if done.kept is not None:
        print(f"what was there before is in {done.kept}")
    print("next: xunlou db upgrade (or xunlou up), then xunlou doctor")
    return 0


def _upgrade(args: argparse.Namespace) -> int:
    from xunlou import upgrading

    folder = args.backups or (args.data or Path.cwd()) / "backups"
    done = upgrading.upgrade(
        _database_url(args), folder, datetime.now(UTC), print, keep=not args.without_backup
    )
    if done.before == done.after:
        print(f"database: {done.after} already; nothing to do")
    if done.kept is not None:
        data = f" --data {args.data}" if args.data is not None else ""
        print(f"to go back: stop, take the old code, xunlou restore{data} --force {done.kept}")
    return 0


def _register(args: argparse.Namespace) -> int:
    from xunlou import register

    return register.run(args, _database_url(args))


def _ladder(args: argparse.Namespace) -> int:
    from xunlou import ladder

    if args.action == "check":
        return ladder.check(args.file)
    return ladder.explain_to(args.resident, args.at, args.kind, args.lang)


def _account(args: argparse.Namespace) -> int:
    from xunlou import account

    if args.data is not None:
        args.data = Path(args.data)
    return account.run(args, _database_url(args))


def _broker(args: argparse.Namespace) -> int:
    from xunlou import broker_accounts

    return broker_accounts.run(args)


def _audit(args: argparse.Namespace) -> int:
    from xunlou import audit

    if args.data is not None:
        args.data = Path(args.data)
    return audit.run(args, _database_url(args))


def _keys(args: argparse.Namespace) -> int:
    from xunlou import notes_keys

    return notes_keys.run(args, _database_url(args))


def _person(args: argparse.Namespace) -> int:
    from xunlou import person

    return person.run(args, _database_url(args))


def _doctor(args: argparse.Namespace) -> int:
    from xunlou.doctor import run

    return run(args.data)


COMMANDS = {
    "demo": _demo, "up": _up, "serve": _serve, "gateway": _gateway, "sim": _sim, "db": _db,
    "doctor": _doctor, "rehearse": _rehearse, "ladder": _ladder, "conformance": _conformance,
    "account": _account, "audit": _audit, "backup": _backup, "restore": _restore,
    "register": _register, "upgrade": _upgrade, "keys": _keys, "person": _person,
    "broker": _broker,
}  # fmt: skip


def _say(error: ValidationError, origins: Mapping[str, str]) -> str:
    """Settings that are missing or wrong, by the names people set and, for those that came from a
    file, by their place in it."""
    lines = []
    for e in error.errors():
        name = str(e["loc"][0]) if e["loc"] else "?"
        name = name if name.isupper() else f"XUNLOU_{name.upper()}"
        place = f" ({origins[name]})" if name in origins else ""
        lines.append(f"{name}{place}: {e['msg']}")
    return "; ".join(lines) + " (docs/settings.md lists all settings)"


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code. What a person can mend is said in one line."""
    args = _parser().parse_args(argv)
    try:
        origins = settings_file.take(os.environ)
        logs.set_up(os.environ)
    except ValueError as error:
        print(f"xunlou: {error}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[args.command](args)
    except KeyboardInterrupt:
        return 130
    except ValidationError as error:
        print(f"xunlou: {_say(error, origins)}", file=sys.stderr)
    except Exception as error:
        if not _can_be_mended(error):
            raise
        print(f"xunlou: {error}", file=sys.stderr)
    finally:
        # What is left needs no collecting: taking hundreds of modules apart was most of a stop.
        gc.freeze()
    return 2


def _can_be_mended(error: Exception) -> bool:
    """Whether its words say what to do. Asked only then: a gateway must not load the server."""
    from server.app import NotReady
    from xunlou.backup import BackupError
    from xunlou.broker import BrokerError
    from xunlou.embedded import CannotStart

    return isinstance(error, NotReady | CannotStart | BrokerError | BackupError | ValueError)
