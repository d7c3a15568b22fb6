"""Accounts for tests: made as an administrator makes them, and logged in as people log in."""

import httpx
from sqlalchemy import select
from town import Town

from server import tables as t
from server.database import Tx
from server.service import account_keeping as keeping
from server.store import accounts

OWN_PASSWORD = "four words that nobody knows"


async def make_account(
    town: Town, username: str, role: str = "", level: str = "all", place: str = "",
    password: str = OWN_PASSWORD,
) -> str:  # fmt: skip
    """An account that has changed its one-time password already; empty `password`: that has not.
    Returns the one-time password."""
    locks = town.runtime.locks

    def run(tx: Tx) -> str:
        account_id, once = keeping.make(
            tx, keeping.one_time(locks), keeping.Keeper("test"), username=username, name=username,
            role=role or username, level=level, place_name=place,
        )  # fmt: skip
        if password:
            new = keeping.renewal(tx.conn, locks, account_id, once, password)
            keeping.set_own_password(tx, account_id, new, "")
        return once

    return await town.runtime.database.write(run)


async def login(
    town: Town, username: str, password: str = OWN_PASSWORD, code: str = ""
) -> httpx.AsyncClient:
    """A browser of this person; close it."""
    form = {"username": username, "password": password, "code": code}
    headers = {"Origin": town.url}
    async with httpx.AsyncClient(base_url=town.url, timeout=10.0, headers=headers) as door:
        answer = await door.post("/login", data=form)
        assert answer.status_code == 303, answer.text
    return httpx.AsyncClient(
        base_url=town.url, timeout=10.0, headers=headers, cookies=door.cookies
    )


async def account_id(town: Town, username: str) -> int:
    """An account's id."""
    query = select(accounts.ACCOUNT.c.id).where(accounts.ACCOUNT.c.username == username)
    return int(await town.sql(lambda c: c.execute(query).scalar_one()))


async def building_id(town: Town, number: int) -> int:
    """A building's id."""
    table = t.table(t.Building)
    query = select(table.c.id).where(table.c.number == number)
    return int(await town.sql(lambda c: c.execute(query).scalar_one()))
