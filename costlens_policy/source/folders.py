"""Folders of policy files: what they hold, and which repository they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["SUFFIXES", "repository_of", "yaml_files"]

SUFFIXES: Final = (".yaml", ".yml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})


def repository_of(origin: Path, paths: Sequence[Path]) -> Path:
    """Return the folder that references may not leave.

    That is the nearest folder above ``origin`` with a ``.git``, else the smallest that holds ``paths`` and ``origin``.
    """
    for folder in origin.parents:
        if (folder / ".git").exists():
            return folder
    given = [Path(os.path.realpath(path)) for path in paths]
    folders = [path if os.path.isdir(path) else path.parent for path in given]
    try:
        return Path(os.path.commonpath([origin.parent, *folders]))
    except ValueError:  # different drives
        return origin.parent


def yaml_files(folder: str | os.PathLike[str], *, links_out: bool = False) -> Iterator[str]:
    """Yield the YAML files below a folder in order, leaving out hidden folders.

    Links to folders are not followed, nor are links to files outside of the repository; ``links_out`` names these,
    too, for a caller that reports them.
    """
    inside = Path(os.path.realpath(folder))
    repository = repository_of(inside / "PolicySet", [inside])
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            path = os.path.join(here, name)
            listed = name.endswith(SUFFIXES) and not name.startswith(".")
            if listed and (links_out or _stays_inside(path, repository)):
                yield os.path.normpath(path)


def _stays_inside(path: str, repository: Path) -> bool:
    return not os.path.islink(path) or Path(os.path.realpath(path)).is_relative_to(repository)
