"""A deterministic simulation of the conversation of care: see docs/simulation.md.

No threads, no sockets, no event loop: a heap of moments, one seeded generator, and the server's
own code on a real SQLite file.
"""
