"""A stand-in for Twilio with a page of phones, for tests and the demo.

It signs, answers and calls back as the provider does, so that the server's Twilio channel is
exercised unchanged. It must never open a connection to the real provider, and never keep a
message beyond the life of its process.
"""

from firmware_sim.phones.app import create_app
from firmware_sim.phones.config import PhoneEntry, PhonesConfig

__all__ = ["PhoneEntry", "PhonesConfig", "create_app"]
