"""Arguments that are written out and can be tried at once: patterns, durations, timestamps, zones, addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.functions.rows import ReadLiteral
from costlens_policy.expressions.problems import did_you_mean, shortened
from costlens_policy.expressions.tree import ListLiteral, Literal, Node
from costlens_policy.expressions.values import Value

__all__ = ["check_declared_values", "check_literal_arguments"]


def check_literal_arguments(walk: Walk, name: str, overload: str, arguments: Sequence[Node]) -> None:
    """Report a literal argument that can only fail when it is evaluated."""
    row = functions().get(name)
    if row is None or all(item.id != overload for item in row.overloads):
        return
    if row.pattern == "regex":
        _check_pattern(walk, arguments[1])
    elif row.pattern == "glob":
        _check_glob(walk, arguments[1])
    elif overload in row.literals:
        _check_conversion(walk, overload, row.literals[overload], arguments[0])
    elif overload.endswith("_tz"):
        _check_zone(walk, arguments[1])


def _check_pattern(walk: Walk, node: Node) -> None:
    pattern = _text(node)
    if pattern is None:
        return
    from costlens_policy.patterns import PatternError, compile_pattern

    try:
        compile_pattern(pattern)
    except PatternError as error:
        advice = "patterns are RE2: without look-around and back-references"
        if error.reason == str(error):
            advice = "repeat less, such as `.*` for `.{0,1000}`, or `{10,}` for `{10,1000}`"
        walk.report("CL311", "the pattern is not valid", node.extent, error.reason, advice)


def _check_glob(walk: Walk, node: Node) -> None:
    pattern = _text(node)
    if pattern is not None and _fails("glob_string", "", pattern):
        advice = "close every `[`, write the ends of a range in order, and `[[]` for a `[` itself"
        walk.report("CL311", "the shell pattern is not valid", node.extent, "this always fails", advice)


def _check_conversion(walk: Walk, overload: str, wanted: ReadLiteral, node: Node) -> None:
    if isinstance(node, Literal) and _fails(overload, node.value):
        shown = shortened(node.value) if isinstance(node.value, str) else walk.text(node)
        walk.report("CL312", f"`{shown}` is not {wanted.kind}", node.extent, "this always fails", wanted.advice)


def _fails(overload: str, *arguments: Value) -> bool:
    # The run time brings RE2 and the address libraries along: it is loaded only where a literal is to be tried.
    from costlens_policy.expressions.errors import CelError
    from costlens_policy.expressions.runtime.functions import implementation

    try:
        implementation(overload)(*arguments)
    except CelError:
        return True
    return False


def _check_zone(walk: Walk, node: Node) -> None:
    name = _text(node)
    if name is None:
        return
    from costlens_policy.expressions.errors import CelError
    from costlens_policy.expressions.runtime.times import zone

    try:
        zone(name)
    except CelError:
        advice = 'write a name such as "Europe/Berlin", or an offset such as "+01:00"'
        walk.report("CL312", f"`{shortened(name)}` is not a time zone", node.extent, "this always fails", advice)


def _text(node: Node) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None


def check_declared_values(walk: Walk, function: str, arguments: Sequence[Node]) -> None:
    """Warn of ``request.tier == "gold"`` where the tiers are declared and that is none of them."""
    if function not in ("_==_", "_!=_", "@in"):
        return
    for attribute, other in (tuple(arguments), tuple(reversed(arguments))):
        field = walk.fields.get(attribute)
        if field is None or not field.values:
            continue
        for literal in _texts(other):
            if literal.value not in field.values:
                known = ", ".join(f"`{value}`" for value in field.values[:12])
                advice = did_you_mean(literal.value, field.values) or f"it is one of {known}"
                message = f"`{walk.text(attribute)}` is never `{shortened(literal.value)}`"
                walk.report("CL313", message, literal.extent, "not a declared value", advice, Severity.WARNING)


def _texts(node: Node) -> Iterator[Literal]:
    for item in node.elements if isinstance(node, ListLiteral) else (node,):
        if isinstance(item, Literal) and isinstance(item.value, str):
            yield item
