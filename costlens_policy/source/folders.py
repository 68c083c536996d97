"""Folders of policy files: what they hold, and which repository they belong to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

__all__ = ["checkout_of", "is_yaml", "repository_of", "visible_files", "yaml_files"]

_SUFFIXES: Final = (".yaml", ".yml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})
_CHECKOUTS: Final = (".git", ".hg", ".jj", ".svn")


def repository_of(origin: Path, paths: Sequence[Path]) -> Path:
    """Return the folder that references may not leave.

    That is the checkout around ``origin``, else the smallest folder that holds ``paths`` and ``origin``.
    """
    if (checkout := checkout_of(origin)) is not None:
        return checkout
    given = [Path(os.path.realpath(path)) for path in paths]
    folders = [path if os.path.isdir(path) else path.parent for path in given]
    try:
        return Path(os.path.commonpath([origin.parent, *folders]))
    except ValueError:  # different drives
        return origin.parent


def checkout_of(origin: Path) -> Path | None:
    """Return the nearest folder above a file with a ``.git`` or its like, None where there is none."""
    return next((folder for folder in origin.parents if any((folder / name).exists() for name in _CHECKOUTS)), None)


def is_yaml(name: str) -> bool:
    """Say whether a file is read when a folder is: its name ends as YAML does, and does not begin with a dot."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def yaml_files(folder: str | os.PathLike[str], *, links_out: bool = False) -> Iterator[str]:
    """Yield the YAML files below a folder in order, leaving out hidden folders.

    Links to folders outside of the repository are not followed, nor are links to such files; ``links_out`` names these,
    too, for a caller that reports them.
    """
    inside = Path(os.path.realpath(folder))
    repository = repository_of(inside / "PolicySet", [inside])
    for path in visible_files(folder):
        if is_yaml(os.path.basename(path)) and (links_out or not _leads_out(path, repository)):
            yield path


def visible_files(folder: str | os.PathLike[str], on_error: Callable[[OSError], object] | None = None) -> Iterator[str]:
    """Yield everything below a folder that is not a folder, in order, leaving out hidden folders.

    Links to other folders of the repository are followed, each once; one that leads out of it is yielded itself.
    ``on_error`` is told of folders that cannot be listed.
    """
    inside = Path(os.path.realpath(folder))
    repository = repository_of(inside / "PolicySet", [inside])
    entered: set[Path] = set()
    for here, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        shown = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        folders[:] = [name for name in shown if _is_entered(os.path.join(here, name), inside, repository, entered)]
        for name in sorted([*files, *(name for name in shown if name not in folders)]):
            path = os.path.normpath(os.path.join(here, name))
            if name in files or (_leads_out(path, repository) and not inside.is_relative_to(os.path.realpath(path))):
                yield path


def _is_entered(path: str, inside: Path, repository: Path, entered: set[Path]) -> bool:
    """Say whether a walk goes on in a folder: a link must lead to what the walk does not come to without it."""
    if not os.path.islink(path):
        return True
    real = Path(os.path.realpath(path))
    comes_anyway = real in entered or real.is_relative_to(inside) or inside.is_relative_to(real)
    if comes_anyway or not real.is_relative_to(repository):
        return False
    entered.add(real)
    return True


def _leads_out(path: str, repository: Path) -> bool:
    return os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(repository)
