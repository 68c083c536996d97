"""The whole checker: from paths to bundles that are known to be right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from os import PathLike
from pathlib import Path

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.bundle import CheckedBundle, LinkedBundle
from costlens_policy.checker.checks import Subject, run_checks
from costlens_policy.checker.expressions import (
    Analysis,
    analyse_bundle,
    check_budget_names,
    check_variables,
)
from costlens_policy.checker.link import (
    File,
    Found,
    Library,
    Linked,
    Owners,
    Reading,
    find_sets,
    link_set,
    no_policy_set,
    several_policy_sets,
)
from costlens_policy.checker.loose import check_loose, files_of
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, in_order
from costlens_policy.source.folders import repository_of
from costlens_policy.source.located import SourceText

__all__ = ["Checked", "check", "check_all", "check_set"]

Paths = str | PathLike[str] | Iterable[str | PathLike[str]]


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything found in some paths: the sets that are right, all diagnostics in order, every text by file name.

    ``files`` are the names of those that hold documents of ours; ``broken`` the places of files with sets that are not
    right.
    """

    bundles: tuple[CheckedBundle, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]
    files: frozenset[str]
    broken: frozenset[Path]

    @property
    def has_errors(self) -> bool:
        return any(item.is_error for item in self.diagnostics)


def check(paths: Paths, *, on: date | None = None, catalogue: Catalogue | None = None) -> CheckedBundle:
    """Return the one policy set in files or folders, examined on a day (UTC; today when left out).

    ``catalogue`` takes the place of its own. Raises ``PolicyError`` with every diagnostic, warnings included, where
    there is an error that stops, no set, or several.
    """
    return _only_set(_as_paths(paths), (), on, catalogue)


def _only_set(
    given: Sequence[Path], around: Sequence[Path], on: date | None = None, catalogue: Catalogue | None = None
) -> CheckedBundle:
    library = Library()
    sets, unreadable = find_sets(library, given)
    if broken := _errors(unreadable):
        raise PolicyError(broken)
    if len(sets) != 1:
        raise PolicyError([several_policy_sets(sets) if sets else no_policy_set(library, given)])
    examined = _examine(library, sets[0], (*given, *around), on or system_now().date(), catalogue)
    if examined.bundle is None:
        raise PolicyError(examined.diagnostics)
    return examined.bundle


def check_set(file: str | PathLike[str], around: Sequence[Path]) -> tuple[CheckedBundle | None, tuple[Diagnostic, ...]]:
    """Return the one policy set of a file, and what is wrong with it.

    Without a checkout, ``around`` are further paths that the repository holds.
    """
    try:
        bundle = _only_set((Path(file),), around)
    except PolicyError as error:
        return None, error.diagnostics
    return (None, bundle.warnings) if _errors(bundle.warnings) else (bundle, ())


def check_all(paths: Paths, *, on: date | None = None) -> Checked:
    """Check every document in files and folders: each policy set as a whole, the others by themselves.

    A policy or catalogue is checked with every set of its repository that lists it, wherever that set stands.
    """
    given, day = _as_paths(paths), on or system_now().date()
    library = Library()
    owners = Owners(library, given)
    sets, unreadable = find_sets(library, given, nested=True)
    owning = (found for file in _parts(library, given) for found in owners.of(file))
    examined = {found: _examine(library, found, given, day) for found in dict.fromkeys((*sets, *owning))}
    reached = {reading for item in examined.values() for reading in item.reached}
    diagnostics = [*unreadable, *(problem for item in examined.values() for problem in item.diagnostics)]
    # A file that looks unlisted may be the one that a set names by a wrong path.
    lists_are_right = not any(item.code in ("CL203", "CL205") for item in diagnostics)
    diagnostics += check_loose(library, given, reached, owners, lists_are_right=lists_are_right)
    bundles = tuple(item.bundle for item in examined.values() if item.bundle is not None)
    read = frozenset(reading.located.source.name for reading in reached)
    broken = frozenset(found.file.resolved for found, item in examined.items() if item.bundle is None)
    return Checked(bundles, in_order(diagnostics), library.sources(), read, broken)


def _parts(library: Library, given: Sequence[Path]) -> Iterator[File]:
    """Yield the files that were given and hold what a policy set may list."""
    for file, _ in files_of(library, given):
        if any(reading.is_ours and reading.kind in ("Policy", "Catalogue") for reading in file.readings):
            yield file


def _as_paths(paths: Paths) -> tuple[Path, ...]:
    return (Path(paths),) if isinstance(paths, str | PathLike) else tuple(Path(path) for path in paths)


def _errors(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    return [item for item in diagnostics if item.is_error]


@dataclass(frozen=True, slots=True)
class _Examined:
    bundle: CheckedBundle | None
    diagnostics: tuple[Diagnostic, ...]
    reached: frozenset[Reading]


def _examine(
    library: Library, found: Found, given: Sequence[Path], day: date, catalogue: Catalogue | None = None
) -> _Examined:
    """Link a set, type its expressions and, where all is well so far, run the checks."""
    linked = link_set(library, found, repository_of(found.file.resolved, given), catalogue)
    diagnostics = list(linked.diagnostics)
    if linked.bundle is None:
        return _Examined(None, tuple(diagnostics), linked.reached)
    analysis = _analyse(linked, linked.bundle, diagnostics)
    if not _errors(diagnostics):
        diagnostics += run_checks(Subject(linked.bundle, analysis.expressions, day))
    warnings = in_order(diagnostics)
    stopped = any(item.stops for item in _errors(diagnostics))
    bundle = None if stopped else CheckedBundle(linked.bundle, analysis.expressions, warnings)
    return _Examined(bundle, warnings, linked.reached)


def _analyse(linked: Linked, bundle: LinkedBundle, diagnostics: list[Diagnostic]) -> Analysis:
    analysis = analyse_bundle(bundle)
    diagnostics += analysis.diagnostics
    for policy in bundle.policies:
        diagnostics += check_variables(policy, analysis)
    if linked.has_all_policies:  # else the budgets of the others would look unknown
        diagnostics += check_budget_names(bundle, analysis)
    return analysis
