"""One person's rights on a running server: consent and its withdrawal, export, erasure."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select
from sqlmodel import SQLModel
from staff_kit import login, make_account
from town import GRANNY, HEAD, Town, page_in

from server import tables as t
from server.report import report
from server.service import notes
from xunlou.cli import main

API = "/api/v1"


async def granny(town: Town) -> dict[str, Any]:
    """The resident of the story, as the list shows her."""
    return (await town.residents())["301"]


async def post(town: Town, path: str, **body: Any) -> httpx.Response:
    """As a program that may."""
    return await town.api.post(f"{API}/{path}", json=body)


async def way_in(town: Town, resident_id: int) -> dict[str, Any]:
    """As staff see it."""
    got = await town.api.post(f"{API}/residents/{resident_id}/access", json={"reason": "test"})
    found: dict[str, Any] = got.raise_for_status().json()
    return found


async def everything(town: Town) -> str:
    """All that the database says, in one text, without the audit (which names by number) and what
    is sealed."""
    def read(conn: Any) -> str:
        return "\n".join(
            str(dict(row)) for table in SQLModel.metadata.sorted_tables if table.name != "audit"
            for row in conn.execute(select(table)).mappings()
        )  # fmt: skip

    return await town.runtime.database.read(read)


async def test_consent_is_written_down_once_with_who_and_how(town: Town) -> None:
    """Twice is as good as once; withdrawn and given anew it is two rows; both in the journal."""
    who = (await granny(town))["id"]
    for _ in range(2):
        got = await post(town, f"residents/{who}/consents", purpose="health", how="written")
        assert got.status_code == 200, got.text
    (one,) = got.json()["consents"]
    assert (one["purpose"], one["given_by"], one["how"]) == ("health", "resident", "written")
    assert one["recorded_by"] == "api"
    assert one["withdrawn_ms"] is None
    got = await post(town, f"residents/{who}/consents/health/withdraw", reason="her wish")
    assert got.json()["follows"] == "health_notes_go"
    await post(town, f"residents/{who}/consents", purpose="health", how="spoken",
               given_by="guardian")  # fmt: skip
    listed = (await town.api.get(f"{API}/residents/{who}/consents")).json()["consents"]
    assert [c["withdrawn_ms"] is None for c in listed] == [True, False]
    kinds = [e["kind"] for e in await town.journal()]
    assert kinds.count("consent_given") == 2
    assert kinds.count("consent_withdrawn") == 1


async def test_withdrawing_health_or_access_deletes_the_notes_and_nothing_else(town: Town) -> None:
    """At once, with the class by the rule; key holders stay, where their key is does not."""
    who = (await granny(town))["id"]
    before = await way_in(town, who)
    assert before["access_notes"]
    await post(town, f"residents/{who}/consents/access/withdraw", reason="her wish")
    await post(town, f"residents/{who}/consents/health/withdraw", reason="her wish")
    after = await way_in(town, who)
    assert (after["access_notes"], after["risks"]) == ("", "")
    assert [h["name"] for h in after["key_holders"]] == [h["name"] for h in before["key_holders"]]
    assert not any(h["where"] for h in after["key_holders"])
    assert (await granny(town))["state"] == "active"


async def test_whoever_is_watched_no_more_is_still_helped(town: Town) -> None:
    """Withdrawing the watching ends it; a press on the terminal still tells both stewards."""
    who = (await granny(town))["id"]
    got = await post(town, f"residents/{who}/consents/watched/withdraw", reason="her wish")
    assert got.json()["follows"] == "watch_ends"
    assert (await granny(town))["state"] == "ended"
    again = await post(town, f"residents/{who}/consents", purpose="watched", how="spoken")
    assert again.status_code == 409
    await town.press()
    await town.expect_sms(HEAD, "11")


async def test_an_export_holds_what_is_known_and_says_that_it_left(town: Town) -> None:
    """Notes in words, contacts with masked numbers, alerts, signals; that it left is noted."""
    who = (await granny(town))["id"]
    told = await way_in(town, who)
    await town.press()
    await town.forget_sms()
    assert (await post(town, f"residents/{who}/export")).status_code == 422
    found = (await post(town, f"residents/{who}/export", reason="she asks")).json()
    assert found["resident"]["access_notes"] == told["access_notes"]
    assert found["resident"]["flat"] == "301"
    assert [a["kind"] for a in found["alerts"]] == ["sos"]
    assert found["signals"]
    assert found["unreadable"] == []
    assert told["key_holders"][0]["phone"] not in json.dumps(found)
    assert {e["kind"] for e in await town.journal()} >= {"resident_exported"}
    steward = await town.person(HEAD)
    own = (await post(town, f"people/{steward}/export", reason="he asks")).json()
    assert own["person"]["phone"] == HEAD
    assert own["messages"]
    assert "steward" in [a["role"] for a in own["assignments"]]


async def test_a_look_at_the_way_in_is_of_one_person_and_not_of_a_door(town: Town) -> None:
    """A couple shares a door: each one's page and export tell of the looks for their own sake."""
    hers = (await granny(town))["id"]
    resident = t.table(t.Resident)

    def marry(conn: Any) -> int:
        row = dict(conn.execute(select(resident).where(resident.c.id == hers)).mappings().one())
        own = {k: v for k, v in row.items() if k != "id"} | {"name": "老伴", "access_notes": ""}
        statement = insert(resident).values(own).returning(resident.c.id)
        return int(conn.execute(statement).scalar_one())

    his = await town.sql(marry)
    await make_account(town, "li", "coordinator")
    async with await login(town, "li") as li:
        for who, why in ((hers, "她摔倒了"), (his, "他没应门")):
            await li.post(f"/residents/{who}/access", data={"reason": why})
        for who, why, other in ((hers, "她摔倒了", "他没应门"), (his, "他没应门", "她摔倒了")):
            page = (await li.get(f"/residents/{who}")).text
            assert why in page
            assert other not in page
            export = await post(town, f"residents/{who}/export", reason="本人要求")
            told = export.raise_for_status().json()
            ways = [e["about"]["why"] for e in told["looks"] if e["what"] == "access_looked_at"]
            assert ways == [why]
            assert why in json.dumps(told["journal"], ensure_ascii=False)


async def test_nobody_is_erased_whom_a_press_still_needs(town: Town) -> None:
    """Watched, with an open alert, with a terminal, or still a steward: refused with what to do."""
    who = (await granny(town))["id"]
    words = []

    async def refused() -> None:
        got = await post(town, f"residents/{who}/erase", reason="a wish")
        assert got.status_code == 409, got.text
        words.append(got.json()["detail"])

    await refused()
    await town.press()
    await town.forget_sms()
    await post(town, f"residents/{who}/end", how="moved_away", reason="moved")
    await refused()
    await town.act((await town.sos())["id"], "resolve", outcome="helped")
    await refused()
    assert [w.split(": ")[1] for w in words[:2]] == ["end the watching first", "resolve it first"]
    assert "fetch it" in words[2]
    steward = await town.person(HEAD)
    got = await post(town, f"people/{steward}/erase", reason="a wish")
    assert got.status_code == 409
    assert "steward" in got.json()["detail"]


async def test_an_erased_resident_is_nowhere_and_counts_everywhere(town: Town) -> None:
    """No name, no number, no door, no word of hers in any table; the report says what it said."""
    her = await granny(town)
    who, name = her["id"], her["name"]
    told = await way_in(town, who)
    holder = told["key_holders"][0]
    await post(town, f"residents/{who}/consents", purpose="health", how="written")
    await town.press()
    await town.reply(HEAD, "1")
    page = page_in((await town.phone(HEAD))[-1])
    assert name in (await town.api.get(page)).text
    await town.act((await town.sos())["id"], "resolve", outcome="helped",
                   note=f"{name} had fallen behind the door")  # fmt: skip
    await town.forget_sms()
    await post(town, f"residents/{who}/end", how="moved_away", reason=f"{name} moved")
    await post(town, f"terminals/{GRANNY}/assign", resident_id=None, reason="fetched")
    day = town.runtime.clock.now().date()

    async def counted() -> Any:
        now = town.runtime.clock.now()
        found = await town.runtime.database.read(lambda c: report(c, day, day, now))
        return {k: v for k, v in found.items() if k in ("sos", "whole", "buildings", "totals")}

    before = await counted()
    got = await post(town, f"residents/{who}/erase", reason="her wish")
    assert got.status_code == 200, got.text
    assert await counted() == before
    whole = await everything(town)
    for word in (name, told["access_notes"], "had fallen"):
        assert word not in whole
    assert (await town.api.get(f"/residents/{who}")).status_code in (303, 404)
    assert "301" not in await town.residents()
    assert (await town.sos())["outcome"] == "helped"
    left = got.json()["contacts_left"]
    again = await post(town, f"residents/{who}/erase", reason="again")
    assert again.json() == {"id": who, "contacts_left": []}
    assert (await post(town, f"residents/{who}/export", reason="why")).status_code == 404
    if left:  # who held the key for her alone
        assert await town.person(holder["phone"]) in left
        for person_id in left:
            assert (await post(town, f"people/{person_id}/erase", reason="x y")).status_code == 200
        whole = await everything(town)
        assert holder["phone"].lstrip("+") not in whole


async def test_a_steward_who_left_is_nowhere(town: Town) -> None:
    """Replaced and erased: name and number are gone, the alert they went to still counts."""
    steward = await town.person(HEAD)
    name = (await town.runtime.database.read(
        lambda c: c.execute(select(t.table(t.Person).c.name).where(
            t.table(t.Person).c.id == steward)).scalar_one()))  # fmt: skip
    await town.press()
    await town.reply(HEAD, "1")
    await town.act((await town.sos())["id"], "resolve", outcome="helped")
    await town.forget_sms()
    body = {"role": "steward", "building": 11, "position": 1, "name": "新楼长",
            "phone": "+8610099999903", "reason": "moved away"}  # fmt: skip
    (await town.api.post(f"{API}/assignments", json=body)).raise_for_status()
    for a in (await town.api.get(f"{API}/assignments", params={"person_id": steward})).json()[
        "assignments"
    ]:
        await post(town, f"assignments/{a['id']}/remove", reason="moved away")
    got = await post(town, f"people/{steward}/erase", reason="his wish")
    assert got.status_code == 200, got.text
    whole = await everything(town)
    assert HEAD.lstrip("+") not in whole
    others = sum(p.name == name for b in town.community.buildings
                 for p in [s.person for s in b.stewards] + [b.substitute])  # fmt: skip
    assert others > 1 or name not in whole
    assert (await town.sos())["outcome"] == "helped"


async def test_one_of_two_houses_is_not_enough_to_export_erase_or_silence_somebody(
    town: Town,
) -> None:
    """A contact of buildings 11 and 12 is seen by the coordinator of 11, and exported, erased and
    sent away only by whoever answers for both; the refusal says so. Nor is somebody brought into
    one's own sight by their number. Whoever stands by no house any more is for those of all."""
    her, there = await granny(town), next(iter((await town.residents(12)).values()))
    body = {"role": "family", "name": "何大勇", "phone": "+8610011000783", "reason": "family"}
    for resident in (her, there):
        got = await post(town, "assignments", **body, resident_id=resident["id"])
        assert got.status_code == 200, got.text
    shared, foreign = got.json()["person_id"], got.json()["id"]
    other = {**body, "name": "远亲", "phone": "+8610011000784", "resident_id": there["id"]}
    beyond = (await post(town, "assignments", **other)).json()["person_id"]
    near = {**body, "name": "何小妹", "phone": "+8610011000785", "resident_id": her["id"]}
    sister = (await post(town, "assignments", **near)).json()["person_id"]
    await make_account(town, "of-11", "coordinator", "building", "11")
    await make_account(town, "mai", "coordinator", "community", town.community.name)
    away = {"until": "2026-03-20T18:00:00+08:00", "reason": "travels"}
    async with await login(town, "of-11") as one, await login(town, "mai") as mai:
        listed = await one.get(f"{API}/assignments", params={"person_id": shared})
        assert [a["person_id"] for a in listed.json()["assignments"]] == [shared]
        refusals = []
        for method, path, sent in (
            ("POST", "export", {"reason": "asked"}), ("POST", "erase", {"reason": "asked"}),
            ("POST", "absence", away), ("DELETE", "absence", None),
        ):  # fmt: skip
            where = f"{API}/people/{shared}/{path}"
            got = await one.request(method, where, json=sent)
            assert got.status_code == 403, (method, path, got.text)
            refusals.append(got.json()["detail"])
            assert (await one.request(method, f"{API}/people/{beyond}/{path}", json=sent)
                    ).status_code == 404  # fmt: skip
        assert all("whose account covers all of their houses" in words for words in refusals)
        own = {"role": "family", "person_id": beyond, "resident_id": her["id"], "reason": "mine"}
        assert (await one.post(f"{API}/assignments", json=own)).status_code == 404
        for person, asker in ((sister, one), (shared, mai)):
            for path, sent in (("export", {"reason": "asked"}), ("absence", away)):
                got = await asker.post(f"{API}/people/{person}/{path}", json=sent)
                assert got.status_code == 200, (person, path, got.text)
        hers = (await town.api.get(f"{API}/assignments", params={"person_id": shared})).json()
        for a in hers["assignments"]:
            assert (await one.post(f"{API}/assignments/{a['id']}/remove", json={"reason": "gone"})
                    ).status_code == (404 if a["id"] == foreign else 204)  # fmt: skip
        await post(town, f"assignments/{foreign}/remove", reason="gone")
        why = {"reason": "asked"}
        # By no house any more: out of sight altogether.
        assert (await one.post(f"{API}/people/{shared}/erase", json=why)).status_code == 404
        assert (await mai.post(f"{API}/people/{shared}/erase", json=why)).status_code == 200


@pytest.mark.sqlite_only("the command on the embedded edition's file")
async def test_the_command_exports_into_a_new_private_file(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the keys from the environment; nothing of the person is printed; erasing is refused
    with the same words as on the API."""
    her = await granny(town)
    monkeypatch.setenv("XUNLOU_DATABASE_URL", town.runtime.settings.database_url)
    keys = town.runtime.settings.notes_keys
    assert keys is not None
    monkeypatch.setenv("XUNLOU_NOTES_KEYS", keys.get_secret_value())
    file, whom = tmp_path / "her.json", ["--resident", str(her["id"]), "--reason", "she asks"]
    assert main(["person", "export", *whom, str(file)]) == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["resident"]["name"] == her["name"]
    assert main(["person", "export", *whom, str(file)]) == 2
    said = capsys.readouterr()
    assert her["name"] not in said.out + said.err
    assert notes.UNREADABLE["en"] not in file.read_text()


async def test_a_coordinator_keeps_consents_on_the_page(town: Town) -> None:
    """Written down and taken back with a reason, in both cases shown; an operator may look only;
    what no form of ours sends is refused without an error."""
    her = await granny(town)
    path, headers = f"/residents/{her['id']}", {"Sec-Fetch-Site": "same-origin"}
    for name, role in (("mai", "coordinator"), ("li", "operator")):
        await make_account(town, name, role)
    async with await login(town, "mai") as mai, await login(town, "li") as li:
        form = {"purpose": "access", "given_by": "guardian", "how": "written"}
        assert (await li.post(f"{path}/consent", data=form, headers=headers)).status_code == 403
        got = await mai.post(f"{path}/consent", data=form, headers=headers)
        assert (got.status_code, got.headers["location"]) == (303, f"{path}#consents")
        assert "监护人同意,书面" in (await li.get(path)).text
        wrong = await mai.post(f"{path}/consent", data={**form, "how": "?"}, headers=headers)
        assert wrong.status_code == 409
        short = {"purpose": "access", "reason": ""}
        assert (await mai.post(f"{path}/withdraw", data=short, headers=headers)).status_code == 422
        why = {"purpose": "access", "reason": "本人要求"}
        got = await mai.post(f"{path}/withdraw", data=why, headers=headers)
        assert got.status_code == 303
        assert "撤回(登记人" in (await li.get(path)).text
        assert (await mai.post("/residents/999999/consent", data=form,
                               headers=headers)).status_code == 404  # fmt: skip
    assert (await way_in(town, her["id"]))["access_notes"] == ""
