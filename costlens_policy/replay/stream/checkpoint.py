"""A replay under way as a file: what it is about, how far it is, and its state. Written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.errors import TrafficError
from costlens_policy.replay.traffic.mapping import Mapping

__all__ = ["Checkpoint", "identity_of"]

_FORMAT: Final = 1
_EDGE: Final = 1 << 20


def identity_of(plan: Plan, mapping: Mapping, settings: Settings, files: Sequence[str]) -> dict[str, Any]:
    """Return what has to be the same for a replay to go on: policy set, prices, mapping, assumptions and files.

    Files are told by name, size, time of change, and a digest of their first and last mebibyte.
    """
    return {
        "format": _FORMAT,
        "policy set": plan.policy_digest,
        "prices": plan.catalogue_digest,
        "mapping": [[item.name, _plain(getattr(mapping, item.name))] for item in fields(mapping)],
        "assumptions": [[item.name, str(getattr(settings, item.name))] for item in fields(settings)],
        "traffic": [_file(name) for name in files],
    }


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _file(name: str) -> list[Any]:
    digest = sha256()
    with open(name, "rb") as stream:
        digest.update(stream.read(_EDGE))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - _EDGE, 0))
        digest.update(stream.read(_EDGE))
        changed = os.fstat(stream.fileno()).st_mtime_ns
    return [name, size, changed, digest.hexdigest()]


class Checkpoint:
    """The file of a replay under way."""

    __slots__ = ("_identity", "path")

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self._identity = identity

    def read(self) -> dict[str, Any] | None:
        """Return what was written last, or None where there is nothing. Raises ``TrafficError``."""
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise TrafficError(f"`{self.path}` is no replay that could go on: {str(error).lower()}") from error
        known = content.get("identity") if isinstance(content, dict) else None
        if not isinstance(known, dict):
            raise TrafficError(f"`{self.path}` is no replay that could go on; name another file")
        for name, value in self._identity.items():
            if known.get(name) != value:
                raise TrafficError(
                    f"`{self.path}` holds another replay, whose {name} differs; remove it or name another file"
                )
        return {name: value for name, value in content.items() if name != "identity"}

    def write(self, content: dict[str, Any]) -> None:
        """Write how far the replay is. Raises ``TrafficError``."""
        data = json.dumps({"identity": self._identity, **content}).encode()
        try:
            self._replace(data)
        except OSError as error:
            raise TrafficError(f"`{self.path}` cannot be written: {(error.strerror or str(error)).lower()}") from error

    def _replace(self, data: bytes) -> None:
        folder = self.path.resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".new", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(descriptor)
            os.replace(name, self.path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    def remove(self) -> None:
        """Remove the file of a replay that has come to its end."""
        self.path.unlink(missing_ok=True)
