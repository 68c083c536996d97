"""Which models a task could be served by: the one that serves it, a smaller one, and one to be trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from costlens_policy.advise.query_cost import Query, query_cost
from costlens_policy.advise.strategies import Contest
from costlens_policy.advise.traffic.seen import Task
from costlens_policy.catalogue import Model

__all__ = ["Contenders", "Market", "contenders", "quality"]


@dataclass(frozen=True, slots=True)
class Market:
    """Models and their prices. ``find`` knows any name of a model, ``offered`` are those that may be chosen from.

    ``small`` and ``trained`` are the models that somebody named; None leaves the choice to ``offered``.
    """

    find: Callable[[str], Model | None]
    offered: Sequence[Model]
    source: str
    small: Model | None = None
    trained: Model | None = None


@dataclass(frozen=True, slots=True)
class Contenders:
    """``base`` is the model that the trained one would be trained from, and whose prices it is given; None where the
    trained model is there.
    """

    current: Contest
    small: Contest | None
    trained: Contest | None
    base: str | None
    too_small: tuple[str, ...] = ()
    """Named models whose context window does not hold an average call."""


def contenders(task: Task, current: Model, market: Market, day: date) -> Contenders:
    """Choose among the models that have a price on a day. Raises ``ValueError`` where the current one has none."""
    serving = _contest(current, day)
    if serving is None:
        raise ValueError(f"`{current.name}` has no price on {day}")
    cheaper = _cheaper(task, serving, market, day)
    small = _named(market.small, task, day) or next((item for item in cheaper if _no_worse(task, item, serving)), None)
    ready = next((model for model in market.offered if task.name in model.trained_for), None)
    trained = _named(market.trained or ready, task, day) or next(iter(cheaper), None)
    named = [model for model in (market.small, market.trained) if model is not None]
    too_small = tuple(dict.fromkeys(model.name for model in named if not _fits(model, task)))
    if trained is None or trained.model.base is not None:
        return Contenders(serving, small, trained, None, too_small)
    return Contenders(serving, small, _trained_from(trained), trained.model.name, too_small)


def _cheaper(task: Task, serving: Contest, market: Market, day: date) -> list[Contest]:
    """Return the models on offer that serve an average call for less, the cheapest first."""
    query = Query(Decimal(round(task.prompt_tokens / task.calls)), Decimal(round(task.output_tokens / task.calls)))
    costs = {}
    for model in market.offered:
        found = _contest(model, day)
        if found is not None and model.base is None and _fits(model, task):
            costs[model.name] = (query_cost(found.period, query), model.name, found)
    most = query_cost(serving.period, query)
    return [found for cost, _, found in sorted(costs.values(), key=lambda item: item[:2]) if cost < most]


def _fits(model: Model, task: Task) -> bool:
    size = task.prompt_tokens + task.output_tokens
    return model.context_window is None or size <= model.context_window * task.calls


def _trained_from(base: Contest) -> Contest:
    """Return a model that is not there yet: the prices of its base, and nothing known of how good it will be."""
    name = f"{base.model.name}-trained"
    return Contest(replace(base.model, name=name, aliases=(), quality={}, labels={}), base.period)


def _named(model: Model | None, task: Task, day: date) -> Contest | None:
    return None if model is None or not _fits(model, task) else _contest(model, day)


def _contest(model: Model, day: date) -> Contest | None:
    period = model.period_on(day)
    return None if period is None else Contest(model, period)


def _no_worse(task: Task, one: Contest, other: Contest) -> bool:
    """Say whether a model is known to be as good at the task as another: measured, or as the catalogue states."""
    found, wanted = quality(task, one.model), quality(task, other.model)
    return found is not None and wanted is not None and found >= wanted


def quality(task: Task, model: Model) -> Decimal | None:
    """Return how often a model is right at a task: as recorded, else as the catalogue states, else None."""
    recorded = task.accuracy(model.name, *model.aliases)
    if recorded is not None or task.name is None:
        return recorded
    stated = model.quality.get(task.name)
    return None if stated is None else Decimal(repr(stated))
