"""`xunlou ladder`: checks a ladder file, and says who would be told, when, how. Changes nothing."""

import sys
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from server import schema
from server.app import NotReady, house_of
from server.clock import Clock
from server.core.access import Level
from server.core.words import Kind
from server.database import Database
from server.ladders.reading import Broken, read
from server.service.acting import Unknown
from server.service.explaining import explain
from server.settings import Settings
from server.store import communities, people, scopes
from server.tables import from_ms

WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "step": "级", "when": "时间", "after": "过了", "told": "告诉谁", "over": "跳过谁,为什么",
        "sos": "求助", "missed": "未报平安", "steward": "楼管员", "substitute": "替补",
        "key_holder": "钥匙保管人", "duty": "值班室", "stewards": "楼管员", "substitutes": "替补",
        "steward_1": "楼长", "steward_2": "第二位楼管员", "befriender": "结对帮扶人",
        "befrienders": "结对帮扶人", "family": "家人", "street": "街道", "district": "区",
        "off_shift": "不当班,{until}接班", "shift": ",当班至{until}", "voice": "电话",
        "key_holders": "钥匙保管人", "absent": "外出至{until}", "opted_out": "已退订短信",
        "nobody": "没有{target}", "sms": "短信",
        "and": "+", "now": "立即", "minutes": "{n}分钟",
        "head": "{building}栋 {flat} · {risk}类 · {kind} · {at} · 阶梯 {version}",
        "repeat": "仍无人应答:最后一级每{n}分钟重复,直到有人应答。",
        "away": "此时住户外出,不算未报平安。", "no_one": "无人可告,立即进入下一级",
    },
    "en": {
        "step": "Step", "when": "When", "after": "After", "told": "Who is told",
        "over": "Passed over, and why", "sos": "SOS", "missed": "missed round",
        "steward": "steward", "substitute": "substitute", "key_holder": "key holder",
        "duty": "care centre", "stewards": "steward", "substitutes": "substitute",
        "steward_1": "building's head", "steward_2": "second steward", "befriender": "befriender",
        "befrienders": "befriender", "family": "family", "street": "street office",
        "district": "district office", "off_shift": "off shift, on again {until}",
        "shift": ", on shift until {until}", "voice": "telephone",
        "key_holders": "key holder", "absent": "away until {until}",
        "opted_out": "opted out of SMS",
        "nobody": "there is no {target}", "sms": "SMS",
        "and": " + ", "now": "at once", "minutes": "{n} min",
        "head": "Building {building} flat {flat} · class {risk} · {kind} · {at} · ladder {version}",
        "repeat": "Nobody answers: the last step is repeated every {n} min until somebody does.",
        "away": "The resident is away then: no round is missed.",
        "no_one": "nobody can be told: the next step follows at once",
    },
}  # fmt: skip


def check(path: Path) -> int:
    """Say whether a ladder file can be used; every error with its line. 1 when it can't."""
    try:
        book = read(path.read_bytes(), str(path))
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from error
    except Broken as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path}: ok, edition {book.version}")
    for name, ladder in book.ladders.items():
        steps = " → ".join(
            f"{'+'.join(s.targets)} by {'+'.join(s.channels)} ({s.wait_s} s)" for s in ladder.steps
        )
        print(f"  {name}: {steps}")
    return 0


def explain_to(resident: str, at: str | None, kind: str, lang: str) -> int:
    """Print who would be told of this resident at `at` (ISO; without a zone: the community's)."""
    settings = Settings()
    if schema.current(settings.database_url) != schema.newest():
        raise NotReady("the database is not of this version: run `xunlou db upgrade`")
    house = house_of(settings, b"")
    database = Database(settings.database_url, Clock.parse(settings.clock))
    try:
        with database.reader.begin() as conn:
            resident_id = people.resident_id_of(conn, resident)
            row = people.resident(conn, resident_id) if resident_id is not None else None
            community = communities.of_building(conn, row["building_id"] if row else None)
            zone = community.zone if community else ZoneInfo("UTC")
            when = datetime.fromisoformat(at) if at else database.clock.now()
            when = when if when.tzinfo else when.replace(tzinfo=zone)
            answer = explain(conn, house, resident, when.astimezone(UTC), Kind(kind))
            told = scopes.place_name(conn, Level.BUILDING, row["building_id"] if row else None)
            answer["resident"]["building"] = told
    except Unknown as error:
        raise ValueError(str(error)) from error
    finally:
        database.close()
    print(table(answer, zone, lang))
    return 0


def table(answer: Mapping[str, Any], zone: ZoneInfo, lang: str) -> str:
    """The explanation as plain text in columns; Chinese characters take two."""
    words = WORDS[lang]

    def local(ms: int, form: str = "%m-%d %H:%M") -> str:
        return from_ms(ms).astimezone(zone).strftime(form)

    resident, ladder = answer["resident"], answer["ladder"]
    head = words["head"].format(
        building=resident["building"], flat=resident["flat"], risk=resident["risk_class"],
        kind=words[answer["kind"]], at=local(answer["at_ms"], "%Y-%m-%d %H:%M"),
        version=ladder["version"],
    )  # fmt: skip
    rows = [[words["step"], words["when"], words["after"], words["told"], words["over"]]]
    for step in answer["steps"]:
        told = [
            f"{p['name']} ({words[p['role']]}, {_by(p, words)} {p['phone_masked']}"
            f"{_shift(p, words, local)})"
            for p in step["told"]
        ] or [words["no_one"]]
        over = [f"{p['name']}: {_why(p, words, local)}" for p in step["passed_over"]]
        over += [words["nobody"].format(target=words[t]) for t in step["nobody"]]
        after = words["minutes"].format(n=_minutes(step["after_s"])) if step["after_s"] else (
            words["now"])  # fmt: skip
        for line in range(max(len(told), len(over))):
            first = [str(step["step"]), local(step["at_ms"], "%H:%M:%S"), after]
            rows.append(
                [
                    *(first if line == 0 else ["", "", ""]),
                    told[line] if line < len(told) else "",
                    over[line] if line < len(over) else "",
                ]
            )
    lines = [head, "", *_columns(rows), ""]
    lines += [] if answer["awaited"] else [words["away"]]
    lines += [words["repeat"].format(n=_minutes(answer["repeat_s"]))]
    return "\n".join([*lines, *ladder["problems"]])


def _by(told: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return words["and"].join(words[c] for c in told["channels"])


def _why(passed: Mapping[str, Any], words: Mapping[str, str], local: Any) -> str:
    until = local(passed["until_ms"]) if passed["until_ms"] else ""
    return words[passed["why"]].format(until=until)


def _shift(told: Mapping[str, Any], words: Mapping[str, str], local: Any) -> str:
    until = told["shift_until_ms"]
    return words["shift"].format(until=local(until)) if until else ""


def _minutes(seconds: int) -> str:
    return f"{seconds / 60:g}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(row, widths, strict=True))
        .rstrip()
        for row in rows
    ]
