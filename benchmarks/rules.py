"""The workload: first-match routing rules on four attributes, and requests that hit them at chosen places."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["HITS", "MODELS", "Decide", "Request", "Rule", "cel_condition", "make_rules", "requests_for"]

Request = dict[str, Any]
Decide = Callable[[Request], str | None]
"""What every contestant is brought to: a request as a dict in, the model's name out, None where no rule matches."""

HITS: Final = ("first", "uniform", "last", "miss")
"""Which rule the requests hit: the first, all of them equally often, the last, or none."""

MODELS: Final = tuple(f"model-{index}" for index in range(50))
_TASKS: Final = ("chat", "summarization", "code", "extraction", "translation")
_SAMPLE: Final = 256
_SEED: Final = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """Requests of a team with a task, below a prompt length and from a cost budget in US dollars on, get a model."""

    team: str
    task: str
    prompt_tokens_below: int
    cost_budget_from: float
    model: str


def make_rules(count: int) -> list[Rule]:
    """Return rules of which no two match the same request: five tasks for each team."""
    return [
        Rule(
            team=f"team-{index // len(_TASKS)}",
            task=_TASKS[index % len(_TASKS)],
            prompt_tokens_below=1000 + 500 * (index % 7),
            cost_budget_from=(1 + index % 3) / 100,
            model=MODELS[index % len(MODELS)],
        )
        for index in range(count)
    ]


def requests_for(rules: Sequence[Rule], hits: str) -> list[Request]:
    """Return requests whose every prefix is spread evenly over the rules, so that few of them are enough."""
    if hits == "first":
        return [_hit(rules[0])]
    if hits == "last":
        return [_hit(rules[-1])]
    sample = [rules[int(place * len(rules))] for place in _spread(_SAMPLE)]
    return [_hit(rule) if hits == "uniform" else _miss(rule) for rule in sample]


def cel_condition(rule: Rule, of: str = "") -> str:
    """Return the condition in CEL. The attributes are variables, or with ``of`` fields of one, as in ``request.``."""
    return (
        f'{of}team == "{rule.team}" && {of}task == "{rule.task}"'
        f" && {of}prompt_tokens < {rule.prompt_tokens_below} && {of}cost_budget >= {rule.cost_budget_from}"
    )


def _hit(rule: Rule) -> Request:
    return {"team": rule.team, "task": rule.task, "prompt_tokens": 900, "cost_budget": 0.05}


def _miss(rule: Rule) -> Request:
    """A request that fails the rule by its length only, so that no engine gets away with the first comparison."""
    return _hit(rule) | {"prompt_tokens": 4000}


def _spread(count: int) -> Iterator[float]:
    """Yield numbers from 0 to 1, each as far from those before as can be (multiples of the golden ratio)."""
    place = random.Random(_SEED).random()
    for _ in range(count):
        place = (place + 0.6180339887498949) % 1
        yield place
