"""Find suites, and collect what is wrong with each.

Suites are in files named ``*_test.yaml``, and in any other YAML file with a document of kind ``Suite``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Related, Severity, Span
from costlens_policy.documents.suite import SuiteDocument
from costlens_policy.frozen import frozen
from costlens_policy.schema import read_document
from costlens_policy.source.compose import compose
from costlens_policy.source.located import LocatedDocument, SourceText, part_span
from costlens_policy.source.located import Path as Place
from costlens_policy.source.read import read_source, repository_of, yaml_files

__all__ = ["FoundSuite", "SuiteProblems", "SuiteSearch", "find_suites"]

_NAMES: Final = ("_test.yaml", "_test.yml")
_KIND: Final = re.compile(r"""^(?:kind|"kind"|'kind')\s*:\s*["']?Suite\b""", re.MULTILINE)


@frozen
class FoundSuite:
    """A suite that fits its schema, and the text it was read from."""

    document: SuiteDocument
    located: LocatedDocument

    @property
    def file(self) -> str:
        return self.located.source.name


@frozen
class SuiteSearch:
    """What was found under some paths. ``diagnostics`` are about files and documents that cannot be read."""

    suites: tuple[FoundSuite, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[SourceText, ...]


class SuiteProblems:
    """The diagnostics of one suite. Paths are those of its document, such as ``("cases", 0, "expect", "rule")``."""

    __slots__ = ("_located", "diagnostics")

    def __init__(self, located: LocatedDocument) -> None:
        self._located = located
        self.diagnostics: list[Diagnostic] = []

    @property
    def has_errors(self) -> bool:
        return any(item.is_error for item in self.diagnostics)

    def report(
        self,
        code: str,
        message: str,
        path: Place,
        *,
        severity: Severity = Severity.ERROR,
        label: str = "",
        help: str = "",
        at_key: bool = False,
        within: tuple[int, int] | None = None,
        related: Iterable[Related] = (),
    ) -> None:
        """Note a problem at the value of a path, at its key, or at the characters ``within`` a text (start and end)."""
        span = (self._located.root.key_span(path) if at_key else None) or self.place(path)
        value = self._located.root.find(path)
        if within is not None and value is not None:
            span = part_span(self._located.source, value, *within)
        self.diagnostics.append(Diagnostic(code, severity, message, span, label, help, tuple(related)))

    def place(self, path: Place) -> Span:
        """Return the place of a scalar; for a map or list that of its key or first key, so that a caret stays on one
        line.

        For a missing value it is the place of its nearest parent.
        """
        value = self._located.root.find(path)
        whole = value is None or value.kind == "scalar"
        return self._located.root.span_of(path if whole else (*path, ""))


def find_suites(paths: Iterable[Path]) -> SuiteSearch:
    """Read every suite in files and folders, in the order of the paths, and by name within a folder.

    In a folder, hidden folders are left out, and links to folders are not followed.
    """
    suites: list[FoundSuite] = []
    diagnostics: list[Diagnostic] = []
    sources: list[SourceText] = []
    for file, named in dict(_files(paths)).items():
        if not named and _leads_out(file):
            diagnostics.extend([_outside(file)] if _is_suite_name(file.name) else [])
            continue
        try:
            source = read_source(file)
        except PolicyError as error:
            if named or _is_suite_name(file.name):
                diagnostics.extend(error.diagnostics)
            continue
        if not _is_suite_name(file.name) and not _KIND.search(source.text):
            continue
        sources.append(source)
        found, problems = _read(source)
        suites.extend(found)
        diagnostics.extend(problems)
    return SuiteSearch(tuple(suites), tuple(diagnostics), tuple(sources))


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file that may hold a suite, and whether the user named it."""
    for path in paths:
        if path.is_dir():
            yield from ((Path(name), False) for name in yaml_files(path, links_out=True))
        else:
            yield path, True


def _leads_out(file: Path) -> bool:
    """Return whether a file is a link out of the repository: what is there is not for the suite to read."""
    if not file.is_symlink():
        return False
    folder = Path(os.path.realpath(file.parent))
    return not Path(os.path.realpath(file)).is_relative_to(repository_of(folder / file.name, [folder]))


def _outside(file: Path) -> Diagnostic:
    message = f"`{file}` links to a file outside the repository"
    return Diagnostic("CL204", Severity.ERROR, message, help="copy the file into the repository")


def _is_suite_name(name: str) -> bool:
    return name.endswith(_NAMES)


def _read(source: SourceText) -> tuple[list[FoundSuite], list[Diagnostic]]:
    composed = compose(source)
    diagnostics = list(composed.diagnostics)
    if any(item.is_error for item in diagnostics):
        return [], diagnostics
    suites: list[FoundSuite] = []
    for located in composed.documents:
        document, problems = read_document(located)
        if isinstance(document, SuiteDocument):
            suites.append(FoundSuite(document, located))
        if document is None:
            diagnostics.extend(problems)
    return suites, diagnostics
