"""A rehearsal ends by a person's word and leaves no figure behind; what is real stays as it was."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from test_server_rehearsal import SECOND, SIMULATED, TESTER, alerts, messages, rehearsal

from server import report
from server import tables as t
from server.core.words import Outcome, Role
from server.database import Tx
from server.service import moving, rehearsing
from server.service.refusals import Refused, Unknown
from server.service.register import exporting
from tests.town import GRANNY, MARCH_14, Hand, Town, lay_out
from xunlou.cli import main
from xunlou.keys import Keys

WHO = "梁工"


async def end(town: Town, building: int = 900) -> rehearsing.Ended:
    """A person ends it."""
    return await town.runtime.database.write(
        lambda tx: rehearsing.end(
            tx, town.runtime.house, building=building, outcome=Outcome.OTHER, who=WHO, why="over"
        )
    )


async def rows(town: Town, model: Any, key: Any = None) -> dict[Any, dict[str, Any]]:
    """A table by its id."""
    table = t.table(model)
    found = await town.runtime.database.read(lambda c: c.execute(table.select()).mappings().all())
    return {row["id"]: dict(row) for row in found}


async def figures(town: Town) -> dict[str, Any]:
    """The community's report of the day."""
    now = town.runtime.clock.now()
    day = now.astimezone(MARCH_14.tzinfo).date()
    found = await town.runtime.database.read(lambda c: report.report(c, day, day, now))
    assert found is not None
    return found


async def test_a_rehearsal_ends_and_life_goes_on(town: Town) -> None:
    """Its SOS and its fault are closed by name, its residents ended, its terminals revoked, its
    list empty, its house off the wall; a real SOS climbs on, and no real row is another one."""
    made = await rehearsal(town)
    await town.press(terminal=GRANNY)
    await town.press(terminal=SIMULATED)
    await town.signals({**town.event("battery_low", made[1]), "bat": 5, "mains": False})
    assert len([a for a in await town.alerts(state="unresolved") if a["rehearsal"]]) == 2
    before = {m: await rows(town, m) for m in (t.Resident, t.Terminal, t.Person)}
    ended = await end(town)
    assert (ended.alerts, ended.residents, ended.terminals) == (2, 3, tuple(made))
    assert (ended.listed, ended.real) == (2, ())
    for alert in await town.alerts():
        closed = (alert["state"], alert["outcome"], alert["resolved_by"])
        assert closed == (
            ("resolved", "other", WHO) if alert["rehearsal"] else ("open", None, None)
        )
    of_it = {i: r for i, r in (await rows(town, t.Resident)).items() if r["name"][:2] == "演练"}
    assert {(r["state"], r["next_due_at"]) for r in of_it.values()} == {("ended", None)}
    for model, was in before.items():
        now = await rows(town, model)
        changed = {i for i in was if now[i] != was[i]}
        assert changed == {t.Resident: set(of_it), t.Terminal: set(made), t.Person: set()}[model]
    listed = [a for a in (await rows(town, t.Assignment)).values() if a["role"] == Role.REHEARSAL]
    assert listed == []
    snapshot = (await town.api.get("/api/v1/snapshot")).json()
    assert not [b for b in snapshot["buildings"] if b["rehearsal"]]
    entry = next(e for e in await town.journal() if e["kind"] == "rehearsal_ended")
    assert entry["data"]["by"] == WHO

    told = len([m for m in await messages(town) if m["role"] == Role.REHEARSAL])
    assert await town.signals(town.event("sos", SIMULATED)) == ["quarantined"]
    for _ in range(3):
        await town.move(150)
    sent = await messages(town)
    assert len([m for m in sent if m["role"] == Role.REHEARSAL]) == told, "nobody hears of it again"
    real = next(a for a in await alerts(town, "sos") if not a["rehearsal"])
    assert len({m["step"] for m in sent if m["alert_id"] == real["id"]}) >= 3, "it climbed on"


async def test_only_what_runs_can_be_ended_and_a_number_is_used_once(town: Town) -> None:
    """Not a house in the street, not twice; the next one has another number, and the list stays
    while one runs."""
    await rehearsal(town)
    with pytest.raises(Unknown, match="no rehearsal runs in building 11"):
        await end(town, 11)
    second = await town.runtime.database.write(
        lambda tx: rehearsing.set_up(tx, building=None, flats=1, listed=[], who="t", why="t")
    )
    assert second == ["sim-901-101"]
    assert (await end(town)).listed == 0
    with pytest.raises(Unknown, match="running: 901"):
        await end(town)
    await town.press(terminal="sim-901-101")
    assert {m["phone"] for m in await messages(town)} == {TESTER, SECOND}
    assert (await end(town, 901)).listed == 2
    with pytest.raises(Refused, match="there is or was"):
        await rehearsal(town)
    # Nobody is on its list any more: a next one has to say who is.
    with pytest.raises(Refused, match="somebody on its list"):
        await town.runtime.database.write(
            lambda tx: rehearsing.set_up(tx, building=None, flats=1, listed=[], who="t", why="t")
        )


async def test_mistakes_are_named_and_nothing_real_is_touched(town: Town) -> None:
    """A real terminal that somebody put into the house is named and left in service; a simulated
    one with a real resident is taken from her, but not while her own SOS is open."""
    made = await rehearsal(town)
    terminal, resident = t.table(t.Terminal), t.table(t.Resident)
    home = {r["name"]: i for i, r in (await rows(town, t.Resident)).items()}
    other = next(i for i in (await rows(town, t.Terminal)) if i.startswith("gd-12-"))
    hers = (await rows(town, t.Terminal))[GRANNY]["resident_id"]

    def mistakes(tx: Tx) -> None:
        for moved, whose in ((other, home["演练102"]), (made[0], hers)):
            tx.conn.execute(
                update(terminal).where(terminal.c.id == moved).values(resident_id=whose)
            )

    await town.runtime.database.write(mistakes)
    await town.press(terminal=GRANNY)
    before = await rows(town, t.Terminal)
    with pytest.raises(Refused, match="resolve it first"):
        await end(town)
    assert await rows(town, t.Terminal) == before, "refused whole"
    sos = next(a["id"] for a in await alerts(town, "sos"))
    assert (await town.act(sos, "resolve", outcome="safe")).status_code == 200
    assert (await end(town)).real == (other,)
    now = await rows(town, t.Terminal)
    assert now[other]["state"] == "active"
    assert now[other]["resident_id"] == home["演练102"]
    assert (now[made[0]]["state"], now[made[0]]["resident_id"]) == ("revoked", None)
    assert now[GRANNY]["resident_id"] == hers
    watched = await town.runtime.database.read(
        lambda c: c.execute(resident.select().where(resident.c.id == hers)).mappings().one()
    )
    assert watched["state"] == "active"


async def test_forms_refuse_to_mix_them(town: Town) -> None:
    """A simulated terminal is not given to a real resident, nor a real one to a rehearsal's."""
    await rehearsal(town)
    home = {r["name"]: i for i, r in (await rows(town, t.Resident)).items()}
    free = next(i for i in home.values() if i != home["演练101"])

    def give(tx: Tx, terminal: str, whose: int) -> None:
        moving.assign_terminal(tx, town.runtime.house, terminal, whose, who="t", why="t")

    for moved, whose in ((SIMULATED, free), (GRANNY, home["演练101"])):
        with pytest.raises(Refused, match="simulated terminals belong"):
            await town.runtime.database.write(lambda tx, m=moved, w=whose: give(tx, m, w))


async def test_reports_know_no_rehearsal(town: Town) -> None:
    """A morning of one: presses, a missed round, messages, silent terminals; every figure of the
    community is what it was without, and the round's progress too."""
    plain = await figures(town)
    seen = (await town.api.get("/api/v1/snapshot")).json()["round"]
    await rehearsal(town, 12)
    await town.press("checkin", terminal="sim-900-102")
    await town.press(terminal=SIMULATED)
    await town.move(150)
    sim = await messages(town)
    assert len(sim) >= 2
    assert await figures(town) == {**plain, "now_ms": (await figures(town))["now_ms"]}
    assert (await town.api.get("/api/v1/snapshot")).json()["round"] == seen

    resident = t.table(t.Resident)
    due_at = await town.runtime.database.read(
        lambda c: c.execute(
            resident.select().where(resident.c.name == "演练103")
        ).mappings().one()["next_due_at"]
    )
    await town.move_to(due_at)
    for _ in range(2):  # what opened at this very instant is not yet in its report
        await town.move(60)
    missed = {a["id"]: a["rehearsal"] for a in await alerts(town, "missed")}
    assert set(missed.values()) == {True, False}
    told = await figures(town)
    assert 900 not in told["numbers"]
    assert 900 not in [b["number"] for b in told["buildings"]]
    whole, each = told["figures"], [b["figures"] for b in told["buildings"]]
    # Each of these counted the rehearsal's before: now the community is the sum of its houses.
    assert whole["rounds"]["owed"] == sum(f["rounds"]["owed"] for f in each)
    assert whole["worklists"]["of"] == sum(f["worklists"]["of"] for f in each)
    assert whole["worklists"]["of"] == list(missed.values()).count(False)
    assert whole["sms"]["of"] == sum(f["sms"]["of"] for f in each)
    assert whole["uptime"]["terminals"] == sum(f["uptime"]["terminals"] for f in each)
    assert (whole["alarms"], whole["tests"]) == (0, 0)


async def test_the_registers_file_knows_no_rehearsal(town: Town) -> None:
    """It does not leave with an export, and no import puts anybody into its house or gives
    somebody of its list another role."""
    await rehearsal(town)
    found = await town.runtime.database.write(
        lambda tx: exporting.export(tx, lang="zh", secrets=False, who="t", why="")
    )
    cells = [cell for table in found for _, row in table.rows for cell in row]
    assert not [c for c in cells if "演练" in c or c in ("900", "rehearsal")]
    office = "角色,姓名,电话\n值班,演练一,+8619900000001\n"
    flat = "楼栋,门牌,姓名,出生日期,居住情况\n900,101,何桂芳,1941-09-02,独居\n"
    for text, why in ((office, "on_rehearsal_list"), (flat, "rehearsal")):
        answer = await town.api.post(
            "/api/v1/register/import", params={"dry_run": "true"}, content=text.encode()
        )
        assert answer.status_code == 200, answer.text
        assert [p["why"] for p in answer.json()["problems"]] == [why], answer.json()


def run(*words: str) -> tuple[int, str]:
    """The command; its exit code and what it said."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = main(["rehearse", *words])
    return code, out.getvalue()


@pytest.mark.sqlite_only(reason="the command is given a directory")
def test_the_command_begins_and_ends_one(tmp_path: Path) -> None:
    """Set up, and ended by name: the manifest with its passwords goes, what is missing is said."""
    lay_out(tmp_path, Hand(MARCH_14))
    (tmp_path / "town.db").rename(tmp_path / "xunlou.db")
    Keys.kept(tmp_path / "secrets.env")
    where = ("--data", str(tmp_path))
    code, said = run(*where, "--flats", "2", "--person", "演练一=+8619900000001")
    assert code == 0, said
    path = tmp_path / "rehearsal-900.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each["id"] for each in json.loads(path.read_text())["terminals"]] == [
        "sim-900-101", "sim-900-102",
    ]  # fmt: skip
    for words in ((), ("--building", "900"), ("--building", "900", "--who", WHO)):
        code, said = run(*where, "--end", *words)
        assert code == 2, said
        assert path.exists()
    code, said = run(*where, "--end", "--building", "900", "--who", WHO, "--outcome", "other")
    assert (code, path.exists()) == (0, False), said
    assert "2 terminals revoked" in said
    code, said = run(*where, "--end", "--building", "900", "--who", WHO, "--outcome", "other")
    assert (code, "no rehearsal runs in building 900" in said) == (2, True)


def test_the_command_in_a_network_edition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a directory of `up` it takes the database that the environment names: set up there,
    with passwords for the broker's own accounts, and ended there by name."""
    url, _ = lay_out(tmp_path, Hand(MARCH_14))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XUNLOU_DATABASE_URL", url)
    code, said = run("--flats", "2", "--person", "演练一=+8619900000001")
    assert code == 0, said
    assert "give your broker their accounts" in said
    path = tmp_path / "rehearsal-900.json"
    assert path.stat().st_mode & 0o777 == 0o600
    made = json.loads(path.read_text())["terminals"]
    assert [each["id"] for each in made] == ["sim-900-101", "sim-900-102"]
    assert len({each["password"] for each in made} - {""}) == 2
    over = ("--end", "--building", "900", "--who", WHO, "--outcome", "other")
    code, said = run(*over)
    assert (code, "XUNLOU_SECRET" in said) == (2, True)
    monkeypatch.setenv("XUNLOU_SECRET", "the-servers-own-secret")
    code, said = run(*over)
    assert (code, path.exists()) == (0, False), said
    assert "2 terminals revoked" in said
    assert "take its terminals' accounts off your broker" in said
    code, said = run("--data", str(tmp_path / "nowhere"), "--person", "演练一=+8619900000001")
    assert (code, "holds no register" in said) == (2, True)
