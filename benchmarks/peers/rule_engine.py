"""rule-engine: one typed rule for each, tried in order."""

from __future__ import annotations

from collections.abc import Sequence

from rule_engine import Context, DataType, type_resolver_from_dict
from rule_engine import Rule as Condition

from benchmarks.rules import Decide, Request, Rule

__all__ = ["prepare"]


def prepare(rules: Sequence[Rule]) -> Decide:
    types = {
        "team": DataType.STRING,
        "task": DataType.STRING,
        "prompt_tokens": DataType.FLOAT,
        "cost_budget": DataType.FLOAT,
    }
    context = Context(type_resolver=type_resolver_from_dict(types))
    conditions = [(Condition(_text(rule), context=context), rule.model) for rule in rules]

    def decide(request: Request) -> str | None:
        for condition, model in conditions:
            if condition.matches(request):
                return model
        return None

    return decide


def _text(rule: Rule) -> str:
    return (
        f'team == "{rule.team}" and task == "{rule.task}"'
        f" and prompt_tokens < {rule.prompt_tokens_below} and cost_budget >= {rule.cost_budget_from}"
    )
