"""The LALR loop: tokens in, the tree out. It keeps its own stack, so that no nesting can exhaust Python's."""

from __future__ import annotations

from typing import Any

from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.problems import ExpressionError, Problem
from costlens_policy.expressions.syntax.building import Builder
from costlens_policy.expressions.syntax.grammar import Tables, tables
from costlens_policy.expressions.syntax.surprises import unexpected
from costlens_policy.expressions.syntax.tokens import Token, tokenize
from costlens_policy.expressions.tree import Extent, Node

__all__ = ["parse"]


def parse(source: str, limits: Limits = DEFAULT_LIMITS) -> Node:
    """Return the tree of an expression, its macros expanded. Raises ExpressionError with every problem found."""
    if len(source) > limits.source:
        message = f"an expression may be {limits.source} characters long, and this one has {len(source)}"
        raise ExpressionError((Problem("CL305", message, Extent(0, 0), "this expression is too long"),))
    grammar = tables()
    tokens, problems = tokenize(source, limits, grammar)
    if not tokens and not problems:
        extent = Extent(0, len(source))
        problems = [Problem("CL301", "the expression is empty", extent, "", "write `true` for what always holds")]
    if problems:
        raise ExpressionError(tuple(problems))
    builder = Builder(limits)
    node = _run(grammar, tokens, builder, source)
    if builder.problems:
        raise ExpressionError(tuple(builder.problems))
    return node


def _run(grammar: Tables, tokens: list[Token], builder: Builder, source: str) -> Node:
    states, values = [0], list[Any]()
    for token in (*tokens, Token("$END", len(source), len(source), None)):
        while True:
            action = grammar.states[states[-1]].get(token.terminal)
            if action is None:
                raise ExpressionError((unexpected(token, tokens, grammar.states[states[-1]], source),))
            if isinstance(action, int):
                states.append(action)
                values.append(token)
                break
            size = action.size
            if action.builds:
                values[-size:] = [builder.reduce(action.name, values[-size:])]
            del states[-size:]
            states.append(grammar.after(states[-1], action.name, token.terminal))
            if states[-1] == grammar.end and token.terminal == "$END":
                return values[-1].node  # type: ignore[no-any-return]  # the value of the start rule is a part
    raise AssertionError("the grammar ends with $END")
