"""cel-python: one program for each rule, by its interpreter or transpiled. A process can have one of the two only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import celpy

from benchmarks.rules import Decide, Request, Rule, cel_condition

__all__ = ["prepare_interpreted", "prepare_transpiled"]


def prepare_interpreted(rules: Sequence[Rule]) -> Decide:
    return _prepare(rules, celpy.InterpretedRunner)


def prepare_transpiled(rules: Sequence[Rule]) -> Decide:
    return _prepare(rules, celpy.CompiledRunner)


def _prepare(rules: Sequence[Rule], runner: type[Any]) -> Decide:
    environment = celpy.Environment(runner_class=runner)
    programs = [(environment.program(environment.compile(cel_condition(rule))), rule.model) for rule in rules]

    def decide(request: Request) -> str | None:
        activation: Any = celpy.json_to_cel(request)
        for program, model in programs:
            if program.evaluate(activation):
                return model
        return None

    return decide
