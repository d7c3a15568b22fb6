"""The database's form: built from nothing, equal to the code, back and forth without loss."""

from pathlib import Path

import postgres
import pytest
from sqlalchemy import create_engine, func, inspect, select, text
from sqlmodel import SQLModel
from town import GRANNY, HEAD, MARCH_14, Hand, a_town, lay_out

from server import migrate, schema
from server import tables as t


@pytest.fixture
def url(tmp_path: Path, database: str) -> str:
    """An empty database; SQLite's does not exist yet, nor does the folder it is to be in."""
    if database == "postgres":
        return postgres.new_url()
    return f"sqlite:///{tmp_path / 'new' / 'town.db'}"


def tables(url: str) -> set[str]:
    """The tables there are."""
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_from_nothing_to_what_the_code_needs(url: str) -> None:
    """A new office's database is built by the migrations alone and is just what the code expects;
    doing it again changes nothing."""
    assert schema.current(url) is None
    migrate.upgrade(url)
    assert schema.current(url) == schema.newest()
    assert migrate.drift(url) == []
    migrate.upgrade(url)
    assert migrate.drift(url) == []


def test_down_to_nothing_and_up_again(url: str) -> None:
    """A step back leaves nothing behind, and the way up is open again."""
    migrate.upgrade(url)
    migrate.downgrade(url, "base")
    assert schema.current(url) is None
    assert tables(url) <= {"alembic_version"}
    migrate.upgrade(url)
    assert migrate.drift(url) == []


def test_drift_is_seen(url: str) -> None:
    """A column that the code does not know is found: the check above can fail."""
    migrate.upgrade(url)
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.execute(text("ALTER TABLE flat ADD COLUMN colour VARCHAR"))
    engine.dispose()
    assert migrate.drift(url) != []


def test_an_upgrade_keeps_the_register(tmp_path: Path) -> None:
    """An office that has worked with the first form keeps every resident, phone and terminal."""
    url, community = lay_out(tmp_path, Hand(MARCH_14))
    kept = (t.table(t.Resident), t.table(t.Person), t.table(t.Terminal))
    columns = [[c for c in table.c if c.name in first_columns(table.name)] for table in kept]

    def register() -> list[list[tuple[object, ...]]]:
        engine = create_engine(url)
        with engine.connect() as conn:
            found = [
                sorted(tuple(r) for r in conn.execute(select(*some).order_by(some[0])))
                for some in columns
            ]
        engine.dispose()
        return found

    before = register()
    assert GRANNY in {r[0] for r in before[2]}
    assert len(before[2]) == community_size(community)
    migrate.downgrade(url, "0001")
    migrate.upgrade(url)
    assert schema.current(url) == schema.newest()
    assert register() == before


async def test_a_lived_in_town_goes_back_and_forth(tmp_path: Path) -> None:
    """Down to the first form and up again, revision by revision, with alerts, messages and a
    journal in it: nothing of them is lost, and the town lives on. Only what an older form has no
    word for goes: shifts, the audit, and the roles that came later."""
    known_to_the_first = ("steward", "substitute", "key_holder", "duty", "operator")

    def counts(url: str) -> dict[str, int]:
        engine = create_engine(url)
        with engine.connect() as conn:
            found = {
                table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
                for table in SQLModel.metadata.sorted_tables
                if table.name not in ("duty_shift", "audit")
            }
            role = t.table(t.Assignment).c.role
            lasting = select(func.count()).where(role.in_(known_to_the_first))
            found["assignment"] = conn.execute(lasting).scalar_one()
        engine.dispose()
        return found

    async with a_town(tmp_path) as town:
        await town.press()
        await town.expect_sms(HEAD, "求助")
        await town.reply(HEAD, "1")
        await town.reply(HEAD, "今晚吃什么")  # answered, with the instant as its attempt
        await town.settled()
        url = town.runtime.settings.database_url
    before = counts(url)
    assert before["message"]
    assert before["journal"]
    steps = migrate.in_order()
    assert (steps[0], steps[-1]) == ("0001", schema.newest())
    for revision in steps[-2::-1]:
        migrate.downgrade(url, revision)
        assert schema.current(url) == revision
    for revision in steps[1:]:
        migrate.upgrade(url, revision)
    assert migrate.drift(url) == []
    assert counts(url) == before
    async with a_town(tmp_path) as town:
        assert (await town.sos())["state"] == "accepted"
        town.seq = 100  # what the terminal sent before is known, and would be a duplicate
        await town.press()
        assert (await town.sos())["presses"] == 2


def first_columns(table: str) -> set[str]:
    """The columns that mean the same since the first revision."""
    return {
        "resident": {"id", "name", "flat_id", "birth_date", "access_notes", "state"},
        "person": {"id", "name", "phone", "lang"},
        "terminal": {"id", "resident_id", "state"},
    }[table]


def community_size(community: object) -> int:
    """How many residents with terminals the sample has."""
    return sum(1 for _ in community.flats_with_residents())  # type: ignore[attr-defined]
