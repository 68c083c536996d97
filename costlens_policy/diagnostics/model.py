"""A problem in a document: a code, a message, a place, and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen

__all__ = [
    "Diagnostic", "Edit", "PolicyError", "Position", "Related", "Severity", "Shown", "Span", "exit_code_of", "in_order",
]  # fmt: skip


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@frozen(order=True)
class Position:
    """A place in a file. ``line`` and ``column`` count from 1, in code points; ``offset`` from 0."""

    offset: int
    line: int
    column: int


@frozen(order=True)
class Span:
    """Half-open stretch of one file. ``file`` is the path as the user named it."""

    file: str
    start: Position
    end: Position


@frozen
class Related:
    """A related place, such as the first of two equal keys."""

    span: Span
    label: str


@frozen
class Shown:
    """A request that shows a problem, as the engine decides it: in one line, and as JSON-like data."""

    text: str
    data: Mapping[str, Any] = field(compare=False)


@frozen
class Edit:
    """What stands in the place of some text of a file."""

    span: Span
    text: str


@frozen
class Diagnostic:
    """One problem. ``message`` is one lower-case sentence without a full stop, in the author's words.

    ``label`` describes the place, and ``help`` what to do. ``span`` is None only if the problem has no place, such as a
    missing file; then ``message`` has the file. An error with ``stops`` false is almost certainly a mistake, but the
    policies can be compiled: checks fail, and services load them. ``suppressed`` is the reason that a comment of the
    file gives for suppressing it; empty where none does.

    What says how rules decide is shown by ``witnesses``, or is ``proved``: then all requests that the conditions
    distinguish were decided. ``fix`` makes the edits that are certainly right, if there are any: none changes a
    decision.
    """

    code: str
    severity: Severity
    message: str
    span: Span | None = None
    label: str = ""
    help: str = ""
    related: tuple[Related, ...] = ()
    stops: bool = True
    suppressed: str = ""
    witnesses: tuple[Shown, ...] = ()
    proved: bool = False
    fix: Callable[[], tuple[Edit, ...]] | None = field(default=None, compare=False, repr=False)

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR and not self.suppressed


def exit_code_of(diagnostics: Iterable[Diagnostic]) -> int:
    """Return the exit code: 6 for unreadable files, 3 without a policy set, 1 for any other error, otherwise 0."""
    codes = {item.code for item in diagnostics if item.is_error}
    return {frozenset(): 0, frozenset({"CL001"}): 6, frozenset({"CL201"}): 3}.get(frozenset(codes), 1)


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by place (those without one first), then by code; equal diagnostics are kept once."""

    def place(item: Diagnostic) -> tuple[str, int, int, str, str]:
        if item.span is None:
            return ("", -1, -1, item.code, item.message)
        return (item.span.file, item.span.start.offset, item.span.end.offset, item.code, item.message)

    return tuple(sorted(dict.fromkeys(diagnostics), key=place))


class PolicyError(CostlensPolicyError):
    """The documents are invalid. ``diagnostics`` has every problem, including warnings. Its text has errors first."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        first = sorted(self.diagnostics, key=lambda item: not item.is_error)
        super().__init__("\n".join(map(_line, first)))

    def __reduce__(self) -> tuple[type[PolicyError], tuple[Iterable[Diagnostic]]]:
        return PolicyError, (self.diagnostics,)


def _line(item: Diagnostic) -> str:
    where = f"{item.span.file}:{item.span.start.line}:{item.span.start.column}: " if item.span else ""
    hint = f" ({item.help})" if item.help else ""
    return f"{where}{item.severity}[{item.code}]: {item.message}{hint}"
