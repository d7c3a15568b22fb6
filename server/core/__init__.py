"""The rules that keep people safe, as pure functions: no I/O, no clock, no database.

Everything here is given its facts and `now`, and returns a named decision.
"""
