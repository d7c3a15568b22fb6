"""What a terminal or a gateway sends that is wrong, repeated or strange: each gets its answer and
disturbs nothing else."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from town import GRANNY, HEAD, SECOND, Town

MIB = 1024 * 1024
STRANGER = "zz-99-999"
GOOD = {"t": "gd-11-304", "type": "checkin", "boot": 1, "seq": 900}


def b64(data: bytes) -> str:
    """Bytes as a gateway hands them over."""
    return base64.b64encode(data).decode()


async def nothing_stored(town: Town) -> None:
    """The register knows of no event, no alert, no word in quarantine."""
    assert [e for e in await town.journal() if e["kind"] in ("signal", "alert_opened")] == []
    assert await quarantine(town) == []
    await town.no_more_sms()


async def desk(town: Town) -> str:
    """What whoever is on duty has been sent since the last look: the same words to all of them."""
    heard = [body for p in town.community.duty for body in await town.phone(p.phone)]
    assert heard, "the care centre was not called"
    assert len(set(heard)) == 1
    return heard[0]


async def quarantine(town: Town) -> list[dict[str, Any]]:
    """What staff see of the quarantine."""
    answer = await town.api.get("/api/v1/quarantine")
    rows: list[dict[str, Any]] = answer.raise_for_status().json()["quarantine"]
    return rows


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b'{"signals":[]}', "gateway"),
        (b'{"gateway":"gw-1","signals":{}}', "signals"),
        (json.dumps({"gateway": "g", "signals": [{**GOOD, "seq": -1}]}).encode(), "seq"),
        (json.dumps({"gateway": "g", "signals": [{**GOOD, "boot": None}]}).encode(), "boot"),
        (json.dumps({"gateway": "g", "signals": [{**GOOD, "type": "tea"}]}).encode(), "type"),
        (json.dumps({"gateway": "g", "signals": [{**GOOD, "t": "A B"}]}).encode(), "t"),
        (json.dumps({"gateway": "g", "signals": [GOOD, {**GOOD, "ts": 2**60}]}).encode(), "ts"),
        (json.dumps({"gateway": "g", "signals": [GOOD], "rejects": [
            {"topic": "x", "payload_b64": "§", "reason": "not_json"}]}).encode(), "base64"),
        (json.dumps({"gateway": "g", "signals": [GOOD] * 1001}).encode(), "1000"),
    ],
)  # fmt: skip
async def test_a_malformed_batch_is_refused_whole(town: Town, body: bytes, word: str) -> None:
    """A batch that is not what was agreed is refused with words that say what is wrong; nothing of
    it counts, so that the gateway may halve it and try again."""
    answer = await town.gateway.post(
        "/api/v1/signals", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert word in json.dumps(answer.json()["detail"])
    await nothing_stored(town)


@pytest.mark.parametrize("announced", [True, False])
async def test_an_oversize_body_is_refused(town: Town, announced: bool) -> None:
    """Two mebibytes are the most, whether the size is announced or the bytes just keep coming."""
    body = b" " * (2 * MIB + 1)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 64 * 1024):
            yield body[start : start + 64 * 1024]

    answer = await town.gateway.post(
        "/api/v1/signals", content=body if announced else chunks(),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 413
    assert "bytes" in answer.json()["detail"]
    await nothing_stored(town)


async def test_an_unknown_terminals_press_is_kept_and_raised(town: Town) -> None:
    """An SOS from a terminal nobody registered gets no receipt (nobody can go to an unknown door),
    is kept, and calls the care centre: somebody pressed somewhere. That it is sent again and again
    calls nobody again. A check-in is only kept."""
    assert await town.signals(town.event("checkin", STRANGER)) == ["quarantined"]
    assert await town.faults() == []
    await town.no_more_sms()
    press = town.event("sos", STRANGER)
    assert await town.signals(press) == ["quarantined"]
    assert STRANGER in await desk(town)
    for attempt in (2, 3):
        assert await town.signals({**press, "attempt": attempt}) == ["quarantined"]
    assert [a["presses"] for a in await town.alerts(kind="sos")] == [1]
    assert await town.faults() == ["unknown_terminal_sos"]
    assert {(q["topic"], q["reason"]) for q in await quarantine(town)} == {
        (f"xunlou/v1/t/{STRANGER}/evt/{kind}", "unknown_terminal") for kind in ("checkin", "sos")
    }
    assert (await town.phone(HEAD), await town.phone(SECOND)) == ([], [])


@pytest.mark.parametrize("kind", ["sos", "fall"])
async def test_a_revoked_terminal_is_a_stranger(town: Town, kind: str) -> None:
    """A terminal taken out of service sends nobody to a door, but the care centre is called: an old
    one may have been found in a drawer and pressed in need."""
    await town.revoke(GRANNY)
    assert await town.signals(town.event(kind)) == ["quarantined"]
    assert GRANNY in await desk(town)
    [alert] = await town.alerts(kind="sos")
    assert (alert["address"], alert["fall"]) == (GRANNY, kind == "fall")
    assert await town.faults() == ["unknown_terminal_sos"]
    assert (await town.phone(HEAD), await town.phone(SECOND)) == ([], [])


async def test_rejects_are_kept_counted_and_an_sos_among_them_raised(town: Town) -> None:
    """What the gateway could not read is kept once with its count. Unreadable bytes on the topic of
    an SOS may be somebody's press: the care centre is called, and told the door."""
    noise = {"topic": f"xunlou/v1/t/{GRANNY}/evt/checkin", "payload_b64": b64(b"\xff\x00"),
             "reason": "not_utf8"}  # fmt: skip
    for _ in range(3):
        await town.signals(rejects=[noise])
    assert await town.faults() == []
    await town.no_more_sms()
    await town.signals(rejects=[{**noise, "topic": f"xunlou/v1/t/{GRANNY}/evt/sos"}])
    assert await town.faults() == ["unreadable_sos"]
    assert "11栋3楼301求助" in await desk(town)
    assert (await town.phone(HEAD), await town.phone(SECOND)) == ([], [])
    counts = {q["topic"].rpartition("/")[2]: q["count"] for q in await quarantine(town)}
    assert counts == {"checkin": 3, "sos": 1}


async def test_attempts_of_one_unreadable_press_are_one_call(town: Town) -> None:
    """A terminal whose press lacks something the contract wants is given no receipt and sends it
    for ever, each time as another attempt: one call, and none again once that is closed. Its next
    press is another one. Where her stewards have been called already, nobody else is."""
    topic = f"xunlou/v1/t/{GRANNY}/evt/sos"

    async def sent(seq: int, attempt: int) -> None:
        press = {"boot": 1, "seq": seq, "bat": "full", "attempt": attempt}
        payload = b64(json.dumps(press).encode())
        await town.signals(
            rejects=[{"topic": topic, "payload_b64": payload, "reason": "bad_field"}]
        )

    async def open_now() -> list[dict[str, Any]]:
        return [a for a in await town.alerts(kind="sos") if a["state"] != "resolved"]

    for attempt in (1, 2, 3):
        await sent(1, attempt)
    [first] = await open_now()
    assert first["presses"] == 1
    await town.act(first["id"], "resolve", outcome="false_alarm")
    await sent(1, 4)
    assert await open_now() == []
    await sent(2, 1)
    [second] = await open_now()
    await town.act(second["id"], "resolve", outcome="helped")
    await town.press()
    await town.expect_sms(HEAD, "11栋3楼301求助")
    await sent(3, 1)
    assert [a["resident_id"] is not None for a in await open_now()] == [True]


async def test_a_press_repeated_gets_a_fresh_receipt_and_calls_nobody_twice(town: Town) -> None:
    """The same press twice in a batch, and again later, even after it was resolved: each time the
    terminal gets its receipt; the stewards are called once."""
    sos = town.event("sos")
    assert await town.signals(sos, sos) == ["stored", "duplicate"]
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")
    assert await town.signals({**sos, "attempt": 7}) == ["duplicate"]
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    await town.forget_sms()
    assert await town.signals(sos) == ["duplicate"]
    assert (await town.sos())["state"] == "resolved"
    await town.no_more_sms()


async def test_order_does_not_matter(town: Town) -> None:
    """Events of an earlier life, and lower numbers after higher ones, are events like any other."""
    events = [
        {"t": GRANNY, "type": "checkin", "boot": boot, "seq": seq}
        for boot, seq in ((5, 9), (5, 3), (2, 400), (6, 1))
    ]
    assert [await town.signals(e) for e in events] == [["stored"]] * 4
    await town.no_more_sms()


async def test_one_bad_entry_disturbs_no_other(town: Town) -> None:
    """In one batch: a stranger, a duplicate, noise, and a press. The press calls the stewards."""
    check = town.event("checkin", "gd-11-304")
    results = await town.signals(
        town.event("sos", STRANGER), check, check, town.event("sos"),
        heartbeats=[{"t": STRANGER}], statuses=[{"t": STRANGER, "s": "lost"}],
        cmd_acks=[{"t": STRANGER, "cmd_id": "c-99999", "result": "shown"},
                  {"t": GRANNY, "cmd_id": "nonsense", "result": "failed"}],
    )  # fmt: skip
    assert results == ["quarantined", "stored", "duplicate", "stored"]
    await town.expect_sms(HEAD, "求助")
    await town.expect_sms(SECOND, "SOS")
    assert STRANGER in await desk(town)
    await town.no_more_sms()


async def test_the_will_of_an_earlier_life_is_ignored(town: Town) -> None:
    """A terminal that has started again is not lost because its old connection was: only the will
    of its present life, unanswered for two minutes, makes it a fault."""
    await town.signals(statuses=[{"t": GRANNY, "s": "online", "boot": 7, "hb_s": 900}])
    await town.signals(statuses=[{"t": GRANNY, "s": "lost", "boot": 6}])
    await town.watch(121)
    assert await town.faults() == []
    await town.signals(statuses=[{"t": GRANNY, "s": "lost", "boot": 7}])
    await town.watch(119)
    assert await town.faults() == [], "no flood while a router restarts"
    await town.watch(1)
    assert await town.faults() == ["offline"]
    await town.signals(heartbeats=[{"t": GRANNY, "boot": 7}])
    assert await town.faults() == [], "back by itself"
    await town.no_more_sms()


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Authorization": ""}, 401), ({"Authorization": "Bearer wrong"}, 403),
     ({"Authorization": "Bearer api-token"}, 403)],
)  # fmt: skip
async def test_only_a_gateway_may_report(
    town: Town, headers: dict[str, str], status: int
) -> None:
    """Without the gateway's own token nobody can press for a resident, or take their commands."""
    for path in ("signals", "commands/lease", "commands/done"):
        body = {"gateway": "gw-1", "signals": [town.event("sos")], "cmd_ids": ["c-1"]}
        answer = await town.gateway.post(f"/api/v1/{path}", json=body, headers=headers)
        assert answer.status_code == status
        assert "token" in answer.json()["detail"]
    await nothing_stored(town)


async def test_our_own_outage_is_not_a_thousand_silent_devices(town: Town) -> None:
    """After an hour in which no gateway was heard every heartbeat is overdue, because of us: the
    devices get their time anew, and only one that stays silent after that is a fault."""
    beat = [{"t": f"gd-11-{flat}", "boot": 1} for flat in ("301", "303", "304")]
    await town.signals(heartbeats=beat)
    await town.pass_unheard(3600)
    await town.gateway_lives()
    await town.watch(16)
    assert await town.faults() == []
    await town.watch(900 * 2.5 - 1)
    await town.signals(heartbeats=beat[:2])
    assert await town.faults() == []
    await town.watch(1)
    assert await town.faults() == ["offline"]
    assert (await town.alerts(kind="fault"))[-1]["terminal_id"] == "gd-11-304"


async def test_a_retained_press_that_was_heard_calls_nobody_when_it_is_repeated(
    town: Town,
) -> None:
    """On MQTT 3.1.1 a press that is published as retained counts once; the broker repeats it to
    every gateway that starts, days later too. One that was never heard is somebody's press."""
    topic = f"xunlou/v1/t/{GRANNY}/evt/sos"

    async def repeated(seq: int) -> None:
        payload = b64(json.dumps({"boot": 1, "seq": seq}).encode())
        await town.signals(
            rejects=[{"topic": topic, "payload_b64": payload, "reason": "retained"}]
        )

    press = town.event("sos")
    assert await town.signals(press) == ["stored"]
    await town.act((await town.sos())["id"], "resolve", outcome="safe")
    await town.forget_sms()
    await repeated(press["seq"])
    await town.no_more_sms()
    assert await town.faults() == ["unreadable_sos"]
    await repeated(press["seq"] + 1)
    assert "11栋3楼301求助" in await desk(town)
