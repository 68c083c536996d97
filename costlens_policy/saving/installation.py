"""Everything installed that has a say in what a plan is: this package, Python, the libraries and the time zones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH

from costlens_policy.saving.files import FORMAT
from costlens_policy.version import __version__

__all__ = ["installation"]

_METADATA: Final = (".dist-info", ".egg-info")
_PACKAGE: Final = Path(__file__).parent.parent


@cache
def installation() -> str:
    """Return a digest that changes when any of it does.

    The price list that catalogues import from is one of the libraries. Their versions are read off the names of the
    folders beside them, which takes a hundredth of the time that asking for each takes.
    """
    parts = (str(FORMAT), __version__, sys.version, *_own_code(), *_libraries(), *_time_zones())
    return sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _own_code() -> Iterator[str]:
    """Yield what identifies the code of this package: the record of its installation, or each file of a checkout."""
    record = _PACKAGE.parent / f"costlens_policy-{__version__}.dist-info" / "RECORD"
    if record.is_file():
        yield _stamp(record)
        return
    for here, folders, files in os.walk(_PACKAGE):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            yield _stamp(os.path.join(here, name))


def _libraries() -> Iterator[str]:
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:  # an archive, or nothing
            yield _stamp(place)
        else:
            yield from sorted(name for name in names if name.endswith(_METADATA))


def _time_zones() -> Iterator[str]:
    return (_stamp(place) for place in TZPATH)


def _stamp(path: str | os.PathLike[str]) -> str:
    """Return path, size and time of the last change; of what is not there, that it is not."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return f"{path}: none"
    return f"{path}: {found.st_size} {found.st_mtime_ns}"
