"""Short ways to write the ``ast`` nodes of generated code, each with the place that ``compile`` demands."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final, TypedDict

__all__ = [
    "assign", "attribute", "binary", "boolean", "call", "choice", "compare", "const", "dict_comprehension",
    "function", "generator", "if_", "lambda_", "list_", "list_comprehension", "loop", "name", "named", "negative",
    "not_", "return_", "store", "subscript", "target", "try_", "within",
]  # fmt: skip


class _Place(TypedDict):
    lineno: int
    col_offset: int


_AT: Final[_Place] = {"lineno": 1, "col_offset": 0}
_LOAD: Final = ast.Load()
_STORE: Final = ast.Store()
_NOT: Final = ast.Not()
_MINUS: Final = ast.USub()


def name(identifier: str) -> ast.expr:
    return ast.Name(identifier, _LOAD, **_AT)


def store(identifier: str) -> ast.Name:
    return ast.Name(identifier, _STORE, **_AT)


def const(value: str | bytes | int | float | bool | None) -> ast.expr:
    return ast.Constant(value, **_AT)


def call(callee: ast.expr, *arguments: ast.expr) -> ast.expr:
    return ast.Call(callee, list(arguments), [], **_AT)


def attribute(value: ast.expr, field: str) -> ast.expr:
    return ast.Attribute(value, field, _LOAD, **_AT)


def subscript(value: ast.expr, key: ast.expr) -> ast.expr:
    return ast.Subscript(value, key, _LOAD, **_AT)


def compare(left: ast.expr, sign: ast.cmpop, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [sign], [right], **_AT)


def within(least: ast.expr, value: ast.expr, greatest: ast.expr) -> ast.expr:
    """Write ``least <= value <= greatest``."""
    return ast.Compare(least, [ast.LtE(), ast.LtE()], [value, greatest], **_AT)


def binary(left: ast.expr, sign: ast.operator, right: ast.expr) -> ast.expr:
    return ast.BinOp(left, sign, right, **_AT)


def boolean(sign: ast.boolop, operands: Sequence[ast.expr]) -> ast.expr:
    return operands[0] if len(operands) == 1 else ast.BoolOp(sign, list(operands), **_AT)


def not_(operand: ast.expr) -> ast.expr:
    return ast.UnaryOp(_NOT, operand, **_AT)


def negative(operand: ast.expr) -> ast.expr:
    return ast.UnaryOp(_MINUS, operand, **_AT)


def choice(condition: ast.expr, accepted: ast.expr, rejected: ast.expr) -> ast.expr:
    """Write ``accepted if condition else rejected``."""
    return ast.IfExp(condition, accepted, rejected, **_AT)


def named(identifier: str, value: ast.expr) -> ast.expr:
    """Write ``(identifier := value)``."""
    return ast.NamedExpr(store(identifier), value, **_AT)


def list_(elements: Sequence[ast.expr]) -> ast.expr:
    return ast.List(list(elements), _LOAD, **_AT)


def target(*identifiers: str) -> ast.expr:
    """Return what a loop assigns to: one name, or several."""
    if len(identifiers) == 1:
        return store(identifiers[0])
    return ast.Tuple([store(identifier) for identifier in identifiers], _STORE, **_AT)


def loop(variables: ast.expr, elements: ast.expr, condition: ast.expr | None = None) -> list[ast.comprehension]:
    """Return the ``for … in … if …`` of a comprehension."""
    return [ast.comprehension(variables, elements, [] if condition is None else [condition], 0)]


def generator(element: ast.expr, loops: list[ast.comprehension]) -> ast.expr:
    return ast.GeneratorExp(element, loops, **_AT)


def list_comprehension(element: ast.expr, loops: list[ast.comprehension]) -> ast.expr:
    return ast.ListComp(element, loops, **_AT)


def dict_comprehension(key: ast.expr, value: ast.expr, loops: list[ast.comprehension]) -> ast.expr:
    return ast.DictComp(key, value, loops, **_AT)


def lambda_(parameter: str, body: ast.expr) -> ast.expr:
    return ast.Lambda(_arguments([parameter]), body, **_AT)


def assign(identifier: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([store(identifier)], value, **_AT)


def return_(value: ast.expr) -> ast.stmt:
    return ast.Return(value, **_AT)


def if_(condition: ast.expr, then: ast.stmt) -> ast.stmt:
    return ast.If(condition, [then], [], **_AT)


def try_(body: list[ast.stmt], otherwise: ast.stmt) -> ast.stmt:
    """Write ``try: body except Exception: otherwise``."""
    handler = ast.ExceptHandler(name("Exception"), None, [otherwise], **_AT)
    return ast.Try(body, [handler], [], [], **_AT)


def function(identifier: str, parameters: Sequence[str], body: list[ast.stmt]) -> ast.stmt:
    return ast.FunctionDef(identifier, _arguments(parameters), body, [], **_AT)


def _arguments(identifiers: Sequence[str]) -> ast.arguments:
    names = [ast.arg(identifier, **_AT) for identifier in identifiers]
    return ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])
