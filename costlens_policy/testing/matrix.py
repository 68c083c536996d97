"""From a suite's cases and matrices to single cases, their placeholders filled in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from costlens_policy.diagnostics.model import Related
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.suite import Case, Matrix, SuiteDocument
from costlens_policy.source.located import Path
from costlens_policy.testing.placeholders import UnknownAxisError, fill
from costlens_policy.testing.problems import SuiteProblems

__all__ = ["MOST_COMBINATIONS", "SingleCase", "single_cases"]

MOST_COMBINATIONS: Final = 10_000
_NOT_FILLED: Final = {"axes", "except_"}


@dataclass(frozen=True, slots=True)
class SingleCase:
    """A case, and the path at which it, or the matrix that it comes from, is written."""

    case: Case
    path: Path


def single_cases(document: SuiteDocument, problems: SuiteProblems) -> tuple[SingleCase, ...]:
    """Return every case of a suite in order. What is wrong with a matrix is reported once, not for each combination."""
    cases = [SingleCase(case, ("cases", index)) for index, case in enumerate(document.cases)]
    for index, matrix in enumerate(document.matrix):
        cases.extend(_of_matrix(matrix, ("matrix", index), problems))
    if not cases and not problems.diagnostics:
        problems.report(
            "CL608",
            f"suite `{document.metadata.name}` has no cases",
            ("metadata", "name"),
            help="add a case under `cases` or `matrix`",
        )
    _refuse_equal_names(cases, problems)
    return tuple(cases)


def _of_matrix(matrix: Matrix, path: Path, problems: SuiteProblems) -> Iterator[SingleCase]:
    count = math.prod(map(len, matrix.axes.values()))
    if count > MOST_COMBINATIONS:
        problems.report(
            "CL609",
            f"the matrix has {count:,} combinations, and {MOST_COMBINATIONS:,} are the most",
            (*path, "axes"),
            at_key=True,
            help="split it, or drop values that show nothing new",
        )
        return
    exceptions = _Exceptions(matrix, path, problems)
    template = matrix.model_dump(exclude=_NOT_FILLED, exclude_unset=True)
    for values in itertools.product(*matrix.axes.values()):
        axes = dict(zip(matrix.axes, values, strict=True))
        if exceptions.leave_out(axes):
            continue
        try:
            filled = fill(template, axes)
            yield SingleCase(Case.model_validate(filled), path)
        except UnknownAxisError as error:
            _report_axis(error, matrix, path, problems)
            return
        except ValidationError as error:
            _report_invalid(error, filled, axes, path, problems)
            return
    exceptions.report_idle()


class _Exceptions:
    """The combinations that a matrix leaves out, and which of these entries ever did."""

    def __init__(self, matrix: Matrix, path: Path, problems: SuiteProblems) -> None:
        self._path = (*path, "except")
        self._problems = problems
        self._entries: dict[int, Mapping[str, Any]] = {}
        for index, entry in enumerate(matrix.except_):
            strange = [name for name in entry if name not in matrix.axes]
            for name in strange:
                problems.report(
                    "CL606",
                    f"unknown axis `{name}`",
                    (*self._path, index, name),
                    at_key=True,
                    help=_known(name, matrix),
                )
            if not strange:
                self._entries[index] = entry
        self._used: set[int] = set()

    def leave_out(self, axes: Mapping[str, Any]) -> bool:
        fitting = [
            index for index, entry in self._entries.items() if all(axes[name] == value for name, value in entry.items())
        ]
        self._used.update(fitting)
        return bool(fitting)

    def report_idle(self) -> None:
        for index in self._entries.keys() - self._used:
            self._problems.report(
                "CL614",
                "the exception leaves nothing out",
                (*self._path, index),
                label="no combination has these values",
                help="correct a value, or remove it",
            )


def _report_axis(error: UnknownAxisError, matrix: Matrix, path: Path, problems: SuiteProblems) -> None:
    problems.report(
        "CL606",
        f"unknown axis `{error.name}`",
        (*path, *error.path),
        within=(error.start, error.start + len(error.name)),
        label="neither an axis of the matrix nor a key of its value",
        help=_known(error.name, matrix),
    )


def _known(name: str, matrix: Matrix) -> str:
    return did_you_mean(name, matrix.axes) or f"the axes are {listed(matrix.axes)}"


def _report_invalid(
    error: ValidationError, filled: Any, axes: Mapping[str, Any], path: Path, problems: SuiteProblems
) -> None:
    values = ", ".join(f"{name}: {value}" for name, value in axes.items())
    for found in error.errors(include_url=False):
        place = _written(filled, found["loc"])
        what = ".".join(map(str, place)) or "the case"
        text = found["msg"].removeprefix("Value error, ")
        message = f"`{what}` is not valid for {values}: {text[:1].lower()}{text[1:]}"
        problems.report("CL613", message, (*path, *place))


def _written(value: Any, path: Path) -> Path:
    """Return the part of a path that leads through the data; the rest names types that were tried."""
    for depth, step in enumerate(path):
        inside = isinstance(value, Mapping) and step in value
        if not inside and not (isinstance(value, list) and isinstance(step, int)):
            return path[:depth]
        value = value[step]
    return path


def _refuse_equal_names(cases: list[SingleCase], problems: SuiteProblems) -> None:
    first: dict[str, Path] = {}
    for item in cases:
        name, earlier = item.case.name, first.get(item.case.name)
        if earlier is None:
            first[name] = item.path
        elif earlier == item.path:
            problems.report(
                "CL607",
                f"several combinations of the matrix have the name `{name}`",
                (*item.path, "name"),
                help="put an axis such as `${tier}` into the name",
            )
        else:
            problems.report(
                "CL607",
                f"two cases have the name `{name}`",
                (*item.path, "name"),
                help="say in the name what sets this case apart",
                related=(Related(problems.place((*earlier, "name")), "the first one"),),
            )
