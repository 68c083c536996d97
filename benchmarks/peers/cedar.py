"""cedarpy: one ``permit`` for each rule over the context. Cedar asks all of them; the first is found afterwards.

Cedar has no floating-point numbers, so the cost budget is passed in whole millionths of a dollar.
"""

from __future__ import annotations

from collections.abc import Sequence

from cedarpy import Entities, PolicySet, is_authorized

from benchmarks.rules import Decide, Request, Rule

__all__ = ["prepare"]


def prepare(rules: Sequence[Rule]) -> Decide:
    policies = PolicySet.from_str("\n".join(map(_permit, rules)))
    entities = Entities.from_json_str("[]")

    def decide(request: Request) -> str | None:
        question = {
            "principal": 'User::"user"',
            "action": 'Action::"call"',
            "resource": 'Model::"any"',
            "context": {**request, "cost_budget": _millionths(request["cost_budget"])},
        }
        matched = is_authorized(question, policies, entities).diagnostics.reasons
        places = [int(policy.removeprefix("policy")) for policy in matched]
        return rules[min(places)].model if places else None

    return decide


def _permit(rule: Rule) -> str:
    return (
        f'permit(principal, action, resource) when {{ context.team == "{rule.team}" && context.task == "{rule.task}"'
        f" && context.prompt_tokens < {rule.prompt_tokens_below}"
        f" && context.cost_budget >= {_millionths(rule.cost_budget_from)} }};"
    )


def _millionths(usd: float) -> int:
    return round(usd * 1e6)
