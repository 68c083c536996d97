"""From the file of a workload to a setting: the document, the catalogue that it names, and its models with prices."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from costlens_policy.advise.strategies import Contest, Setting
from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker.library import Library
from costlens_policy.checker.owners import Reference, resolve_reference
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.documents import CatalogueDocument, WorkloadDocument
from costlens_policy.source.located import LocatedDocument
from costlens_policy.source.read import repository_of

__all__ = ["Given", "read_workload"]

_CONTENDERS: Final = ("current", "small", "fine_tuned")


@dataclass(frozen=True, slots=True)
class Given:
    """What a workload file gives. ``policy_set`` is a file's name, ``warnings`` are about the catalogue."""

    setting: Setting
    policy_set: str | None
    warnings: tuple[Diagnostic, ...]


def read_workload(path: str | os.PathLike[str], months: int, day: date) -> Given:
    """Read a workload, for a horizon in months, at the prices of a day (UTC).

    Raises ``PolicyError`` with every problem of the file and of the catalogue that it names.
    """
    library = Library()
    located, document = _workload(library, os.fspath(path))
    origin = Path(os.path.realpath(path))
    place = (located, repository_of(origin, [origin.parent]))
    catalogue, warnings = _catalogue(library, document, place)
    contests, problems = _contests(document, located, catalogue, day)
    policy_set = None
    if document.policy_set is not None:
        named = _resolved(document.policy_set, "policy_set", place)
        if isinstance(named, Diagnostic):
            problems.append(named)
        else:
            policy_set = named
    if problems:
        raise PolicyError([*problems, *warnings])
    setting = Setting(document, months, contests["current"], contests.get("small"), contests.get("fine_tuned"))
    return Given(setting, policy_set, warnings)


def _workload(library: Library, name: str) -> tuple[LocatedDocument, WorkloadDocument]:
    file = library.open(name)
    found = [reading for reading in file.readings if reading.kind == "Workload"]
    readings = found or file.readings
    diagnostics = [*file.diagnostics, *(item for reading in readings for item in reading.diagnostics)]
    if any(item.is_error for item in diagnostics):
        raise PolicyError(diagnostics)
    if len(found) != 1:
        raise PolicyError([_not_one_workload(name, len(found))])
    document = found[0].document
    assert isinstance(document, WorkloadDocument), "its kind says so"
    return found[0].located, document


def _not_one_workload(name: str, count: int) -> Diagnostic:
    message = f"`{name}` holds {count or 'no'} workload{'s' if count else ''}, and one is needed"
    return Diagnostic("CL205", Severity.ERROR, message, help="name a file with one document of `kind: Workload`")


def _resolved(text: str, key: str, place: tuple[LocatedDocument, Path]) -> str | Diagnostic:
    located, repository = place
    reference = Reference(text, located.root.span_of((key,)), located.source.name)
    return resolve_reference(reference, repository)


def _catalogue(
    library: Library, document: WorkloadDocument, place: tuple[LocatedDocument, Path]
) -> tuple[Catalogue, tuple[Diagnostic, ...]]:
    named = _resolved(document.catalogue, "catalogue", place)
    if isinstance(named, Diagnostic):
        raise PolicyError([named])
    file = library.open(named)
    diagnostics = [*file.diagnostics, *(item for reading in file.readings for item in reading.diagnostics)]
    documents = [
        (reading.located, reading.document)
        for reading in file.readings
        if isinstance(reading.document, CatalogueDocument)
    ]
    if not documents and not diagnostics:
        span = place[0].root.span_of(("catalogue",))
        diagnostics.append(Diagnostic("CL205", Severity.ERROR, f"`{named}` holds no catalogue", span, "named here"))
    if any(item.is_error for item in diagnostics):
        raise PolicyError(diagnostics)
    resolved = resolve(documents)
    if any(item.is_error for item in resolved.diagnostics):
        raise PolicyError(resolved.diagnostics)
    return resolved.catalogue, (*diagnostics, *resolved.diagnostics)


def _contests(
    document: WorkloadDocument, located: LocatedDocument, catalogue: Catalogue, day: date
) -> tuple[dict[str, Contest], list[Diagnostic]]:
    contests: dict[str, Contest] = {}
    problems: list[Diagnostic] = []
    for key in _CONTENDERS:
        contender = getattr(document, key)
        if contender is None:
            continue
        found = _contest(contender.model, key, located, catalogue, day)
        if isinstance(found, Contest):
            contests[key] = found
        else:
            problems.append(found)
    return contests, problems


def _contest(name: str, key: str, located: LocatedDocument, catalogue: Catalogue, day: date) -> Contest | Diagnostic:
    span = located.root.span_of((key, "model"))
    model = catalogue.find(name)
    if model is None:
        near = catalogue.suggest(name)
        advice = f"did you mean `{near}`?" if near else "add it to the catalogue that the workload names"
        message = f"the catalogue has no model `{name}`"
        return Diagnostic("CL208", Severity.ERROR, message, span, "not in the catalogue", advice)
    period = model.period_on(day)
    if period is None:
        message = f"`{name}` has no price on {day}, so there is nothing to calculate with"
        advice = "give it prices in the catalogue; a model of your own may cost 0 a token and something an hour"
        return Diagnostic("CL409", Severity.ERROR, message, span, "without a price", advice)
    return Contest(model, period)
