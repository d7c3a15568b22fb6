"""Does a terminal keep the wire contract? Watches a real one and says point by point."""
