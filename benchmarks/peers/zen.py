"""zen-engine: one decision table in the static loader, which compiles and indexes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zen import ZenEngine

from benchmarks.rules import Decide, Request, Rule

__all__ = ["prepare"]

_FIELDS = ("team", "task", "prompt_tokens", "cost_budget")


def prepare(rules: Sequence[Rule]) -> Decide:
    engine = ZenEngine({"loader": {"type": "static", "content": {"routes": _graph(rules)}}})

    def decide(request: Request) -> str | None:
        result: dict[str, Any] = engine.evaluate("routes", request)["result"]
        return result.get("model") if result else None

    return decide


def _graph(rules: Sequence[Rule]) -> dict[str, Any]:
    place = {"x": 0, "y": 0}
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": name, "name": name, "field": name} for name in _FIELDS],
        "outputs": [{"id": "model", "name": "model", "field": "model"}],
        "rules": [_row(index, rule) for index, rule in enumerate(rules)],
    }
    return {
        "nodes": [
            {"id": "in", "type": "inputNode", "name": "in", "position": place},
            {"id": "table", "type": "decisionTableNode", "name": "table", "position": place, "content": table},
            {"id": "out", "type": "outputNode", "name": "out", "position": place},
        ],
        "edges": [
            {"id": "1", "type": "edge", "sourceId": "in", "targetId": "table"},
            {"id": "2", "type": "edge", "sourceId": "table", "targetId": "out"},
        ],
    }


def _row(index: int, rule: Rule) -> dict[str, str]:
    return {
        "_id": str(index),
        "team": f'"{rule.team}"',
        "task": f'"{rule.task}"',
        "prompt_tokens": f"< {rule.prompt_tokens_below}",
        "cost_budget": f">= {rule.cost_budget_from}",
        "model": f'"{rule.model}"',
    }
