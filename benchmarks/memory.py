"""The most memory that this process has taken."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_kib"]

_STATUS = Path("/proc/self/status")


def peak_kib() -> int:
    """Return the peak of the resident set, in KiB.

    ``ru_maxrss`` of a new process begins at that of the process which started it, so Linux is asked another way.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak
