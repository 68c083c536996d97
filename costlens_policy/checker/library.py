"""The files that paths mean, their documents, and the policy sets among them; each is read once, when it is needed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Related, Severity, Span
from costlens_policy.documents import KINDS, Document
from costlens_policy.frozen import frozen
from costlens_policy.schema import read_document, with_windows_apart
from costlens_policy.source.compose import Composed, compose
from costlens_policy.source.located import LocatedDocument, SourceText
from costlens_policy.source.read import checkout_of, is_yaml, read_source, yaml_files

__all__ = [
    "File", "Found", "Library", "Reading", "declares_a_set", "find_sets", "no_policy_set", "sets_in",
    "several_policy_sets",
]  # fmt: skip


@dataclass(eq=False)
class Reading:
    """One document of a file. ``document`` is absent when ``diagnostics`` holds an error."""

    located: LocatedDocument

    @cached_property
    def _read(self) -> tuple[Document | None, tuple[Diagnostic, ...]]:
        return read_document(self.located)

    @property
    def document(self) -> Document | None:
        return self._read[0]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self._read[1]

    @property
    def kind(self) -> str:
        """The word in ``kind``, whether known or not; empty without one."""
        return self._text("kind")

    @property
    def is_ours(self) -> bool:
        """Whether this is a document of this program: other tools have YAML files with a ``kind``, too."""
        version = self._text("apiVersion")
        return version.startswith("costlens") if version else self.kind in KINDS

    def _text(self, key: str) -> str:
        value = self.located.root.find((key,))
        return value.content if value is not None and isinstance(value.content, str) else ""


@dataclass(eq=False)
class File:
    """One file, named as the user named it. Nothing is raised: what went wrong is in ``diagnostics``."""

    name: str
    resolved: Path

    @cached_property
    def _source(self) -> tuple[SourceText | None, tuple[Diagnostic, ...]]:
        try:
            return read_source(self.name), ()
        except PolicyError as error:
            return None, error.diagnostics

    @cached_property
    def _composed(self) -> Composed:
        source, diagnostics = self._source
        return Composed((), diagnostics) if source is None else compose(source)

    @property
    def source(self) -> SourceText | None:
        return self._source[0]

    @property
    def text(self) -> str:
        return self.source.text if self.source is not None else ""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """What is wrong with the file itself; with an error among these it has no readings."""
        return self._composed.diagnostics

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        if any(item.is_error for item in self.diagnostics):
            return ()
        return tuple(Reading(with_windows_apart(located)) for located in self._composed.documents)


@dataclass
class Library:
    """Every file that was asked for, once, however it was named."""

    _files: dict[Path, File] = field(default_factory=dict)

    def open(self, name: str | os.PathLike[str]) -> File:
        try:
            resolved = Path(os.path.realpath(name))
        except (OSError, ValueError):  # a name that no file can have; reading it says so
            resolved = Path(name)
        return self._files.setdefault(resolved, File(os.fspath(name), resolved))

    def put(self, source: SourceText) -> None:
        """Let a text stand in the place of the file that has its name."""
        file = self.open(source.name)
        vars(file)["_source"] = (source, ())

    def __iter__(self) -> Iterator[File]:
        return iter(self._files.values())

    def sources(self) -> dict[str, SourceText]:
        """Return the text of every file that could be read, by its name."""
        return {file.name: file.source for file in self if file.source is not None}

    def __contains__(self, path: Any) -> bool:
        return path in self._files


_SET: Final = "PolicySet"
_LISTING_LINE: Final = re.compile(r"""^["']?kind["']?\s*:\s*["']?(PolicySet|Workload)\b""", re.MULTILINE)
_SET_LINE: Final = re.compile(r"""^["']?kind["']?\s*:\s*["']?PolicySet\b""", re.MULTILINE)


@frozen
class Found:
    """A policy set and its file."""

    file: File
    reading: Reading

    @property
    def span(self) -> Span:
        return self.reading.located.root.span_of(("kind",))


def find_sets(
    library: Library, paths: Sequence[Path], *, nested: bool = False
) -> tuple[tuple[Found, ...], tuple[Diagnostic, ...]]:
    """Return the policy sets in files and folders, and what is wrong with files that were named or may hold one.

    Where a folder has a policy set at its top, those further down are left alone unless ``nested``: they are examples
    or parts of others.
    """
    sets: list[Found] = []
    diagnostics: list[Diagnostic] = []
    for path in paths:
        files = _candidates(library, path, nested) if os.path.isdir(path) else [library.open(path)]
        for file in files:
            diagnostics += file.diagnostics
            sets += _in_file(file)
    return tuple({item.reading: item for item in sets}.values()), tuple(diagnostics)


def sets_in(library: Library, names: Iterable[str]) -> Iterator[tuple[File, list[Found]]]:
    """Yield the files that may contain policy sets, with the sets that could be read.

    Files with a workload, which has its own catalogue, come without a set.
    """
    for name in names:
        if _declares(name, _LISTING_LINE):
            yield (file := library.open(name)), _in_file(file)


def declares_a_set(name: str | os.PathLike[str]) -> bool:
    """Return whether a file looks as if it held a policy set."""
    return _declares(name, _SET_LINE)


def _declares(name: str | os.PathLike[str], line: re.Pattern[str]) -> bool:
    """Look at the text of a file, which is not kept: other tools' files may be many, and secret."""
    try:
        return os.path.isfile(name) and line.search(read_source(name).text) is not None
    except PolicyError:
        return False


def _candidates(library: Library, folder: Path, nested: bool) -> list[File]:
    """Return the files of a folder that look as if they held a policy set: those at its top, else those below.

    A broken set at the top counts, or the one of an example below would be taken in its place.
    """
    files = [file for file in map(library.open, yaml_files(folder)) if _may_hold_a_set(file)]
    top = [file for file in files if Path(file.name).parent == Path(os.path.normpath(folder))]
    return files if nested else top or files


def _may_hold_a_set(file: File) -> bool:
    """Look at the text only: composing every file of a large repository would take long."""
    return _SET_LINE.search(file.text) is not None


def _in_file(file: File) -> list[Found]:
    return [Found(file, reading) for reading in file.readings if reading.is_ours and reading.kind == _SET]


def no_policy_set(library: Library, paths: Sequence[Path]) -> Diagnostic:
    """Report that there is no policy set, and what there is instead."""
    where = ", ".join(f"`{path}`" for path in paths) or "no path"
    kinds = {reading.kind for path in paths if os.path.isfile(path) for reading in library.open(path).readings}
    if above := next((name for path in paths if (name := _set_above(path))), ""):
        advice = f"there is one above, in `{above}`; pass that file or `{os.path.dirname(above) or '.'}`"
    elif known := sorted(kinds & set(KINDS)):
        advice = f"this is a {known[0]}; pass the PolicySet that lists it, or the folder that holds both"
    else:
        advice = "`costlens-policy init` writes one to start from"
    return Diagnostic("CL201", Severity.ERROR, f"no policy set in {where}", help=advice)


def _set_above(path: Path) -> str:
    """Return the nearest file above a path with a policy set, as it would be named from here; empty for none."""
    for folder in Path(os.path.realpath(path)).parents:
        try:
            names = sorted(filter(is_yaml, os.listdir(folder)))
        except OSError:
            return ""
        if found := next((name for name in names if declares_a_set(folder / name)), None):
            return _from_here(folder / found)
        if checkout_of(folder / "_") == folder:
            break
    return ""


def _from_here(path: Path) -> str:
    try:
        return os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)


def several_policy_sets(found: Sequence[Found]) -> Diagnostic:
    """Ask which of several sets is meant."""
    names = [f"`{item.file.name}`" for item in found]
    first, *others = found
    return Diagnostic(
        "CL202",
        Severity.ERROR,
        f"there are {len(found)} policy sets, but exactly one is needed",
        first.span,
        "one",
        f"pass the file that you mean: {', '.join(names[:-1])} or {names[-1]}",
        tuple(Related(item.span, "another") for item in others),
    )
