"""common-expression-language, the binding of CEL in Rust: one program for each rule, one context for each request."""

from __future__ import annotations

from collections.abc import Sequence

import cel

from benchmarks.rules import Decide, Request, Rule, cel_condition

__all__ = ["prepare"]


def prepare(rules: Sequence[Rule]) -> Decide:
    programs = [(cel.compile(cel_condition(rule)), rule.model) for rule in rules]

    def decide(request: Request) -> str | None:
        context = cel.Context(request)
        for program, model in programs:
            if program.execute(context):
                return model
        return None

    return decide
