"""The ladders in force: the file's last good edition, read again when the file has changed.

It never fails its caller: whatever becomes of the file, an SOS opens with the last good ladders
(after a start, with those that are built in), and `problems` says what staff should mend.
"""

import logging
import stat
import threading
from collections.abc import Mapping
from pathlib import Path

from server.core.ladder import Ladder
from server.ladders.reading import Book, Broken, read

log = logging.getLogger(__name__)
DEFAULT_FILE = Path(__file__).parent / "default.yaml"
Signature = tuple[int, int, int] | None


class LadderFile:
    """One ladder file. Asked by several threads; a look at an unchanged file is one `stat`."""

    def __init__(self, path: Path | None = None) -> None:
        """`path`: the file people edit; None = the built-in one. Raises Broken when the built-in
        one is (which a test excludes)."""
        self.path = path or DEFAULT_FILE
        self._lock = threading.Lock()
        self._book = read(DEFAULT_FILE.read_bytes(), DEFAULT_FILE.name)
        self._problems: tuple[str, ...] = ()
        self._seen: Signature | str = "never"
        self._look()

    def book(self) -> Book:
        """The edition in force now."""
        self._look()
        return self._book

    @property
    def ladders(self) -> Mapping[str, Ladder]:
        """The ladders in force now, by policy."""
        return self.book().ladders

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file as it is now; empty when it is in force."""
        self._look()
        return self._problems

    def _signature(self) -> Signature:
        try:
            found = self.path.stat()
        except OSError:
            return None
        # A pipe in its place would hold an SOS for ever.
        return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(
            found.st_mode
        ) else None

    def _look(self) -> None:
        with self._lock:
            now = self._signature()
            if now == self._seen:
                return
            self._seen = now
            name = self.path.name
            if now is None:
                self._problems = (
                    f"{name}:1: there is no such file; put it back, "
                    "or take XUNLOU_LADDER_FILE away for the built-in ladders",
                )
            else:
                self._read(name)
            if self._problems:
                log.error("ladder file: %s", "; ".join(self._problems))

    def _read(self, name: str) -> None:
        try:
            self._book = read(self.path.read_bytes(), name)
            self._problems = ()
            if self.path != DEFAULT_FILE:
                log.info("ladders: edition %s of %s", self._book.version, name)
        except Broken as error:
            self._problems = error.problems
        except OSError as error:
            self._problems = (f"{name}:1: can't be read ({error.strerror}); mend its rights",)
        except Exception as error:  # noqa: BLE001 (an SOS must open whatever the file holds)
            self._problems = (f"{name}:1: can't be read ({type(error).__name__})",)
