"""Policies in a bundle, wherever it lies: what is fetched is opened and verified, once for each version."""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple, Protocol

from costlens_policy.bundles import BundleError, open_bundle
from costlens_policy.bundles.trust import Trust, plan_of
from costlens_policy.errors import CostlensPolicyError, InputError
from costlens_policy.live.source import Fetched

__all__ = ["BundleSource", "FileTransport", "Packed", "Transport"]

_REFUSED_FOR: Final = 30.0
"""Seconds after which a refused bundle is looked at once more: what was wrong may not have been the bundle."""
_BELIEVED_FOR: Final = 600.0
"""Seconds for which a place is believed that nothing has changed there: its tags may be wrong."""


class Packed(NamedTuple):
    """The bytes of a bundle. ``tag`` is another one for other bytes: an entity tag, or size and times of a file."""

    tag: str
    content: bytes


class Transport(Protocol):
    """Fetches a bundle from one place."""

    @property
    def name(self) -> str:
        """What people call the place: a path or a URL, without a password."""

    def get(self, tag: str) -> Packed | None:
        """Return what is there, None where its tag is still this one. Raises ``CostlensPolicyError``."""


class BundleSource:
    """The policies of a bundle. ``trust`` says whose are used, by default what the environment demands."""

    def __init__(self, transport: Transport, trust: Trust | None = None) -> None:
        self._transport = transport
        self._trust = trust or Trust.of_environment()
        self._tag = ""
        self._fetched: Fetched | None = None
        self._refused: CostlensPolicyError | None = None
        self._refused_until = 0.0
        self._believed_until = 0.0

    @property
    def name(self) -> str:
        return self._transport.name

    def fetch(self) -> Fetched:
        """Return the policies of the bundle as it is now. Raises ``InputError``, ``BundleError``, ``PolicyError``."""
        now = time.monotonic()
        if now >= (self._refused_until if self._refused is not None else self._believed_until):
            self._tag = ""
        packed = self._transport.get(self._tag)
        if packed is not None:
            self._believed_until = now + _BELIEVED_FOR
            self._open(packed)
        if self._refused is not None:
            raise self._refused
        if self._fetched is None:
            raise BundleError(f"`{self.name}` reports that nothing has changed, and has never sent a bundle")
        return self._fetched

    def _open(self, packed: Packed) -> None:
        try:
            bundle = open_bundle(packed.content, self.name)
            known = self._fetched if self._fetched is not None and self._fetched.version == bundle.digest else None
            plan = plan_of(bundle, self._trust, None if known is None else known.plan)  # whose it is may have changed
            self._fetched = known or Fetched(bundle.digest, plan)
            self._refused = None
        except CostlensPolicyError as error:
            self._refused = error
            self._refused_until = time.monotonic() + _REFUSED_FOR
        self._tag = packed.tag


class FileTransport:
    """A bundle in a file of this machine. Replace it by renaming another file, so that nobody reads half of it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name: Final = os.fspath(path)

    def get(self, tag: str) -> Packed | None:
        from costlens_policy.bundles.archive import MAX_BYTES

        try:
            with open(self.name, "rb") as stream:
                found = os.fstat(stream.fileno())
                now = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
                if now == tag:
                    return None
                content = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise InputError(f"`{self.name}` cannot be read: {reason}") from error
        settled = max(found.st_mtime_ns, found.st_ctime_ns) < time.time_ns() - 2 * 10**9
        return Packed(now if settled else "", content)
