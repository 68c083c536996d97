"""Policies in files and folders of this machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias

from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.live.source import Fetched
from costlens_policy.saving.cache import PoliciesRead, read_policies, still_hold
from costlens_policy.source.read import yaml_files

__all__ = ["FolderSource"]

_Stamp: TypeAlias = tuple[str, int, int, int, int]

_JUST_NOW: Final = 2 * 10**9
"""Nanoseconds within which a file may be written twice and bear the same time: file systems count in steps."""
_REFUSED_FOR: Final = 30.0
"""Seconds after which refused files are read again that look the same: they may name others, which are not known."""
_TRIES: Final = 3
_PAUSE: Final = 0.05


class FolderSource:
    """The policy set in files or folders, as ``load`` reads it.

    Whether anything has changed is seen by names, sizes and times; the files are read where these have changed, or did
    so within the last two seconds. A set that changes while it is read is read again.
    """

    def __init__(self, *paths: str | os.PathLike[str], cache: bool = True) -> None:
        self.name: Final = " ".join(os.fspath(path) for path in paths)
        self._paths: Final = [Path(path) for path in paths]
        self._cache = cache
        self._fetched: Fetched | None = None
        self._inputs: Mapping[str, Any] = {}
        """What the policies were made from that were fetched last."""
        self._refused: CostlensPolicyError | None = None
        """What is wrong with the policies that were looked at last; None if nothing is."""
        self._refused_until = 0.0
        self._stamps: tuple[_Stamp, ...] = ()

    def fetch(self) -> Fetched:
        """Return the policies as they are now. Raises ``PolicyError``."""
        stamps = self._stamped()
        looks_same = stamps == self._stamps and _is_settled(stamps)
        if self._refused is not None:
            if looks_same and time.monotonic() < self._refused_until:
                raise self._refused
        elif self._fetched is not None and (looks_same or still_hold(self._inputs, self._paths)):
            self._stamps = stamps
            return self._fetched
        return self._read(stamps)

    def _read(self, stamps: tuple[_Stamp, ...]) -> Fetched:
        try:
            read, inputs = self._read_as_one()
        except CostlensPolicyError as error:
            self._stamps, self._refused = stamps, error
            self._refused_until = time.monotonic() + _REFUSED_FOR
            raise
        version = _version_of(inputs)
        if self._fetched is None or self._fetched.version != version:
            self._fetched = Fetched(version, read.plan)
        self._inputs, self._refused = inputs, None
        self._stamps = self._stamped()
        return self._fetched

    def _read_as_one(self) -> tuple[PoliciesRead, Mapping[str, Any]]:
        """Read files that are all as they were read once the last of them has been."""
        for _ in range(_TRIES):
            read = read_policies(self._paths, cache=self._cache)
            if read.inputs is not None and still_hold(read.inputs, self._paths):
                return read, read.inputs
            time.sleep(_PAUSE)
        message = f"`{self.name}` changes while it is read"
        advice = "replace the folder as a whole, such as by a link to another one, or serve a bundle"
        raise PolicyError([Diagnostic("CL001", Severity.ERROR, message, help=advice)])

    def _stamped(self) -> tuple[_Stamp, ...]:
        """Return the stamps of the files that were read, and of those that would be."""
        return tuple(_stamp(name) for name in sorted({*self._inputs.get("files", ()), *self._listed()}))

    def _listed(self) -> Iterator[str]:
        for path in self._paths:
            if path.is_dir():
                yield from yaml_files(path)
            else:
                yield str(path)


def _stamp(name: str) -> _Stamp:
    try:
        found = os.stat(name)
    except (OSError, ValueError):
        return name, -1, 0, 0, 0
    return name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _is_settled(stamps: Sequence[_Stamp]) -> bool:
    newest = max((max(written, changed) for _, _, written, changed, _ in stamps), default=0)
    return newest < time.time_ns() - _JUST_NOW


def _version_of(inputs: Mapping[str, Any]) -> str:
    """Return a digest of the texts that were read, wherever they lie."""
    read = sorted((os.path.basename(name), digest) for name, digest in inputs["files"].items())
    return sha256(json.dumps(read).encode()).hexdigest()
