"""The file of a saved plan: a line with the format, one with metadata, and the plan itself.

The second line has the SHA-256 of the third, which detects a truncated or damaged file. It is not a signature: anyone
who can write the file can write the digest, too. If the operating system does not report the owner of a file (Windows,
Pyodide), nothing can be trusted, and there is no cache.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.saving.encoding import ForeignPlan, NotSavable, UnusablePlan, decode, encode
from costlens_policy.source.read import read_bytes
from costlens_policy.version import __version__

__all__ = [
    "FORMAT", "SETTING", "Folder", "PlanFile", "chosen_folder", "content_of", "parse", "read_plan", "replace_file",
    "write_plan",
]  # fmt: skip

FORMAT: Final = 1
"""Counts up whenever files of before can no longer be read."""

_MAGIC: Final = b"costlens-policy plan\n"


@frozen
class PlanFile:
    """A file whose plan has not been decoded yet. ``remarks`` is what was stored with it."""

    remarks: Mapping[str, Any]
    _digest: str
    _body: bytes

    def plan(self) -> Plan:
        """Return the plan. Raises ``UnusablePlan``."""
        if sha256(self._body).hexdigest() != self._digest:
            raise UnusablePlan("it is damaged")
        try:
            found = decode(json.loads(self._body))
        except (ValueError, RecursionError):
            raise UnusablePlan("it is damaged") from None
        if not isinstance(found, Plan):
            raise UnusablePlan("it is damaged")
        return found


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan to a file. Raises ``InputError``."""
    try:
        replace_file(path, content_of(plan, {}))
    except OSError as error:
        raise InputError(f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}") from error
    except NotSavable as error:
        raise InputError(f"`{path}` cannot be written: {error}") from error


def read_plan(path: Path) -> Plan:
    """Load a plan from a file. Raises ``PolicyError`` (CL001, CL024, CL025)."""
    try:
        return parse(read_bytes(path)).plan()
    except UnusablePlan as error:
        code = "CL025" if isinstance(error, ForeignPlan) else "CL024"
        advice = "save it again with this version"
        message = f"`{path}` cannot be used: {error}"
        raise PolicyError([Diagnostic(code, Severity.ERROR, message, help=advice)]) from error


def content_of(plan: Plan, remarks: Mapping[str, Any]) -> bytes:
    """Return what to write for a plan. ``remarks`` are JSON. Raises ``NotSavable``."""
    body = json.dumps(encode(plan), separators=(",", ":")).encode("ascii")
    head = {"format": FORMAT, "version": __version__, "sha256": sha256(body).hexdigest(), "remarks": remarks}
    return b"".join((_MAGIC, json.dumps(head).encode("ascii"), b"\n", body))


def parse(content: bytes) -> PlanFile:
    """Return the file that holds ``content``. Raises ``UnusablePlan``, and ``ForeignPlan`` for another version's."""
    if not content.startswith(_MAGIC):
        raise UnusablePlan("it is not a saved plan")
    head, _, body = content[len(_MAGIC) :].partition(b"\n")
    try:
        read = json.loads(head)
        format, version, digest, remarks = (read[key] for key in ("format", "version", "sha256", "remarks"))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnusablePlan("it is damaged") from None
    if format != FORMAT or version != __version__:
        raise ForeignPlan(f"version {str(version)[:40]} wrote it, but this is version {__version__}")
    return PlanFile(remarks, digest, body)


def replace_file(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file atomically, even with concurrent writers; with ``sync`` it is on disk first. Raises ``OSError``."""
    from tempfile import mkstemp  # it imports more than all else here, and reading a plan needs none of it

    handle, name = mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            if sync:
                stream.flush()
                os.fsync(handle)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


SETTING: Final = "COSTLENS_POLICY_CACHE"
"""Environment variable: ``off`` or a folder; without it, the user's own cache folder."""

_OFF: Final = ("off", "0", "no", "false")
_SUFFIX: Final = ".plan"
_KEPT_FOR: Final = 2 * 86_400.0
"""Seconds. A plan is found on the day it was written only; what is older is of no use."""
_MOST_PLANS: Final = 200
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_NO_LINK: Final[int] = getattr(os, "O_NOFOLLOW", 0)


def chosen_folder(kind: str = "plans") -> Folder | None:
    """Return the cache folder of a kind of files, by default below that of the user, or None if the cache is off or
    there is no place for it.
    """
    setting = os.environ.get(SETTING, "").strip()
    if setting.lower() in _OFF or _user() is None:
        return None
    place = Path(os.path.abspath(setting)) if setting else _of_user()
    return None if place is None else Folder(place / kind)


def _of_user() -> Path | None:
    """Return the cache folder of this platform's user."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    home = os.path.expanduser("~")
    if not os.path.isabs(given):
        if not os.path.isabs(home):
            return None
        given = os.path.join(home, "Library", "Caches") if sys.platform == "darwin" else os.path.join(home, ".cache")
    return Path(given, "costlens-policy")


class Folder:
    """Files by name. Files that cannot be read or written safely are ignored; nothing is raised."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it is missing, or if others could have written it."""
        if not self._is_ours():
            return None
        try:
            handle = os.open(self.path / f"{name}{_SUFFIX}", os.O_RDONLY | _NO_LINK | getattr(os, "O_BINARY", 0))
            with os.fdopen(handle, "rb") as stream:
                found = os.fstat(stream.fileno())
                return stream.read() if stat.S_ISREG(found.st_mode) and _is_safe(found) else None
        except (OSError, MemoryError):
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, and delete expired ones."""
        with suppress(OSError):
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            if self._is_ours():
                replace_file(self.path / f"{name}{_SUFFIX}", content)
                self._tidy()

    def clear(self) -> int:
        """Delete every saved plan and return their number. Raises ``OSError``."""
        files = self.files()
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    @property
    def is_refused(self) -> bool:
        """Whether there is something in this place that others may have written to."""
        return os.path.lexists(self.path) and not self._is_ours()

    def files(self) -> list[Path]:
        """Return the saved plans, also those that were not written to the end."""
        if not self._is_ours():
            return []
        return [path for path in self.path.iterdir() if path.name.endswith((_SUFFIX, ".part"))]

    def _is_ours(self) -> bool:
        try:
            found = os.lstat(self.path)
        except (OSError, ValueError):
            return False
        return stat.S_ISDIR(found.st_mode) and _is_safe(found)

    def _tidy(self) -> None:
        ages = sorted((path.stat().st_mtime, path) for path in self.files())
        useless = time.time() - _KEPT_FOR
        for index, (written, path) in enumerate(ages):
            if written < useless or index < len(ages) - _MOST_PLANS:
                path.unlink(missing_ok=True)


def _is_safe(found: os.stat_result) -> bool:
    """Return whether only the user of this process can have written a file or folder."""
    return found.st_uid == _user() and not found.st_mode & _OTHERS_MAY_WRITE


def _user() -> int | None:
    """Return the user id of this process; None if the operating system has none."""
    ask: Callable[[], int] | None = getattr(os, "geteuid", None)
    return None if ask is None else ask()
