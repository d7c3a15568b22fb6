"""The fault matrix: real processes, faults from outside, and what must hold whatever breaks."""
