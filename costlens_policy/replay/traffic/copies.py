"""Traffic that lies elsewhere, as copies on this machine: read under the names that people know it by."""

from __future__ import annotations

import atexit
import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from costlens_policy.frozen import frozen

__all__ = ["Copy", "add_copy", "copy_of", "local", "new_place"]


@frozen
class Copy:
    """A copy for as long as the process lasts. ``version`` is that of what was copied, as its store knows it."""

    name: str
    path: str
    version: str
    has_path: bool
    """Whether the name is a path, whose folders may be columns."""

    @property
    def identity(self) -> list[str]:
        """What is the same for the same rows in the same order."""
        with open(self.path, "rb") as stream:
            return [self.name, self.version, hashlib.file_digest(stream, "sha256").hexdigest()]


_COPIES: Final[dict[str, Copy]] = {}
_FOLDERS: Final[list[TemporaryDirectory[str]]] = []


def add_copy(name: str, path: str, version: str, *, has_path: bool = False) -> None:
    """Let a name mean a copy from now on."""
    _COPIES[name] = Copy(name, path, version, has_path)


def copy_of(name: str) -> Copy | None:
    """Return the copy that a name means; None for a file of this machine."""
    return _COPIES.get(name)


def local(name: str) -> str:
    """Return the path to read for a name."""
    copy = _COPIES.get(name)
    return name if copy is None else copy.path


def new_place(suffix: str) -> str:
    """Return a path for a copy, in a folder that is removed when the process ends."""
    if not _FOLDERS:
        folder = TemporaryDirectory(prefix="costlens-traffic-", ignore_cleanup_errors=True)
        atexit.register(folder.cleanup)
        _FOLDERS.append(folder)
    return str(Path(_FOLDERS[0].name, f"{len(list(Path(_FOLDERS[0].name).iterdir()))}{suffix}"))
