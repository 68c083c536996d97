"""How a service is run: what it serves, where it listens, whom it answers, how much it takes."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from costlens_policy.errors import SettingsError
from costlens_policy.frozen import frozen
from costlens_policy.live import FolderSource, Source
from costlens_policy.live.sources import source_at
from costlens_policy.service.last_good import WithLastGood
from costlens_policy.service.signal_sources import SourceName

__all__ = ["Address", "Limits", "Open", "Settings", "Tls", "UnixPath", "address_of"]

_UNIX: Final = "unix:"


class Open(StrEnum):
    """What may be asked without a key."""

    HEALTH = "health"
    METRICS = "metrics"
    OPENAPI = "openapi"
    EVERYTHING = "everything"


@frozen
class Address:
    """A host and a port of TCP; port 0 takes a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name may lead anywhere

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen
class UnixPath:
    """A Unix socket, which only the owner of the process may use."""

    path: Path

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"


def address_of(text: str) -> Address | UnixPath:
    """Return the address that ``127.0.0.1:8181``, ``[::1]:8181`` or ``unix:/run/costlens.sock`` names.

    Raises ``SettingsError``.
    """
    if text.startswith(_UNIX):
        if text == _UNIX:
            raise SettingsError("a Unix socket needs a path, such as `unix:/run/costlens-policy.sock`")
        return UnixPath(Path(text.removeprefix(_UNIX)))
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise SettingsError(f"an address must be HOST:PORT or unix:PATH, got `{text}`")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


@frozen
class Limits:
    """How much one worker takes: bytes of a body, seconds for a request, requests at once."""

    body_bytes: int = 4 * 1024**2
    seconds: float = 10.0
    at_once: int = 512
    shutdown_seconds: int = 30


@frozen
class Tls:
    """Files in PEM form. With ``client_ca``, clients need a certificate signed by it."""

    certificate: Path
    key: Path
    key_password: str | None = None
    client_ca: Path | None = None


@frozen
class Settings:
    """All that a worker needs to know.

    ``policies`` are files and folders, or one bundle, at a path or URL. ``keys`` is the file of keys; None where all is
    open. ``log_sample`` is the share of allowed decisions that the decision log keeps.
    """

    policies: tuple[str, ...]
    ledger: str
    keys: Path | None
    open: frozenset[Open] = frozenset()
    limits: Limits = Limits()
    lease: timedelta = timedelta(minutes=10)
    cache: bool = True
    reload_seconds: float = 1.0
    """How often a worker looks whether the policies have changed."""
    decision_log: Path | None = None
    log_sample: float = 1.0
    trusts_signals: bool = False
    """Whether callers may give values of signals themselves."""
    sources: tuple[SourceName, ...] = ()
    """What is asked for external signals."""
    last_good: Path | None = None
    """Where workers keep the policies that they serve, for one that has to be replaced."""

    def source(self) -> Source:
        """Return where the policies come from: files and folders, or one bundle, at a path or URL."""
        source = self._source()
        return source if self.last_good is None else WithLastGood(source, self.last_good)

    def _source(self) -> Source:
        if len(self.policies) == 1 and not Path(self.policies[0]).is_dir():
            return source_at(self.policies[0])
        return FolderSource(*self.policies, cache=self.cache)

    def is_open(self, what: Open) -> bool:
        return what in self.open or Open.EVERYTHING in self.open
