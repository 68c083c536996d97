"""regopy, the binding of rego-cpp: one rule with an ``else`` for each further one, built into a bundle."""

from __future__ import annotations

from collections.abc import Sequence

from regopy import Input, Interpreter

from benchmarks.rules import Decide, Request, Rule

__all__ = ["prepare"]


def prepare(rules: Sequence[Rule]) -> Decide:
    interpreter = Interpreter()
    chain = " else := ".join(map(_alternative, rules))
    interpreter.add_module("routes", f'package routes\nimport rego.v1\ndefault model := ""\nmodel := {chain}')
    bundle = interpreter.build("data.routes.model")

    def decide(request: Request) -> str | None:
        interpreter.set_input(Input(request))
        output = interpreter.query_bundle(bundle)  # named, since its nodes die with it
        return str(output.expressions()[0].value).strip('"') or None

    return decide


def _alternative(rule: Rule) -> str:
    return (
        f'"{rule.model}" if {{ input.team == "{rule.team}"; input.task == "{rule.task}";'
        f" input.prompt_tokens < {rule.prompt_tokens_below}; input.cost_budget >= {rule.cost_budget_from} }}"
    )
