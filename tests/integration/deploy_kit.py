"""The broker of docker-compose.yml, started from the files that it mounts."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.parts import require
from xunlou.ports import free_port

DEPLOY = Path(__file__).parents[2] / "xunlou" / "deploy"


def openssl(*words: str) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """A throw-away CA and the broker's certificate, as docs/operations.md makes them."""
    ca, key = folder / "ca.crt", folder / "ca.key"
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-days", "2", "-subj", "/CN=Xunlou CA",
            "-keyout", str(key), "-out", str(ca))  # fmt: skip
    openssl("req", *new, "-subj", "/CN=localhost", "-keyout", str(folder / "server.key"),
            "-out", str(folder / "server.csr"))  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", str(folder / "server.csr"), "-CA", str(ca), "-CAkey", str(key),
            "-CAcreateserial", "-days", "2", "-extfile", str(folder / "names"),
            "-out", str(folder / "server.crt"))  # fmt: skip


def deployed_folder(home: Path) -> Path:
    """Folders as they are mounted, below `home`; that of the configuration."""
    for name in ("data", "accounts", "config/tls"):
        (home / name).mkdir(parents=True)
    return home / "config"


@contextlib.contextmanager
def deployed_broker(home: Path) -> Iterator[tuple[int, int, subprocess.Popen[bytes]]]:
    """Mosquitto by xunlou/deploy/mosquitto.sh, .conf and .acl, with nothing changed but where its
    files lie and which ports it has; its plain port, that with TLS, and the process that would be
    the container's first."""
    program = require("mosquitto")
    shutil.copy(DEPLOY / "mosquitto.acl", home / "config" / "acl")
    plain, secure = free_port(), free_port()
    text = (DEPLOY / "mosquitto.conf").read_text()
    for ours, theirs in (
        ("/mosquitto/", f"{home}/"),
        ("listener 1883", f"listener {plain} 127.0.0.1"),
        ("listener 8883", f"listener {secure} 127.0.0.1"),
        ("listener 8884", f"listener {free_port()} 127.0.0.1"),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    as_root = ["user root"] if os.geteuid() == 0 else []
    config = home / "mosquitto.conf"
    config.write_text("\n".join([*as_root, text]))
    words = [str(DEPLOY / "mosquitto.sh"), str(home / "accounts" / "passwords"), program]
    # A shell can't trap what was ignored when it began, as SIGHUP is below nohup.
    heard = ["env", "--default-signal=HUP", "sh"]
    with (home / "log").open("w") as log:
        child = subprocess.Popen(
            [*heard, *words, "-c", str(config)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield plain, secure, child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
