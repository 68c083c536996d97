"""One expression asked: what it is, what it gives, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from costlens_policy.cli.commands.cel.literals import json_value, literal
from costlens_policy.cli.commands.cel.surroundings import Surroundings
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.diagnostics.render import as_json
from costlens_policy.expressions import Extent, Problem, Record, TypedExpr, analyse
from costlens_policy.expressions.compile import NOT_EVALUATED, Part, Trace, compile_traced
from costlens_policy.expressions.cost import WorstCase
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText, span_between
from costlens_policy.source.read import source_of

__all__ = ["Answer", "as_object", "as_text", "ask", "shortened"]


_UNBOUND: Final = "CL913"


@frozen
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


_LONGEST: Final = 60


def as_text(answer: Answer, *, parts: bool) -> str:
    """Return the value, or the type where nothing was evaluated; with ``parts``, what led to it on further lines."""
    if answer.typed is None:
        return ""
    if answer.trace is None:
        return "\n".join(_type_lines(answer) if parts else [str(answer.typed.type)]) + "\n"
    lines = [] if isinstance(answer.trace.value, CelError) else [literal(answer.trace.value)]
    return "".join(f"{line}\n" for line in (*lines, *(_part_lines(answer) if parts else ())))


def shortened(text: str) -> str:
    """Return a text on one line, cut in the middle where it is long."""
    line = " ".join(text.split())
    half = (_LONGEST - 3) // 2
    return line if len(line) <= _LONGEST else f"{line[:half]}...{line[-half:]}"


def _type_lines(answer: Answer) -> Iterator[str]:
    assert answer.typed is not None
    assert answer.worst is not None
    yield str(answer.typed.type)
    yield from _fields(answer)
    if answer.typed.references:
        yield f"  reads {', '.join('.'.join(path) for path in sorted(answer.typed.references))}"
    yield f"  takes {answer.worst.steps:,} steps at worst"


def _record(answer: Answer) -> Record | None:
    """Return the record that an expression gives, or gives a map of."""
    assert answer.typed is not None
    found = answer.typed.type
    inner = found.parameters[-1] if found.name == "map" and found.parameters else found
    return answer.typed.environment.record(inner)


def _fields(answer: Answer) -> Iterator[str]:
    """Yield the attributes of a record with their types."""
    record = _record(answer)
    if record is None or not record.fields:
        return
    names, types = max(map(len, record.fields)), max(len(str(item.type)) for item in record.fields.values())
    for name, item in record.fields.items():
        values = f"one of {', '.join(item.values)}; " if item.values else ""
        missing = "may be missing; " if item.optional else ""
        text = f"{missing}{values}{item.description}".removesuffix("; ")
        yield f"  {name:{names}}  {item.type!s:{types}}  {text}".rstrip()


def _part_lines(answer: Answer) -> Iterator[str]:
    assert answer.trace is not None
    assert answer.typed is not None
    variables = answer.typed.environment.variables
    rows = dict.fromkeys(
        (_source(answer, part.extent), _result(part))
        for part in answer.trace.parts
        if _source(answer, part.extent) not in variables and part.extent != answer.typed.root.extent
    )
    shown = [(shortened(source), result) for source, result in rows if source != result]
    width = max((len(source) for source, _ in shown), default=0)
    yield from (f"  {source:{width}}  = {result}" for source, result in shown)


def _source(answer: Answer, extent: Extent) -> str:
    return answer.source.text[extent.start : extent.end]


def _result(part: Part) -> str:
    if part.value is NOT_EVALUATED:
        return "(not evaluated)"
    if isinstance(part.value, CelError):
        return f"error[{part.value.code}]: {part.value}"
    return shortened(literal(part.value))


def as_object(answer: Answer) -> dict[str, Any]:
    """Return an answer as an object of JSON."""
    found: dict[str, Any] = {}
    if answer.typed is not None and answer.worst is not None:
        found["type"] = str(answer.typed.type)
        if (record := _record(answer)) is not None:
            found["attributes"] = {
                name: {
                    "type": str(item.type),
                    "optional": item.optional,
                    "values": list(item.values),
                    "description": item.description,
                }
                for name, item in record.fields.items()
            }
        found["reads"] = [list(path) for path in sorted(answer.typed.references)]
        found["steps"] = answer.worst.steps
    if answer.trace is not None:
        if not isinstance(answer.trace.value, CelError):
            found |= {"value": json_value(answer.trace.value), "literal": literal(answer.trace.value)}
        found["parts"] = [_part_object(answer, part) for part in answer.trace.parts]
    return found | {"problems": json.loads(as_json(answer.diagnostics))}


def _part_object(answer: Answer, part: Part) -> dict[str, Any]:
    place = {"start": part.extent.start, "end": part.extent.end, "source": _source(answer, part.extent)}
    if part.value is NOT_EVALUATED:
        return place | {"evaluated": False}
    if isinstance(part.value, CelError):
        return place | {"evaluated": True, "error": {"code": part.value.code, "message": part.value.message}}
    return place | {"evaluated": True, "value": json_value(part.value)}
