"""One expression asked: what it is, what it gives, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from costlens_policy.cli.cel.surroundings import Surroundings
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.expressions import Extent, Problem, TypedExpr, analyse
from costlens_policy.expressions.compile import Trace, compile_traced
from costlens_policy.expressions.cost import WorstCase
from costlens_policy.expressions.runtime import CelError
from costlens_policy.source.located import SourceText, span_between
from costlens_policy.source.read import source_of

__all__ = ["Answer", "ask"]

_UNBOUND: Final = "CL913"


@dataclass(frozen=True, slots=True)
class Answer:
    """``typed`` and ``worst`` are absent where the expression is wrong, ``trace`` also where only types were asked."""

    source: SourceText
    diagnostics: tuple[Diagnostic, ...]
    typed: TypedExpr | None = None
    worst: WorstCase | None = None
    trace: Trace | None = None

    @property
    def failed(self) -> bool:
        return any(item.is_error for item in self.diagnostics)


def ask(text: str, surroundings: Surroundings, name: str, *, evaluate: bool) -> Answer:
    """Type an expression and, if asked, evaluate it. ``name`` is what its places name. Never raises."""
    source = source_of(text, name)
    analysed = analyse(source.text, surroundings.environment, limits=surroundings.limits)
    diagnostics = tuple(_placed(source, analysed.problems))
    if analysed.typed is None:
        return Answer(source, diagnostics)
    if not evaluate:
        return Answer(source, diagnostics, analysed.typed, analysed.worst)
    values = surroundings.values
    evaluate_traced = compile_traced(analysed.typed, tuple(values), limits=surroundings.run_limits)
    trace = evaluate_traced(*values.values())
    if isinstance(trace.value, CelError):
        # A warning that something may be missing says no more than the error that it is.
        diagnostics = (_failure(source, trace.value),)
    return Answer(source, diagnostics, analysed.typed, analysed.worst, trace)


def _placed(source: SourceText, problems: Iterable[Problem]) -> Iterator[Diagnostic]:
    for item in problems:
        span = span_between(source, item.extent.start, item.extent.end)
        yield Diagnostic(item.code, item.severity, item.message, span, item.label, item.help)


def _failure(source: SourceText, error: CelError) -> Diagnostic:
    extent = error.extent or Extent(0, len(source.text))
    help = "give it one with `--vars FILE`" if error.code == _UNBOUND else ""
    span = span_between(source, extent.start, extent.end)
    return Diagnostic(error.code, Severity.ERROR, error.message, span, "here when evaluated", help)
