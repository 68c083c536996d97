"""Run again whenever a file that matters changes. Files are polled, which works on every file system."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from costlens_policy.source.read import yaml_files
from costlens_policy.testing.results import Run

__all__ = ["WatchEvent", "watch"]

_Stamp: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A run, and the files whose change led to it; none for the first."""

    run: Run
    changed: tuple[str, ...]


def watch(
    paths: Iterable[str | os.PathLike[str]],
    run: Callable[[], Run],
    *,
    interval: float = 0.5,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[WatchEvent]:
    """Yield the result of ``run`` now, and again after each change, without end; whoever iterates stops it.

    Looked at are the YAML files under ``paths`` and in the folders of the files that the last run read, so that new
    files count, too. ``interval`` is the time between two looks, in seconds.
    """
    given = [os.fspath(path) for path in paths]
    seen = _stamps(given, ())
    changed: tuple[str, ...] = ()
    while True:
        result = run()
        # Of a file that changed during the run the earlier stamp counts, so that the next look finds the change.
        current = _stamps(given, result.sources)
        seen = {file: seen.get(file, stamp) for file, stamp in current.items()}
        yield WatchEvent(result, changed)
        changed = ()
        while not changed:
            sleep(interval)
            current = _stamps(given, result.sources)
            changed = _changed(seen, current)
        seen = current


def _stamps(paths: Iterable[str], read: Iterable[str]) -> dict[str, _Stamp]:
    """Return time and size of every file that matters; a file that is gone has none."""
    files = set(read)
    for path in paths:
        files.update(yaml_files(path) if os.path.isdir(path) else [path])
    for folder in {os.path.dirname(file) or "." for file in files}:
        files.update(map(str, Path(folder).glob("*.y*ml")))
    stamps = ((os.path.normpath(file), _stamp(file)) for file in files)
    return {file: stamp for file, stamp in stamps if stamp is not None}


def _stamp(file: str) -> _Stamp | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _changed(before: Mapping[str, _Stamp], now: Mapping[str, _Stamp]) -> tuple[str, ...]:
    """Return the files that were added, changed or removed."""
    return tuple(sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file)))
