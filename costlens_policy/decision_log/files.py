"""A file of JSON lines that several processes append to, and that starts anew when it is large."""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any, Final

__all__ = ["JsonLinesFile"]

_LOG: Final = logging.getLogger("costlens_policy.decision_log")
_MODE: Final = 0o600
_DIGITS: Final = 19
"""Of nanoseconds since 1970, from 2001 to 2286."""
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP


class JsonLinesFile:
    """Appends entries to a file, a line for each. A new file is for its owner only.

    A file that would have more than ``max_bytes`` with the next entry is renamed, with the time in its name, and a new
    one with the same permissions is begun; the newest ``keep`` of them stay. Processes that share a path see that
    another one, or a program such as logrotate, has renamed it. With ``sync`` each batch is on disk before the next
    one, which takes as long as the disk does. A file that others may read is logged as a warning. Raises ``OSError``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, max_bytes: int = 256 * 1024**2, keep: int = 16, sync: bool = False
    ) -> None:
        if max_bytes < 1 or keep < 1:
            raise ValueError(f"`max_bytes` and `keep` must be at least 1, got `{max_bytes}` and `{keep}`")
        self.path: Final = Path(path)
        self._max = max_bytes
        self._keep = keep
        self._sync = sync
        self._handle = -1
        self._is_torn = False
        self._open()
        self._warn()

    def __call__(self, entries: Sequence[dict[str, Any]]) -> None:
        """Append entries."""
        waiting = deque(_line(entry) for entry in entries)
        self._look_after()
        while waiting:
            size = os.fstat(self._handle).st_size
            part = [waiting.popleft()]
            if size and size + len(part[0]) > self._max:
                size = self._begin_anew()
            size += len(part[0])
            while waiting and size + len(waiting[0]) <= self._max:
                size += len(waiting[0])
                part.append(waiting.popleft())
            self._append(b"".join(part))
        if self._sync:
            os.fsync(self._handle)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _append(self, data: bytes) -> None:
        """Append whole lines. Others wait meanwhile: half of a long write, once seen, looks like a line cut off."""
        with _only_writer(self._handle):
            if self._ends_inside_a_line():
                data = b"\n" + data  # so that a line that was cut off spoils no other
            self._is_torn = True
            while data:
                data = data[os.write(self._handle, data) :]
            self._is_torn = False

    def _ends_inside_a_line(self) -> bool:
        """Whether this process, or another one that was killed or found the disk full, has cut a line off."""
        try:
            end = os.lseek(self._handle, 0, os.SEEK_END)
            return end > 0 and os.pread(self._handle, 1, end - 1) != b"\n"
        except (OSError, AttributeError):  # a pipe, a file that may only be written, or Windows
            return self._is_torn

    def _open(self, mode: int = _MODE) -> None:
        self.close()
        flags = os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        is_pipe = self.path.exists() and not self.path.is_file()
        try:
            self._handle = os.open(self.path, (os.O_WRONLY if is_pipe else os.O_RDWR) | flags, mode)
        except PermissionError:
            self._handle = os.open(self.path, os.O_WRONLY | flags, mode)

    def _warn(self) -> None:
        found = os.fstat(self._handle)
        if stat.S_ISREG(found.st_mode) and found.st_mode & _OTHERS and os.name == "posix":
            mode = f"{stat.S_IMODE(found.st_mode):03o}"
            _LOG.warning(
                "`%s` can be read or changed by other users (mode %s); chmod it to 600 or 640", self.path, mode
            )

    def _look_after(self) -> None:
        """Open the file again where it is another one by now."""
        if self._handle < 0 or not self._is_there():
            self._open()

    def _begin_anew(self) -> int:
        """Put the full file aside, and begin a new one, unless another process has; return the size of what there is.

        Each has the time in its name or, if a clock was put back, a number after the newest, which no other process
        takes.
        """
        mode = stat.S_IMODE(os.fstat(self._handle).st_mode)
        if self._is_there():
            newest = max((int(path.suffix[1:]) for path in self._old()), default=0)
            with suppress(FileNotFoundError):  # another process has just renamed it
                os.replace(self.path, f"{self.path}.{max(time.time_ns(), newest + os.getpid())}")
        self._open(mode)
        if os.fstat(self._handle).st_size == 0:
            with suppress(OSError, AttributeError):
                os.fchmod(self._handle, mode)  # what the umask has taken away
        self._forget_old()
        return os.fstat(self._handle).st_size

    def _is_there(self) -> bool:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self._handle)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def _old(self) -> list[Path]:
        """Return the files that were put aside here, and none of logrotate, which counts from one."""
        beside = self.path.parent.glob(f"{escape(self.path.name)}.*")
        return [path for path in beside if len(path.suffix) > _DIGITS and path.suffix[1:].isdecimal()]

    def _forget_old(self) -> None:
        for path in sorted(self._old(), key=lambda path: int(path.suffix[1:]))[: -self._keep]:
            with suppress(OSError):
                path.unlink()


@contextmanager
def _only_writer(handle: int) -> Iterator[None]:
    """Hold the file's lock, where the system has such locks and the file system or pipe takes them."""
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)


def _line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode("utf-8", "backslashreplace")
