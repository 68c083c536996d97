"""cel-expr-python, Google's binding of CEL in C++: one expression for each rule, or all conditions in one list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cel_expr_python import cel

from benchmarks.rules import Decide, Request, Rule, cel_condition

__all__ = ["prepare_each", "prepare_list"]


def prepare_each(rules: Sequence[Rule]) -> Decide:
    environment = _environment()
    expressions = [(environment.compile(cel_condition(rule)), rule.model) for rule in rules]

    def decide(request: Request) -> str | None:
        activation = environment.Activation(request)
        for expression, model in expressions:
            if expression.eval(activation).value() is True:
                return model
        return None

    return decide


def prepare_list(rules: Sequence[Rule]) -> Decide:
    environment = _environment()
    expression = environment.compile(f"[{','.join(map(cel_condition, rules))}]")
    models = [rule.model for rule in rules]

    def decide(request: Request) -> str | None:
        values: Any = expression.eval(environment.Activation(request)).plain_value()
        return models[values.index(True)] if True in values else None

    return decide


def _environment() -> cel.Env:
    kinds = cel.Type
    return cel.NewEnv(
        variables={
            "team": kinds.STRING,
            "task": kinds.STRING,
            "prompt_tokens": kinds.INT,
            "cost_budget": kinds.DOUBLE,
        }
    )
