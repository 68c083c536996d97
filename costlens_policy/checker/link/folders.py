"""Which files and policy sets are meant by paths on a command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from costlens_policy.checker.link.library import File, Library, Reading
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.documents import KINDS

__all__ = ["Found", "find_sets", "no_policy_set", "sets_directly_in", "several_policy_sets", "yaml_files"]

_SET: Final = "PolicySet"
_SUFFIXES: Final = (".yaml", ".yml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Found:
    """A policy set and the file it stands in."""

    file: File
    reading: Reading

    @property
    def span(self) -> Span:
        return self.reading.located.root.span_of(("kind",))


def yaml_files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the YAML files below a folder in order, leaving out hidden folders; links to folders are not followed."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(files):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield os.path.normpath(os.path.join(here, name)).removeprefix("." + os.sep)


def find_sets(library: Library, paths: Sequence[Path]) -> tuple[tuple[Found, ...], tuple[Diagnostic, ...]]:
    """Return the policy sets in files and folders, and what kept files from being looked into.

    Where a folder has a policy set at its top, those further down are left alone: they are examples or parts of others.
    """
    sets: list[Found] = []
    diagnostics: list[Diagnostic] = []
    for path in paths:
        if os.path.isdir(path):
            sets += _in_folder(library, path)
        else:
            file = library.open(path)
            diagnostics += file.diagnostics
            sets += _in_file(file)
    return tuple({item.reading: item for item in sets}.values()), tuple(diagnostics)


def sets_directly_in(library: Library, folder: Path) -> tuple[Found, ...]:
    """Return the policy sets in the files of a folder, leaving alone what is below."""
    names = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(_SUFFIXES))
    files = (library.open(os.path.normpath(name)) for name in names if os.path.isfile(name))
    return tuple(found for file in files if _SET in file.text for found in _in_file(file))


def _in_folder(library: Library, folder: Path) -> list[Found]:
    top: list[Found] = []
    below: list[Found] = []
    for name in yaml_files(folder):
        file = library.open(name)
        # Composing every file of a large repository would take long, only to find most of them of no interest.
        if _SET in file.text:
            (top if Path(name).parent == folder else below).extend(_in_file(file))
    return top or below


def _in_file(file: File) -> list[Found]:
    return [Found(file, reading) for reading in file.readings if reading.is_ours and reading.kind == "PolicySet"]


def no_policy_set(library: Library, paths: Sequence[Path]) -> Diagnostic:
    """Say that there is none, and what there is instead."""
    where = ", ".join(f"`{path}`" for path in paths) or "no path"
    kinds = {reading.kind for path in paths if os.path.isfile(path) for reading in library.open(path).readings}
    if known := sorted(kinds & set(KINDS)):
        advice = f"this is a {known[0]}; name the PolicySet that lists it, or the folder with both"
    else:
        advice = "`costlens-policy init` writes one to start from"
    return Diagnostic("CL201", Severity.ERROR, f"there is no policy set in {where}", help=advice)


def several_policy_sets(found: Sequence[Found]) -> Diagnostic:
    """Ask which of several sets is meant."""
    names = [f"`{item.file.name}`" for item in found]
    first, *others = found
    return Diagnostic(
        "CL202",
        Severity.ERROR,
        f"there are {len(found)} policy sets, and one is needed",
        first.span,
        "one",
        f"name the file that you mean: {', '.join(names[:-1])} or {names[-1]}",
        tuple(Related(item.span, "another") for item in others),
    )
