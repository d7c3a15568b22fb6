"""Real devices of other makers: one file a family, from their payloads to our words."""
