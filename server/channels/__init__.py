"""How a message leaves the house: one file a channel."""
