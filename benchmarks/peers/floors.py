"""The two floors: what somebody would write by hand, without a policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.rules import Decide, Request, Rule

__all__ = ["prepare_chain", "prepare_index"]


def prepare_index(rules: Sequence[Rule]) -> Decide:
    """Return a lookup by team and task, then two comparisons."""
    index: dict[tuple[str, str], Rule] = {}
    for rule in rules:
        index.setdefault((rule.team, rule.task), rule)

    def decide(request: Request) -> str | None:
        rule = index.get((request["team"], request["task"]))
        if (
            rule is not None
            and request["prompt_tokens"] < rule.prompt_tokens_below
            and request["cost_budget"] >= rule.cost_budget_from
        ):
            return rule.model
        return None

    return decide


def prepare_chain(rules: Sequence[Rule]) -> Decide:
    """Return one ``if`` for each rule, in order, in one function with the attributes in local variables."""
    lines = ["def decide(request):"]
    lines += [f"    {name} = request[{name!r}]" for name in ("team", "task", "prompt_tokens", "cost_budget")]
    for rule in rules:
        lines.append(
            f"    if team == {rule.team!r} and task == {rule.task!r} and"
            f" prompt_tokens < {rule.prompt_tokens_below} and cost_budget >= {rule.cost_budget_from}:"
            f" return {rule.model!r}"
        )
    namespace: dict[str, Any] = {}
    exec("\n".join(lines), namespace)
    decide: Decide = namespace["decide"]
    return decide
