"""The server: takes signals in, decides, saves, and only then tells people."""
