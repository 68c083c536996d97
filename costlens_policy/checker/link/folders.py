"""Which files and policy sets are meant by paths on a command line."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from costlens_policy.checker.link.library import File, Library, Reading
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.documents import KINDS
from costlens_policy.source.folders import SUFFIXES, yaml_files

__all__ = ["Found", "find_sets", "no_policy_set", "sets_directly_in", "several_policy_sets"]

_SET: Final = "PolicySet"
_SET_LINE: Final = re.compile(r"""^["']?kind["']?\s*:\s*["']?PolicySet\b""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A policy set and the file it stands in."""

    file: File
    reading: Reading

    @property
    def span(self) -> Span:
        return self.reading.located.root.span_of(("kind",))


def find_sets(library: Library, paths: Sequence[Path]) -> tuple[tuple[Found, ...], tuple[Diagnostic, ...]]:
    """Return the policy sets in files and folders, and what is wrong with files that were named or may hold one.

    Where a folder has a policy set at its top, those further down are left alone: they are examples or parts of others.
    """
    sets: list[Found] = []
    diagnostics: list[Diagnostic] = []
    for path in paths:
        files = _candidates(library, path) if os.path.isdir(path) else [library.open(path)]
        for file in files:
            diagnostics += file.diagnostics
            sets += _in_file(file)
    return tuple({item.reading: item for item in sets}.values()), tuple(diagnostics)


def sets_directly_in(library: Library, folder: Path) -> tuple[Found, ...]:
    """Return the policy sets in the files of a folder, leaving alone what is below."""
    names = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(SUFFIXES))
    files = (library.open(os.path.normpath(name)) for name in names if os.path.isfile(name))
    return tuple(found for file in files if _may_hold_a_set(file) for found in _in_file(file))


def _candidates(library: Library, folder: Path) -> list[File]:
    """Return the files of a folder that look as if they held a policy set: those at its top, else those below.

    A broken set at the top counts, or the one of an example below would be taken in its place.
    """
    files = [file for file in map(library.open, yaml_files(folder)) if _may_hold_a_set(file)]
    top = [file for file in files if Path(file.name).parent == Path(os.path.normpath(folder))]
    return top or files


def _may_hold_a_set(file: File) -> bool:
    """Look at the text only: composing every file of a large repository would take long."""
    return re.search(_SET_LINE, file.text) is not None


def _in_file(file: File) -> list[Found]:
    return [Found(file, reading) for reading in file.readings if reading.is_ours and reading.kind == _SET]


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
