"""The pictures in docs/screens.md, of the real pages of a real server, by `make screenshots`."""
