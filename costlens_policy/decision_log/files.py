"""A file of JSON lines that several processes append to, and that starts anew when it is large."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

__all__ = ["JsonLinesFile"]

_MODE: Final = 0o600


class JsonLinesFile:
    """Appends entries to a file, a line for each, that only its owner may read.

    A file of more than ``max_bytes`` is renamed, with the time in its name, and a new one is begun; the newest ``keep``
    of them stay. Processes that share a path see that another one, or a program such as logrotate, has renamed it.
    With ``sync`` each batch is on disk before the next one, which takes as long as the disk does. Raises ``OSError``.
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

    def __call__(self, entries: Sequence[dict[str, Any]]) -> None:
        """Append entries."""
        text = "".join(f"{json.dumps(entry, ensure_ascii=False, separators=(',', ':'))}\n" for entry in entries)
        self._look_after()
        data = text.encode("utf-8", "backslashreplace")
        if self._is_torn:
            data = b"\n" + data  # so that a line that was cut off spoils no other
        self._is_torn = True
        while data:
            data = data[os.write(self._handle, data) :]
        self._is_torn = False
        if self._sync:
            os.fsync(self._handle)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _open(self) -> None:
        self.close()
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), _MODE)

    def _look_after(self) -> None:
        """Open the file again where it is another one by now, and begin a new one where it is full."""
        if self._handle < 0 or not self._is_there():
            self._open()
        if os.fstat(self._handle).st_size >= self._max:
            if self._is_there():
                with suppress(FileNotFoundError):  # another process has just renamed it
                    os.replace(self.path, f"{self.path}.{time.time_ns()}")
            self._open()
            self._forget_old()

    def _is_there(self) -> bool:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self._handle)
        return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)

    def _forget_old(self) -> None:
        old = sorted(
            (path for path in self.path.parent.glob(f"{self.path.name}.*") if path.suffix[1:].isdecimal()),
            key=lambda path: int(path.suffix[1:]),
        )
        for path in old[: -self._keep]:
            with suppress(OSError):
                path.unlink()
