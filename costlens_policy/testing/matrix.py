"""From a suite's cases and matrices to single cases, their placeholders ``${axis}`` filled in."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from costlens_policy.diagnostics.model import Related
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.suite import Case, Matrix, SuiteDocument
from costlens_policy.errors import lowered
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path
from costlens_policy.testing.suites import SuiteProblems

__all__ = ["MOST_COMBINATIONS", "SingleCase", "UnknownAxisError", "fill", "single_cases"]

MOST_COMBINATIONS: Final = 10_000
_NOT_FILLED: Final = {"axes", "except_"}


@frozen
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
            f"a matrix must have at most {MOST_COMBINATIONS:,} combinations, got {count:,}",
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
                "the exception excludes no combination",
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
        message = f"`{what}` is not valid for {values}: {lowered(text)}"
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
                f"several combinations of the matrix are named `{name}`",
                (*item.path, "name"),
                help="add an axis such as `${tier}` to the name",
            )
        else:
            problems.report(
                "CL607",
                f"two cases are named `{name}`",
                (*item.path, "name"),
                help="give each case a unique name",
                related=(Related(problems.place((*earlier, "name")), "the first one"),),
            )


_PLACEHOLDER: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_WORDS: Final = {True: "true", False: "false", None: "null"}


class UnknownAxisError(ValueError):
    """A placeholder names no axis, or no key of an axis' value: ``name`` in the text at ``path``, from ``start`` on."""

    def __init__(self, name: str, path: Path, start: int) -> None:
        super().__init__(name)
        self.name = name
        self.path = path
        self.start = start


def fill(value: Any, axes: Mapping[str, Any], path: Path = ()) -> Any:
    """Return a value with every placeholder in its texts filled in. Raises ``UnknownAxisError``.

    A text that is one placeholder and nothing else becomes the axis' value, whatever its type.
    """
    if isinstance(value, str):
        return _fill_text(value, axes, path) if "${" in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, axes, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, axes, (*path, index)) for index, item in enumerate(value)]
    return value


def _fill_text(text: str, axes: Mapping[str, Any], path: Path) -> Any:
    def value(found: re.Match[str]) -> Any:
        return "${" if found[1] is None else _value(found[1], axes, path, found.start(1))

    whole = _PLACEHOLDER.fullmatch(text)
    return value(whole) if whole is not None else _PLACEHOLDER.sub(lambda found: _text(value(found)), text)


def _value(name: str, axes: Mapping[str, Any], path: Path, start: int) -> Any:
    """Return the value of ``axis``, or of ``axis.key`` where it is a map. An axis may have dots in its own name."""
    found = _find(name, axes)
    if found is None:
        raise UnknownAxisError(name, path, start)
    return found[0]


def _find(name: str, axes: Mapping[str, Any]) -> tuple[Any] | None:
    """Return the value of a name, alone in a tuple, since the value itself may be null. The longest axis wins."""
    for axis in sorted(axes, key=len, reverse=True):
        if name == axis:
            return (axes[axis],)
        if name.startswith(f"{axis}."):
            found = _inside(axes[axis], name.removeprefix(f"{axis}.").split("."))
            if found is not None:
                return found
    return None


def _inside(value: Any, keys: list[str]) -> tuple[Any] | None:
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return (value,)


def _text(value: Any) -> str:
    return _WORDS[value] if value is None or isinstance(value, bool) else str(value)
