"""Services beside the alarm: help requests, hours, visits and greetings.

Nothing here writes an alert, a message or the journal (whose feed is the wall's): an office that
counts its errands must never make an SOS wait. Acts go into the audit, by ids and never by words.
"""
