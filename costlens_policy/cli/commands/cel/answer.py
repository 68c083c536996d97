"""One expression asked: what it is, what it gives, and what is wrong with it.

Values are written as expressions write them, so that what is printed can be put into an expression again.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from itertools import islice
from typing import Any, Final

from costlens_policy.cli.commands.cel.surroundings import Surroundings
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.diagnostics.render import as_json
from costlens_policy.expressions import Extent, Problem, Record, TypedExpr, analyze
from costlens_policy.expressions.compile import NOT_EVALUATED, Part, Trace, compile_traced
from costlens_policy.expressions.cost import WorstCase
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.runtime.collections import value_of_key
from costlens_policy.expressions.runtime.equality import kind_of, type_name
from costlens_policy.expressions.runtime.times import duration_text, timestamp_text
from costlens_policy.expressions.types import Type
from costlens_policy.expressions.values import NO_VALUE, BoolKey, Duration, OptionalValue, Timestamp, Uint, Value
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText, span_between
from costlens_policy.source.read import source_of

__all__ = ["Answer", "as_object", "as_text", "ask", "literal", "shortened"]


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
    analyzed = analyze(source.text, surroundings.environment, limits=surroundings.limits)
    diagnostics = tuple(_placed(source, analyzed.problems))
    if analyzed.typed is None:
        return Answer(source, diagnostics)
    if not evaluate:
        return Answer(source, diagnostics, analyzed.typed, analyzed.worst)
    values = surroundings.values
    evaluate_traced = compile_traced(analyzed.typed, tuple(values), limits=surroundings.run_limits)
    trace = evaluate_traced(*values.values())
    if isinstance(trace.value, CelError):
        # A warning that something may be missing says no more than the error that it is.
        diagnostics = (_failure(source, trace.value),)
    return Answer(source, diagnostics, analyzed.typed, analyzed.worst, trace)


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
_MOST_SHOWN: Final = 40
"""Attributes of a record; a table may have thousands of keys."""


def as_text(answer: Answer, *, parts: bool) -> str:
    """Return the value, or the type where nothing was evaluated; with ``parts``, what led to it on further lines."""
    if answer.typed is None:
        return ""
    if answer.trace is None:
        return "\n".join(_type_lines(answer) if parts else [_type(answer)]) + "\n"
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
    yield _type(answer)
    yield from _fields(answer)
    reads = sorted(answer.typed.references | answer.typed.constants)
    if reads:
        yield f"  reads {', '.join('.'.join(path) for path in reads)}"
    steps = answer.worst.steps
    yield f"  takes {steps:,} {'step' if steps == 1 else 'steps'} at worst"


def _record(answer: Answer) -> Record | None:
    """Return the record that an expression gives, or gives a map of; of a table of rows, what rows are."""
    assert answer.typed is not None
    found, environment = answer.typed.type, answer.typed.environment
    inner = found.parameters[-1] if found.name == "map" and found.parameters else found
    record = environment.record(inner)
    rows = None if record is None or record.values is None else environment.record(record.values)
    return rows or record


def _type(answer: Answer, item: Type | None = None) -> str:
    """Return a type as its reader knows it, that of the whole answer by default: a table is a map."""
    assert answer.typed is not None
    return str(answer.typed.environment.plain(item or answer.typed.type))


def _fields(answer: Answer) -> Iterator[str]:
    """Yield the attributes of a record with their types."""
    record = _record(answer)
    if record is None or not record.fields:
        return
    shown = {name: _type(answer, item.type) for name, item in islice(record.fields.items(), _MOST_SHOWN)}
    names, types = max(map(len, shown)), max(map(len, shown.values()))
    for name, type_ in shown.items():
        item = record.fields[name]
        values = f"one of {', '.join(item.values)}; " if item.values else ""
        missing = "may be missing; " if item.optional else ""
        text = f"{missing}{values}{item.description}".removesuffix("; ")
        yield f"  {name:{names}}  {type_:{types}}  {text}".rstrip()
    if len(record.fields) > len(shown):
        yield f"  and {len(record.fields) - len(shown):,} more"


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
        found["type"] = _type(answer)
        if (record := _record(answer)) is not None:
            found["attributes"] = {
                name: {
                    "type": _type(answer, item.type),
                    "optional": item.optional,
                    "values": list(item.values),
                    "description": item.description,
                }
                for name, item in record.fields.items()
            }
        found["reads"] = [list(path) for path in sorted(answer.typed.references | answer.typed.constants)]
        found["steps"] = answer.worst.steps
    if answer.trace is not None:
        if not isinstance(answer.trace.value, CelError):
            found |= {"value": _json_value(answer.trace.value), "literal": literal(answer.trace.value)}
        found["parts"] = [_part_object(answer, part) for part in answer.trace.parts]
    return found | {"problems": json.loads(as_json(answer.diagnostics))}


def _part_object(answer: Answer, part: Part) -> dict[str, Any]:
    place = {"start": part.extent.start, "end": part.extent.end, "source": _source(answer, part.extent)}
    if part.value is NOT_EVALUATED:
        return place | {"evaluated": False}
    if isinstance(part.value, CelError):
        return place | {"evaluated": True, "error": {"code": part.value.code, "message": part.value.message}}
    return place | {"evaluated": True, "value": _json_value(part.value)}


_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def literal(value: Value) -> str:
    """Return an expression on one line that gives the value, and nothing that could command a terminal."""
    return _WRITERS[type(value)](value)


def _double(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'double("{value}")'


def _text(value: str) -> str:
    return f'"{"".join(map(_character, value))}"'


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _bytes(value: bytes) -> str:
    inside = "".join(
        _character(chr(byte)) if 0x20 <= byte < 0x7F or byte in b"\n\r\t" else f"\\x{byte:02x}" for byte in value
    )
    return f'b"{inside}"'


def _list(value: Any) -> str:
    return f"[{', '.join(map(literal, value))}]"


def _map(value: dict[Value, Value]) -> str:
    return f"{{{', '.join(f'{literal(key)}: {literal(entry)}' for key, entry in value.items())}}}"


def _optional(value: OptionalValue) -> str:
    return "optional.none()" if value is NO_VALUE else f"optional.of({literal(value.value)})"


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    BoolKey: lambda value: literal(value.value),
    int: int.__repr__,
    Uint: repr,
    float: _double,
    str: _text,
    bytes: _bytes,
    list: _list,
    tuple: _list,
    dict: _map,
    Timestamp: lambda value: f'timestamp("{timestamp_text(value)}")',
    Duration: lambda value: f'duration("{duration_text(value)}")',
    Type: type_name,
    OptionalValue: _optional,
    IPv4Address: lambda value: f'ip("{value}")',
    IPv6Address: lambda value: f'ip("{value}")',
    IPv4Interface: lambda value: f'cidr("{value}")',
    IPv6Interface: lambda value: f'cidr("{value}")',
}


def _json_value(value: Value) -> Any:
    """Return the value as JSON has it; bytes become base64, times and what else JSON lacks the text of CEL."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case list() | tuple():
            return [_json_value(element) for element in value]
        case dict():
            return {key: _json_value(entry) for key, entry in zip(_keys(value), value.values(), strict=True)}
        case OptionalValue():
            return None if value is NO_VALUE else _json_value(value.value)
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
    return type_name(value) if isinstance(value, Type) else str(value)


def _keys(entries: Iterable[Value]) -> list[str]:
    """Return the keys of a map as JSON has them. What would read like another key is written with its type."""
    inner = [value_of_key(key) for key in entries]
    taken = {key for key in inner if isinstance(key, str)}
    keys = []
    for key in inner:
        text = key if isinstance(key, str) else literal(key).removesuffix("u")
        while not isinstance(key, str) and text in taken:
            text = f"{kind_of(key)}({text})"
        taken.add(text)
        keys.append(text)
    return keys
