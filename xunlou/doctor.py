"""`xunlou doctor`: looks at everything the edition needs and says what to do about each."""

import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import requests
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from gateway.settings import GatewaySettings
from server import schema
from server.app import vault_of
from server.clock import Clock
from server.core.houses import series, sign
from server.core.numbers import spans
from server.database import Database
from server.service import desks
from server.settings import Settings
from server.store import assigning, communities, register, rosters
from xunlou import broker_tls
from xunlou.broker import find_mosquitto
from xunlou.broker_asked import WITHIN_S, Door, Said, ask
from xunlou.broker_files import GATEWAY_USER
from xunlou.checkup import Finding, of_house
from xunlou.keys import Keys
from xunlou.notes_keys import counted, settings_at

BUILT = 1_790_000_000
"""Epoch seconds of autumn 2026: a clock that shows less has never been set."""


WRONG: Mapping[Said, tuple[str, str]] = {
    Said.NO_NAME: ("no machine of this name is known here",
                   "check the name (XUNLOU_MQTT_HOST), and this machine's name server"),
    Said.REFUSED: ("nothing listens there", "start the broker (`xunlou up` starts its own; see "
                   "log/mosquitto.log), or check the port"),
    Said.UNREACHABLE: ("there is no way to it", "check network, address and firewall"),
    Said.SILENT: (f"no answer within {WITHIN_S:.0f} s", "is the broker hung, its machine off or "
                  "behind a firewall? restart it; see its log"),
    Said.SPEAKS_TLS: ("this door speaks TLS, and the gateway comes in by a plain one",
                      "set XUNLOU_MQTT_CA to its authority's file, or give XUNLOU_MQTT_PORT the "
                      "broker's plain door (1883)"),
    Said.NO_TLS: ("no TLS is spoken there", "another program has the port: see `ss -ltnp`"),
    Said.NO_BROKER: ("something answers there that is no MQTT broker",
                     "check host and port: another program may have them (`ss -ltnp`)"),
    Said.CERTIFICATE: ("its TLS certificate is not to be trusted",
                       "restart `xunlou up`, which makes what is missing and renews it; terminals "
                       "trust ca.pem alone (docs/terminals.md)"),
    Said.NOT_LET_IN: ("it does not let {user} in: wrong name or password",
                      "check XUNLOU_MQTT_USERNAME and XUNLOU_MQTT_PASSWORD against the broker's "
                      "accounts; with `xunlou up`, restart it: it writes them anew"),
    Said.VERSION: ("it does not speak this version of MQTT",
                   "set XUNLOU_MQTT_PROTOCOL=3.1.1, or take a newer broker"),
    Said.BUSY: ("it is full or not ready", "see its log and its limit of connections"),
    Said.NO: ("it refuses {user}", "see the broker's log"),
}  # fmt: skip


def _finding(what: str, door: Door) -> Finding:
    answer = ask(door)
    if answer.said is Said.WELCOME:
        return Finding(what, True, f"{door.where} lets {door.user} in")
    found, advice = WRONG[answer.said]
    detail = f" ({answer.detail})" if answer.detail else ""
    return Finding(what, False, f"{door.where}: {found.format(user=door.user)}{detail}", advice)


def _listeners(data: Path) -> list[int]:
    """The ports of the broker of `xunlou up`, its own door first, then that of the terminals.
    Empty where none was ever started. Raises OSError."""
    config = data / "broker" / "mosquitto.conf"
    if not config.exists():
        return []
    return [int(port) for port in re.findall(r"(?m)^listener (\d+)\b", config.read_text("utf-8"))]


def check_broker(data: Path | None = None) -> list[Finding]:
    """The running broker lets the gateway in, with the gateway's own account; and with `data` its
    door for terminals shows a certificate that they trust. Nothing is published, and the gateway
    that is running keeps its session."""
    if data is not None:
        return _of_house(data)
    try:
        s = GatewaySettings()
    except ValidationError:
        return [_installed()]
    password = s.mqtt_password.get_secret_value()
    authority = Path(s.mqtt_ca) if s.mqtt_ca else None
    v5 = s.mqtt_protocol == "5"
    door = Door(s.mqtt_host, s.mqtt_port, s.mqtt_username, password, authority, v5=v5)
    return [_finding("broker", door)]


def _installed() -> Finding:
    program = find_mosquitto()
    if program is None:
        return Finding("broker", False, "Mosquitto is not installed",
                       "apt install mosquitto (the demo alone can do without)")
    return Finding("broker", True, f"{program}; no gateway is configured here, so none was asked "
                   "(with --data DIRECTORY that of `xunlou up` is)")


def _of_house(data: Path) -> list[Finding]:
    """The broker that `xunlou up` runs in this directory."""
    installed, secret = _installed(), data / "secrets.env"
    try:
        ports = _listeners(data) if secret.exists() else []
        password = Keys.kept(secret).mqtt_gateway_password if ports else ""
    except (OSError, KeyError) as error:
        return [Finding("broker", False, f"{data}: {error}", "run as the account of `xunlou up`")]
    if not installed.ok:
        return [installed]
    if not ports:
        return [Finding("broker", False, "none was started here yet", "xunlou up --data …")]
    found = [_finding("broker", Door("127.0.0.1", ports[0], GATEWAY_USER, password, v5=True))]
    authority = data / "tls" / "ca.pem"
    found += [
        _finding("terminals", Door("127.0.0.1", port, GATEWAY_USER, password, authority, v5=True))
        for port in ports[1:]
    ]
    return found


def check_database(settings: Settings) -> Finding:
    """The database opens and has the schema this code needs."""
    try:
        have, need = schema.current(settings.database_url), schema.newest()
    except (SQLAlchemyError, OSError) as error:
        return Finding("database", False, type(error).__name__,
                       "check XUNLOU_DATABASE_URL, and that the server may write there")
    if have != need:
        return Finding("database", False, f"revision {have}, this code needs {need}",
                       "make a backup, then run: xunlou db upgrade")
    return Finding("database", True, f"revision {have}")


def check_sms(settings: Settings) -> Finding:
    """Twilio knows the account. Asks for the account only; sends nothing."""
    if not settings.has_sms or settings.twilio_auth_token is None:
        return Finding("sms", False, "no account",
                       "set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM_NUMBER; "
                       "without them nobody outside is told")
    try:
        client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            http_client=TwilioHttpClient(timeout=10),
        )
        if settings.twilio_api_base_url:
            client.api.base_url = settings.twilio_api_base_url
        client.api.v2010.accounts(settings.twilio_account_sid).fetch()
    except TwilioRestException as error:
        return Finding("sms", False, f"Twilio answers {error.status} ({error.code})",
                       "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")
    except (TwilioException, requests.RequestException) as error:
        return Finding("sms", False, type(error).__name__, "is there a way out to Twilio?")
    return Finding("sms", True, f"account {settings.twilio_account_sid[:6]}… answers")


def check_notes(settings: Settings) -> Finding:
    """Every note on a way in or on health can be read and written: its key is here."""
    vault = vault_of(settings)
    advice = "put the key back (docs/privacy.md); an SOS goes out without it"
    if vault.problem:
        return Finding("notes", False, vault.problem, advice)
    try:
        if schema.current(settings.database_url) != schema.newest():
            return Finding("notes", False, "not looked at", "mend the database first")
        under, lost = counted(settings, vault)
    except (SQLAlchemyError, OSError):
        return Finding("notes", False, "not looked at", "mend the database first")
    if lost:
        return Finding("notes", False, f"{len(lost)} of {under.total()} can't be read: "
                       "`xunlou keys show` says which", advice)
    if under[""]:
        return Finding("notes", False, f"{under['']} of {under.total()} stand in the clear",
                       "a running server seals them within minutes; or: xunlou keys rotate")
    return Finding("notes", True, f"{under.total()} sealed, all can be read")


def check_clock(settings: Settings, now_s: Callable[[], float] = time.time) -> Finding:
    """The machine's clock has been set, and no demo time is left over."""
    if settings.clock:
        return Finding("clock", False, "XUNLOU_CLOCK is set: this is demo time",
                       "unset XUNLOU_CLOCK for real residents")
    if now_s() < BUILT:
        return Finding("clock", False, "the clock shows a time before this program was made",
                       "set it: apt install systemd-timesyncd (or chrony)")
    keeper = next((k for k in ("chronyc", "timedatectl", "ntpq") if shutil.which(k)), None)
    return Finding("clock", True, f"plausible; {keeper or 'nothing here'} keeps it")


def check_zone(settings: Settings) -> Finding:
    """Every community's zone is known to this machine."""
    try:
        if schema.current(settings.database_url) != schema.newest():
            return Finding("time zone", False, "not looked at", "mend the database first")
        database = Database(settings.database_url, Clock())
        with database.reader.begin() as conn:
            every = communities.every(conn)
        database.close()
    except ZoneInfoNotFoundError as error:
        return Finding("time zone", False, str(error), "correct the community's tz")
    except (SQLAlchemyError, OSError):
        return Finding("time zone", False, "not looked at", "mend the database first")
    unread = [f"{c.name}: {p}" for c in every for p in c.problems if p.startswith("no zone")]
    if unread:
        return Finding("time zone", False, "; ".join(unread), "correct the community's tz")
    zones = ", ".join(dict.fromkeys(str(c.zone) for c in every))
    return Finding("time zone", True, zones or f"{communities.BUILT_IN_ZONE} (no register yet)")


def check_communities(settings: Settings) -> list[Finding]:
    """Each community has somebody at its desk now, rounds that can be read, and in every house
    somebody who can be told."""
    try:
        if schema.current(settings.database_url) != schema.newest():
            return []  # said already
        database = Database(settings.database_url, Clock.parse(settings.clock))
        try:
            now = database.clock.now()
            with database.reader.begin() as conn:
                short = assigning.short_of_stewards(conn, now)
                numbers = [b["number"] for b in register.all_buildings(conn)]
                every = communities.every(conn)
                manned = {
                    row["community_id"] for row in rosters.duty(conn, [c.id for c in every])
                    if desks.there(row, now)
                }
                return [
                    _community(
                        c, c.id in manned, [n for n in numbers if series(n) == c.series], short
                    )
                    for c in every
                ]
        finally:
            database.close()
    except (SQLAlchemyError, OSError):
        return []


def _community(
    community: communities.CommunityFacts, manned: bool, houses: list[int], short: Mapping[int, int]
) -> Finding:
    alone = [n for n in houses if short.get(n) == 0]
    one = sum(1 for n in houses if short.get(n) == 1)
    wrong = list(community.problems)
    if houses and not manned:
        wrong.append("nobody at its desk can be told")
    if alone:
        wrong.append(f"no steward can be told in building {spans(sign(n) for n in alone)}")
    if wrong:
        return Finding(community.name, False, "; ".join(wrong), "enter somebody (/duty, the "
                       "building's page), and the rounds anew (PUT /api/v1/rounds/plan)")
    found = f"{len(houses)} buildings, each with stewards; the desk is manned; "
    found += f"{len(community.plans)} rounds" if houses else "no building yet"
    return Finding(community.name, True, found + (f"; one steward away in {one}" if one else ""))


def check_certificate(directory: Path) -> Finding:
    """The broker's certificate for terminals is good for a while, and so is its authority's."""
    tls = broker_tls.Tls(directory, 0, ())
    if not tls.certificate.exists():
        return Finding("certificate", True, "no door for terminals outside this machine "
                       "(`xunlou up --tls-name NAME` opens one)")
    try:
        left = {path: broker_tls.ends_in_days(path) for path in (tls.certificate, tls.authority)}
    except broker_tls.TlsError as error:
        return Finding("certificate", False, str(error), "terminals may be unable to connect")
    said = f"ends in {left[tls.certificate]:.0f} days; its authority in {left[tls.authority]:.0f}"
    if left[tls.certificate] < broker_tls.WARN_BEFORE_DAYS:
        return Finding("certificate", False, said, "a running `xunlou up` renews it by itself: is "
                       "one running, and can it write there? see its log")
    if left[tls.authority] < broker_tls.SERVER_DAYS:
        return Finding("certificate", False, said, "every terminal needs a new authority: plan the "
                       "visits now (docs/terminals.md)")
    return Finding("certificate", True, said)


def run(data: Path | None = None) -> int:
    """Print every finding; 1 when something needs a person. `data`: the directory of `xunlou up`,
    for what lies there."""
    settings = Settings()
    if data is not None:
        settings = settings_at(data, f"sqlite:///{data.resolve() / 'xunlou.db'}")
    findings = [
        *check_broker(data),
        check_database(settings),
        check_notes(settings),
        check_sms(settings),
        check_clock(settings),
        check_zone(settings),
        *check_communities(settings),
        *([check_certificate(data / "tls")] if data is not None else []),
    ]
    if data is not None:
        findings += of_house(data, settings)
    for f in findings:
        print(f"{'ok  ' if f.ok else 'MEND'}  {f.what}: {f.found}")
        if not f.ok:
            print(f"      → {f.advice}")
    return 0 if all(f.ok for f in findings) else 1
