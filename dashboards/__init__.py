"""The screens: the wall for staff, the steward's page, login and the pages that explain an error.

Reads through the `Reader` protocol only; decides nothing and stores nothing.
"""
