"""Files and documents as they are read: each once, and only when something asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from costlens_policy.diagnostics.model import Diagnostic, PolicyError
from costlens_policy.documents import KINDS, Document
from costlens_policy.schema import read_document
from costlens_policy.source.compose import Composed, compose
from costlens_policy.source.located import LocatedDocument, SourceText
from costlens_policy.source.read import read_source

__all__ = ["File", "Library", "Reading"]


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
        return tuple(Reading(located) for located in self._composed.documents)


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

    def __iter__(self) -> Iterator[File]:
        return iter(self._files.values())

    def sources(self) -> dict[str, SourceText]:
        """Return the text of every file that could be read, by its name."""
        return {file.name: file.source for file in self if file.source is not None}

    def __contains__(self, path: Any) -> bool:
        return path in self._files
