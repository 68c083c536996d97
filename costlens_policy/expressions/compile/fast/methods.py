"""Functions that are a Python operation or two."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from costlens_policy.expressions.compile.fast.python import attribute, binary, call, compare, const, name
from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.runtime.regexes import matcher, plain_pattern
from costlens_policy.expressions.tree import Literal, Node

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["METHODS"]

_SIZED: Final = ("string", "bytes", "list", "map")
_CLOCK: Final = {"getHours": (3_600, 24), "getMinutes": (60, 60), "getSeconds": (1, 60)}
"""By method: how many seconds there are to a unit, and how many units to the next greater one."""

_SECOND: Final = 1_000_000_000


def _size(emitter: Emitter, _: str, sized: Node) -> ast.expr | None:
    return call(name("len"), emitter.emit(sized)) if emitter.kind(sized) in _SIZED else None


def _contains(emitter: Emitter, _: str, text: Node, part: Node) -> ast.expr | None:
    if not _are_strings(emitter, text, part):
        return None
    return compare(emitter.emit(part), ast.In(), emitter.emit(text))


def _affix(emitter: Emitter, function: str, text: Node, part: Node) -> ast.expr | None:
    if not _are_strings(emitter, text, part):
        return None
    return call(attribute(emitter.emit(text), function.lower()), emitter.emit(part))


def _matches(emitter: Emitter, _: str, text: Node, pattern: Node) -> ast.expr | None:
    """Compile a literal pattern now, and match one without operators by Python's own string methods."""
    if emitter.kind(text) != "string" or not isinstance(pattern, Literal) or type(pattern.value) is not str:
        return None
    try:
        matches = matcher(pattern.value)
    except CelError:
        return None
    plain = plain_pattern(pattern.value)
    if plain is None:
        return emitter.call(matches, emitter.emit(text), emitter.account())
    start, literal, end = plain
    if start and end:
        return compare(emitter.emit(text), ast.Eq(), const(literal))
    if start or end:
        return call(attribute(emitter.emit(text), "startswith" if start else "endswith"), const(literal))
    return compare(const(literal), ast.In(), emitter.emit(text))


def _clock(emitter: Emitter, function: str, time: Node, *zone: Node) -> ast.expr | None:
    if zone or emitter.kind(time) != "timestamp":
        return None
    unit, modulus = _CLOCK[function]
    units = binary(attribute(emitter.emit(time), "nanoseconds"), ast.FloorDiv(), const(unit * _SECOND))
    return binary(units, ast.Mod(), const(modulus))


def _are_strings(emitter: Emitter, *nodes: Node) -> bool:
    return all(emitter.kind(node) == "string" for node in nodes)


METHODS: Final[dict[str, Callable[..., ast.expr | None]]] = {
    "size": _size,
    "contains": _contains,
    "startsWith": _affix,
    "endsWith": _affix,
    "matches": _matches,
    **dict.fromkeys(_CLOCK, _clock),
}
"""By function, as in ``OPERATORS``."""
