"""docs/privacy.md lists every column that says something of a person."""

import re

import pages
from sqlmodel import SQLModel

from server import tables
from server.store.notes import SEALED

assert tables  # the import fills the metadata

PLAIN = {
    "account": "id role scope_level scope_id created_at password_at password_until totp_nonce "
    "totp_on totp_step disabled_at",
    "alert": "id subject kind state building_id terminal_id boot seq code fault fall test late "
    "round_due_at opened_at ladder step repeats next_step_at lease_until presses again_at "
    "cancelled_by_resident outcome resolved_at version emergency_look_at emergency_since "
    "pressed_at news_at",
    "alert_item": "alert_id flat_id after_absence",
    "api_token": "id digest rights scope_level scope_id created_at used_at revoked_at",
    "assignment": "id position community_id building_id",
    "audit": "id at what position digest",
    "battery_day": "day level mains rssi",
    "blind_interval": "id current started_at ended_at drained_at parts told_at",
    "building": "id community_id number address address_en rehearsal",
    "chore": "name day after",
    "command": "id alert_id created_at expires_at due_at result",
    "community": "id series name tz rounds address address_en district street",
    "consent": "id",
    "duty_shift": "id",
    "flat": "id building_id stairwell floor label",
    "gateway": "id last_heard_at resumed_at canary_every_s canary_sos_at canary_bulk_at "
    "canary_returned_at canary_rtt_ms",
    "greeting": "id building_id day turn request_id",
    "handover": "id community_id at since",
    "help_request": "id building_id kind source asked_at due_at stage taken_at closed_at ending "
    "minutes request_key version",
    "hours_account": "id kind community_id",
    "hours_entry": "id entry_key kind at happened_at building_id counters",
    "hours_line": "entry_id account_id minutes",
    "inbound": "provider_id received_at alert_id meaning",
    "journal": "seq at kind building_id flat_id alert_id",
    "message": "id alert_id role step attempt channel template lane state sender tries due_at "
    "created_at sent_at updated_at provider provider_id tried_at error",
    "person": "id roleless_since",
    "quarantine": "id topic digest reason count first_at last_at",
    "recovery_code": "account_id digest",
    "register_change": "id at via subject what",
    "resident": "id building_id next_due_at",
    "round": "id community_id name due_at opened_at prompted_at called_at opens_at deadline "
    "next_at tallied",
    "round_report": "id round_id building_id via at",
    "round_tally": "round_id building_id owing",
    "session": "digest expires_at created_at seen_at",
    "signal": "id boot seq type late test",
    "steward_link": "digest alert_id role expires_at",
    "visit": "id building_id opened_at due_at state closed_at visit_key version",
    "terminal": "id state simulated status boot firmware heartbeat_s battery mains rssi "
    "heartbeat_due_at lost_at mains_lost_at mains_due_at key_v key_next key_state key_at "
    "via newest_event",
}
"""Columns that say nothing of a person by themselves: houses, devices, clockwork, hashes."""

ROW = re.compile(r"^\| `(\w+)` \| (.+?) \|", re.MULTILINE)


def listed() -> dict[str, str]:
    """Table → the cell of its columns."""
    page = pages.read("docs/privacy.md").split("## What is held")[1].split("\n## ")[0]
    return dict(ROW.findall(page))


def test_every_column_is_personal_and_documented_or_said_to_be_plain() -> None:
    """Whoever adds a column says which: in docs/privacy.md, or in PLAIN above."""
    personal = {table: set(re.findall(r"`(\w+)`", cell)) for table, cell in listed().items()}
    for table in SQLModel.metadata.sorted_tables:
        columns, plain = {c.name for c in table.columns}, set(PLAIN.get(table.name, "").split())
        said = personal.get(table.name, set())
        assert not plain & said, f"{table.name}: both plain and personal"
        assert plain | said == columns, f"{table.name}: classify {columns ^ (plain | said)}"
    known = {table.name for table in SQLModel.metadata.sorted_tables}
    assert set(personal) | set(PLAIN) <= known


def test_the_page_says_which_columns_are_sealed() -> None:
    """Those that the vault seals, and no other."""
    said = {f"{table}.{column}" for table, cell in listed().items()
            for column in re.findall(r"`(\w+)` \(sealed\)", cell)}  # fmt: skip
    assert said == set(SEALED)
