"""The ladders as a file that people write: reading it, and keeping it while it is edited."""
