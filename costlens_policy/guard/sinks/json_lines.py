"""Events into a file, one JSON object on each line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from costlens_policy.guard.events import Event

__all__ = ["JsonLinesSink"]


class JsonLinesSink:
    """Appends to a file. Each line is one write, so several processes can share it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path: Final = Path(path)

    def __call__(self, event: Event) -> None:
        line = json.dumps(event.to_dict(), ensure_ascii=False) + "\n"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
