"""Ours: the whole decision on route rules, and the compiled conditions by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.policies import DEFAULT_MODEL, write_route_rules
from benchmarks.rules import Decide, Request, Rule, cel_condition
from costlens_policy import load
from costlens_policy.expressions import DOUBLE, INT, STRING, Environment, TypedExpr, analyze
from costlens_policy.expressions.compile.first_match import compile_first_match
from costlens_policy.expressions.types import Field, Record, Type

__all__ = ["prepare_conditions", "prepare_decide"]


def prepare_decide(rules: Sequence[Rule]) -> Decide:
    """Return ``Engine.decide`` with its full ``Decision``, of which the model is read."""
    with TemporaryDirectory() as folder:
        write_route_rules(Path(folder), rules)
        engine = load(folder)

    def decide(request: Request) -> str | None:
        model = engine.decide(request).model
        return None if model == DEFAULT_MODEL else model

    return decide


def prepare_conditions(rules: Sequence[Rule]) -> Decide:
    """Return the conditions as the plan holds them: one function that gives the first that holds."""
    types = {"team": STRING, "task": STRING, "prompt_tokens": INT, "cost_budget": DOUBLE}
    record = Record("request", {name: Field(kind) for name, kind in types.items()})
    environment = Environment({"request": Type("request")}, {"request": record})
    first = compile_first_match([_typed(rule, environment) for rule in rules], ("request",))
    models = [rule.model for rule in rules]

    def decide(request: Request) -> str | None:
        index = first(request)
        return None if index is None else models[index]

    return decide


def _typed(rule: Rule, environment: Environment) -> TypedExpr:
    typed = analyze(cel_condition(rule, of="request."), environment).typed
    assert typed is not None
    return typed
