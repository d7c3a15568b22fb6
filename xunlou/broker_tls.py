"""The broker's certificate, and the installation's own authority that signs it.

Terminals can't ask a public authority, and an office has no public name: so each installation has
an authority of its own, made once. Its certificate is what a terminal is given at setting up; its
key never leaves `tls/`, which only the owner of the installation reads. `openssl` does the work.
"""

import hashlib
import ipaddress
import re
import secrets
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

AUTHORITY_DAYS = 7_300
"""Twenty years: longer than a terminal lives. To change it, every terminal has to be visited."""
SERVER_DAYS = 397
RENEW_BEFORE_DAYS = 60
WARN_BEFORE_DAYS = 30
"""A renewal that did not happen for a month is for a person."""
DAY_S = 86_400
OPENSSL_S = 30
ALWAYS = ("localhost", "127.0.0.1")
_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*"
                   r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)  # fmt: skip


class TlsError(ValueError):
    """No certificate can be made; the words say what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Where terminals come in from outside. `names`: host names and addresses under which they
    dial us. Raises TlsError for what can't be one."""

    directory: Path
    port: int
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if not _is_address(name) and _HOST.fullmatch(name) is None:
                raise TlsError(f"{name!r} is no host name or address (small letters, no port)")

    @property
    def bind(self) -> str:
        """Where to listen: on every address, unless only this machine is meant."""
        return "127.0.0.1" if set(self.names) <= set(ALWAYS) else ""

    @property
    def authority(self) -> Path:
        """The certificate that a terminal has to know."""
        return self.directory / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The broker's own."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The broker's private key."""
        return self.directory / "server.key"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, to compare by eye."""
        der = ssl.PEM_cert_to_DER_cert(self.authority.read_text("ascii"))
        return hashlib.sha256(der).hexdigest()


def ensure(tls: Tls) -> bool:
    """Make what is missing: the authority once, the broker's certificate anew when it soon ends or
    its names have changed. True when the certificate is another one than before. Raises TlsError.
    """
    tls.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    tls.directory.chmod(0o700)
    authority_key = tls.directory / "ca.key"
    if not authority_key.exists() or not tls.authority.exists():
        _make_authority(tls, authority_key)
        tls.certificate.unlink(missing_ok=True)
    named = tls.directory / "names.txt"
    names = "\n".join(dict.fromkeys((*tls.names, *ALWAYS)))
    fresh = (
        tls.certificate.exists() and tls.key.exists() and named.exists()
        and named.read_text("ascii") == names
        and ends_in_days(tls.certificate) >= RENEW_BEFORE_DAYS
    )  # fmt: skip
    if fresh:
        return False
    _make_certificate(tls, authority_key, names.split("\n"))
    named.write_text(names, "ascii")
    return True


def ends_in_days(certificate: Path, now_s: float | None = None) -> float:
    """How long a certificate is still good; below 0 when it has ended. Raises TlsError."""
    said = _openssl("x509", "-in", str(certificate), "-noout", "-enddate").strip()
    end_s = ssl.cert_time_to_seconds(said.removeprefix("notAfter="))
    return (end_s - (time.time() if now_s is None else now_s)) / DAY_S


def _new(path: Path) -> Path:
    """Beside it, so that it is replaced whole."""
    return path.with_name(path.name + ".new")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _openssl(*words: str) -> str:
    program = shutil.which("openssl")
    if program is None:
        raise TlsError("openssl is not installed: apt install openssl")
    try:
        ran = subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=OPENSSL_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TlsError(f"openssl {words[0]}: {error}") from error
    if ran.returncode != 0:
        raise TlsError(f"openssl {words[0]}: {ran.stderr.strip()[-300:]}")
    return ran.stdout


def _key(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))


def _make_authority(tls: Tls, key: Path) -> None:
    fresh_key, fresh = _new(key), _new(tls.authority)
    words = tls.directory / "openssl.cnf"
    words.write_text(
        "[req]\nprompt = no\ndistinguished_name = who\nx509_extensions = what\n"
        f"[who]\nCN = Xunlou terminals {secrets.token_hex(4)}\n"
        "[what]\nbasicConstraints = critical,CA:TRUE,pathlen:0\n"
        "keyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n",
        "ascii",
    )
    try:
        _key(fresh_key)
        _openssl(
            "req", "-x509", "-new", "-sha256", "-key", str(fresh_key), "-config", str(words),
            "-days", str(AUTHORITY_DAYS), "-out", str(fresh),
        )  # fmt: skip
        fresh_key.replace(key)
        fresh.replace(tls.authority)
    finally:
        words.unlink(missing_ok=True)


def _make_certificate(tls: Tls, authority_key: Path, names: list[str]) -> None:
    fresh_key, fresh = _new(tls.key), _new(tls.certificate)
    request, words = tls.directory / "server.csr", tls.directory / "server.cnf"
    listed = ",".join(f"{'IP' if _is_address(n) else 'DNS'}:{n}" for n in names)
    words.write_text(
        "[req]\nprompt = no\ndistinguished_name = who\n[who]\nCN = Xunlou broker\n"
        "[what]\nbasicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\n"
        f"extendedKeyUsage = serverAuth\nsubjectAltName = {listed}\n"
        "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n",
        "ascii",
    )
    try:
        _key(fresh_key)
        _openssl("req", "-new", "-sha256", "-key", str(fresh_key), "-config", str(words),
                 "-out", str(request))  # fmt: skip
        _openssl(
            "x509", "-req", "-sha256", "-in", str(request), "-CA", str(tls.authority),
            "-CAkey", str(authority_key), "-set_serial", f"0x{secrets.token_hex(16)}",
            "-days", str(SERVER_DAYS), "-extfile", str(words), "-extensions", "what",
            "-out", str(fresh),
        )  # fmt: skip
        fresh_key.replace(tls.key)
        fresh.replace(tls.certificate)
    finally:
        for path in (words, request):
            path.unlink(missing_ok=True)
