"""The whole checker: from paths to bundles that are known to be right."""

from __future__ import annotations

import os
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
    Found,
    Library,
    Linked,
    Reading,
    find_sets,
    link_set,
    no_policy_set,
    owners_of,
    several_policy_sets,
)
from costlens_policy.checker.loose import check_loose
from costlens_policy.clock import system_now
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, in_order
from costlens_policy.source.folders import repository_of
from costlens_policy.source.located import SourceText

__all__ = ["Checked", "check", "check_all"]

Paths = str | PathLike[str] | Iterable[str | PathLike[str]]


@dataclass(frozen=True, slots=True)
class Checked:
    """Everything found in some paths: the sets that are right, all diagnostics in order, every text by file name."""

    bundles: tuple[CheckedBundle, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText]

    @property
    def has_errors(self) -> bool:
        return any(item.is_error for item in self.diagnostics)


def check(paths: Paths, *, on: date | None = None, catalogue: Catalogue | None = None) -> CheckedBundle:
    """Return the one policy set in files or folders, examined on a day (UTC; today when left out).

    ``catalogue`` takes the place of its own. Raises ``PolicyError`` with every diagnostic, warnings included, where
    there is an error, no set, or several.
    """
    given = _as_paths(paths)
    library = Library()
    sets, unreadable = find_sets(library, given)
    if broken := _errors(unreadable):
        raise PolicyError(broken)
    if len(sets) != 1:
        raise PolicyError([several_policy_sets(sets) if sets else no_policy_set(library, given)])
    examined = _examine(library, sets[0], given, on or system_now().date(), catalogue)
    if examined.bundle is None:
        raise PolicyError(examined.diagnostics)
    return examined.bundle


def check_all(paths: Paths, *, on: date | None = None) -> Checked:
    """Check every document in files and folders: each policy set as a whole, the others by themselves.

    A policy or catalogue that is named without its set is checked with the sets of its repository that list it.
    """
    given = _as_paths(paths)
    library = Library()
    sets, unreadable = find_sets(library, given)
    examined = [_examine(library, found, given, on or system_now().date()) for found in sets]
    reached = {reading for item in examined for reading in item.reached}
    for found in _owners(library, given, reached):
        examined.append(_examine(library, found, given, on or system_now().date()))
        reached |= examined[-1].reached
    diagnostics = [*unreadable, *(problem for item in examined for problem in item.diagnostics)]
    # Beside a set that cannot be read as a whole, any policy may look as if no set listed it.
    diagnostics += check_loose(library, given, reached, lists_are_whole=not _errors(diagnostics))
    bundles = tuple(item.bundle for item in examined if item.bundle is not None)
    return Checked(bundles, in_order(diagnostics), library.sources())


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
    bundle = None if _errors(diagnostics) else CheckedBundle(linked.bundle, analysis.expressions, warnings)
    return _Examined(bundle, warnings, linked.reached)


def _analyse(linked: Linked, bundle: LinkedBundle, diagnostics: list[Diagnostic]) -> Analysis:
    analysis = analyse_bundle(bundle)
    diagnostics += analysis.diagnostics
    for policy in bundle.policies:
        diagnostics += check_variables(policy, analysis)
    if linked.has_all_policies:  # else the budgets of the others would look unknown
        diagnostics += check_budget_names(bundle, analysis)
    return analysis


def _owners(library: Library, given: Sequence[Path], reached: set[Reading]) -> Iterator[Found]:
    """Yield the policy sets of files that were named and that no other set has reached; ``reached`` grows meanwhile."""
    for path in given:
        if os.path.isfile(path):
            file = library.open(path)
            alone = [reading for reading in file.readings if reading not in reached]
            if any(reading.kind in ("Policy", "Catalogue") for reading in alone):
                yield from (found for found in owners_of(library, file, given) if found.reading not in reached)
