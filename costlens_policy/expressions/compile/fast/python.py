"""Short ways to write the ``ast`` nodes that the emitter needs."""

from __future__ import annotations

import ast

__all__ = ["attribute", "call", "compare", "const", "name", "not_", "store", "subscript", "target"]


def name(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Load())


def store(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Store())


def const(value: str | bytes | int | float | bool | None) -> ast.Constant:
    return ast.Constant(value)


def call(function: ast.expr, *arguments: ast.expr) -> ast.Call:
    return ast.Call(function, list(arguments), [])


def attribute(value: ast.expr, field: str) -> ast.Attribute:
    return ast.Attribute(value, field, ast.Load())


def subscript(value: ast.expr, key: ast.expr) -> ast.Subscript:
    return ast.Subscript(value, key, ast.Load())


def compare(left: ast.expr, sign: ast.cmpop, right: ast.expr) -> ast.Compare:
    return ast.Compare(left, [sign], [right])


def not_(operand: ast.expr) -> ast.UnaryOp:
    return ast.UnaryOp(ast.Not(), operand)


def target(*identifiers: str) -> ast.expr:
    """Return what a comprehension assigns to: one name, or a pair of them."""
    if len(identifiers) == 1:
        return store(identifiers[0])
    return ast.Tuple([store(identifier) for identifier in identifiers], ast.Store())
