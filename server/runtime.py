"""What the running server's parts share. Built in app.py, found by the endpoints."""

import asyncio
from dataclasses import dataclass

from server.clock import Clock
from server.database import Database
from server.feed import Broadcaster
from server.service.house import House
from server.settings import Settings


@dataclass(slots=True)
class Runtime:
    """One process's worth of server."""

    settings: Settings
    clock: Clock
    database: Database
    house: House
    stop: asyncio.Event
    feed: Broadcaster
