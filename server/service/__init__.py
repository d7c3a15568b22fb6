"""Use-cases: load → decide → save, with journal and outbox, in one transaction each.

Nothing here sends anything or reads a clock: the transaction carries its instant, and what it
queued leaves only after the commit.
"""
