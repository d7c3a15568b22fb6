"""Our advisory locks on PostgreSQL with two keys: the first says what a lock is about, and is here
so that no two are about the same. (The journal's have one key: docs/adr/0012.)"""

ALONE_SPACE = 0x584C
"""A work that one server does at a time (`database.Tx.alone`); the second key is its name's CRC."""
ALIVE_SPACE = 0x584D
"""Servers that live (wakeups.py); the second key is the server."""
EVENTS_SPACE = 0x584E
"""The events' partitions (store/partitions.py)."""
