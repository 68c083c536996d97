"""Logic, conditionals and bindings."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from costlens_policy.expressions.compile.fast.python import boolean, call, choice, lambda_
from costlens_policy.expressions.tree import Bind, Conditional, Logic, Node
from costlens_policy.expressions.values import Value

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["bind", "condition", "conditional", "logic", "truth"]


def truth(value: Value) -> bool:
    """Return a bool as it is; raise for any other value, so that the exact form decides what that means."""
    if value is True or value is False:
        return bool(value)
    raise TypeError


def condition(emitter: Emitter, node: Node) -> ast.expr:
    """Emit what must be a bool."""
    emitted = emitter.emit(node)
    return emitted if emitter.kind(node) == "bool" else emitter.call(truth, emitted)


def logic(emitter: Emitter, node: Logic) -> ast.expr:
    sign = ast.And() if node.operator == "&&" else ast.Or()
    return boolean(sign, [condition(emitter, operand) for operand in node.operands])


def conditional(emitter: Emitter, node: Conditional) -> ast.expr:
    return choice(condition(emitter, node.condition), emitter.emit(node.accepted), emitter.emit(node.rejected))


def bind(emitter: Emitter, node: Bind) -> ast.expr:
    """Evaluate the value at once. Where that raises, the exact form finds out whether anything reads the value."""
    value = emitter.emit(node.value)
    with emitter.binding(node.variable) as (identifier,):
        body = emitter.emit(node.body)
    return call(lambda_(identifier, body), value)
