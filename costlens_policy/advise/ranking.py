"""Advice on each task of recorded calls, ranked by what it would save; the ranking as parts and as JSON-like data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.advise.advice import Advice, advise_on
from costlens_policy.advise.calls import EPOCH, MICROSECOND, Seen, Task
from costlens_policy.advise.derivation import DerivationSettings, Derived, Market, UnpricedError, derive
from costlens_policy.advise.inputs import Range, rules_of_thumb
from costlens_policy.advise.parts import AdviceTable, Page, Part, Sentences, readable, usd
from costlens_policy.advise.strategies import CACHED_PROMPT, PROMPT
from costlens_policy.advise.text import export_advice
from costlens_policy.diagnostics.text import printable
from costlens_policy.frozen import frozen
from costlens_policy.money import ZERO, multiply, plain

__all__ = ["Ranked", "Ranking", "page_of_ranking", "rank"]

_PROMPTS: Final = (PROMPT, CACHED_PROMPT, None)


@frozen
class Ranked:
    """A task, its workload, and the advice on it."""

    task: Task
    derived: Derived
    advice: Advice

    @property
    def is_candidate(self) -> bool:
        """Whether the policies recommend something else than a prompt on the current model."""
        return self.advice.recommendation.strategy not in _PROMPTS

    @property
    def strategy(self) -> str | None:
        """What is shown for the task: what is recommended or, where that is a prompt, what else would save most."""
        if self.is_candidate:
            return self.advice.recommendation.strategy
        savings = self.advice.numbers.savings
        others = [name for name in savings if name not in _PROMPTS]
        return max(others, key=lambda name: savings[name]) if others else None

    @property
    def saving(self) -> Decimal:
        """US dollars over the horizon that ``strategy`` saves, at the base of all inputs; 0 without one."""
        return ZERO if self.strategy is None else self.advice.numbers.savings[self.strategy]

    @property
    def monthly_usd(self) -> Decimal:
        """US dollars for the first month with the cheaper way to prompt."""
        numbers = self.advice.numbers
        return multiply(numbers.strategies[numbers.prompting].usd_per_query, numbers.monthly[0])


@frozen
class Ranking:
    """``ranked`` has candidates first, then by saving. ``left_out`` has, by task, why nothing was calculated for it."""

    ranked: tuple[Ranked, ...]
    left_out: tuple[tuple[Task, str], ...]
    seen: Seen
    settings: DerivationSettings
    source: str

    @property
    def candidates(self) -> Iterator[Ranked]:
        return (item for item in self.ranked if item.is_candidate)

    @property
    def others(self) -> Iterator[Ranked]:
        return (item for item in self.ranked if not item.is_candidate)


def rank(
    seen: Seen, market: Market, settings: DerivationSettings, policy_set: str | os.PathLike[str] | None = None
) -> Ranking:
    """Advise on each task. Raises ``PolicyError`` and ``InputError`` as ``advise`` does."""
    ranked, left_out = [], []
    for task in seen:
        try:
            derived = derive(task, seen, market, settings)
        except UnpricedError as error:
            left_out.append((task, str(error)))
        else:
            ranked.append(Ranked(task, derived, advise_on(derived.setting, settings.now, policy_set)))
    ranked.sort(key=lambda item: (not item.is_candidate, -item.saving, item.task.name or ""))
    left_out.sort(key=lambda item: (-item[0].calls, item[0].name or ""))
    return Ranking(tuple(ranked), tuple(left_out), seen, settings, market.source)


_LONGEST: Final = 40
"""More of a label is not shown."""


def page_of_ranking(ranking: Ranking, notes: Sequence[str]) -> Page:
    """Return the ranking as a page; ``notes`` on the traffic are in its data only."""
    return Page(_headline(ranking), _parts(ranking), lambda: {**_export(ranking), "notes": list(notes)})


def _headline(ranking: Ranking) -> str:
    """Return what was read, the horizon, and the day of the prices."""
    seen, settings = ranking.seen, ranking.settings
    months = f"{settings.months} month{'' if settings.months == 1 else 's'}"
    return (
        f"{seen.calls:,} calls{_when(ranking)}, by {settings.by}: {months} at the prices of {settings.now.date()} "
        f"in {ranking.source}"
    )


def _name_of(task: Task) -> str:
    """Return the name of a task, on one line; that of calls without a label is in parentheses."""
    name = printable(" ".join((task.name or "(no label)").split()))
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _parts(ranking: Ranking) -> Iterator[Part]:
    """Yield the parts in the order in which they are read."""
    candidates, others = tuple(ranking.candidates), tuple(ranking.others)
    if candidates:
        yield _table("candidates, by savings", candidates)
        yield Sentences("why", _why(candidates))
    else:
        yield Sentences("candidates, by savings", ("none: a prompt on the current model is best for every task",))
    if others:
        yield _table("better prompted", others)
        yield Sentences("why not", _why(others))
    if ranking.left_out:
        lines = tuple(f"{_name_of(task)} ({task.calls:,} calls): {why}" for task, why in ranking.left_out)
        yield Sentences("not calculated", lines)
    if ranking.ranked:
        yield _evidence(ranking.ranked)
        yield Sentences("not known from the traffic", tuple(_unknown(ranking.ranked)))
        yield Sentences("assumptions", tuple(_assumed(ranking.ranked)))


def _when(ranking: Ranking) -> str:
    period = ranking.seen.period
    if period is None or period.first == period.last:
        return ""
    first, last = _instant(period.first), _instant(period.last)
    return f" from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def _instant(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


def _table(title: str, ranked: Iterable[Ranked]) -> AdviceTable:
    headings = ("task", "cost per month", "instead", "saving", "at worst", "at best", "pays after")
    return AdviceTable(title, headings, tuple(map(_row, ranked)))


def _row(item: Ranked) -> tuple[str, ...]:
    strategy, savings = item.strategy, item.advice.numbers.savings_range
    if strategy is None:
        return _name_of(item.task), usd(item.monthly_usd), "-", "-", "-", "-", "-"
    bounds = usd(savings.lowest[strategy]), usd(savings.highest[strategy])
    return _name_of(item.task), usd(item.monthly_usd), strategy, usd(item.saving), *bounds, _pays(item)


def _evidence(ranked: Iterable[Ranked]) -> AdviceTable:
    headings = ("task", "calls", "a month", "growth", "prompt", "shared", "output", "in cache", "now with")
    return AdviceTable("what the calls show", headings, tuple(map(_facts, ranked)))


def _facts(item: Ranked) -> tuple[str, ...]:
    task, numbers, unknown = item.task, item.advice.numbers, item.derived.unknown
    growth, shared = numbers.inputs["queries.growth_per_month"].base, item.derived.shared
    return (
        _name_of(task),
        f"{task.calls:,}",
        "?" if "volume" in unknown else readable(numbers.inputs["queries.per_month"].base),
        "?" if {"volume", "growth"} & set(unknown) else f"{float(growth):+.1%}",
        f"{item.advice.setting.workload.prompt.tokens:,}",
        "?" if shared is None else f"{shared:,}",
        readable(numbers.inputs["output_tokens"].base),
        f"{task.cached_tokens / task.cache_known_tokens:.0%}" if task.cache_known_tokens else "?",
        item.derived.contenders.current.model.name,
    )


def _pays(item: Ranked) -> str:
    found = item.advice.numbers.break_evens.get(item.strategy or "")
    if found is None:
        return "-"
    return f"{float(found.months):.1f} months" if found.months else "at once"


def _why(ranked: Iterable[Ranked]) -> tuple[str, ...]:
    """Return the reasons of the policies, once for all tasks with the same reason."""
    tasks: dict[str, list[str]] = {}
    for item in ranked:
        found = item.advice.recommendation
        considerations = found.considerations if item.is_candidate else ()
        extras = "".join(f"; also, {extra.reason}" for extra in considerations)
        extras += "".join(f"; {text}" for text in dict.fromkeys(item.derived.evidence))
        tasks.setdefault(f"{found.reason} ({found.rule}){extras}", []).append(_name_of(item.task))
    return tuple(f"{', '.join(names)}: {text}" for text, names in tasks.items())


def _unknown(ranked: Iterable[Ranked]) -> Iterator[str]:
    by_fact: dict[str, list[str]] = {}
    items = tuple(ranked)
    for item in items:
        for fact in item.derived.unknown:
            by_fact.setdefault(fact, []).append(_name_of(item.task))
    for fact, names in by_fact.items():
        yield f"{fact}: {'every task' if len(names) == len(items) > 1 else ', '.join(names)}"
    yield (
        "for every task: how much accuracy and speed it needs beyond what it has, how often its instructions change, "
        "whether its data may be used for training; set these in a workload (--write DIR)"
    )


def _assumed(ranked: Iterable[Ranked]) -> Iterator[str]:
    items = tuple(ranked)
    yield from dict.fromkeys(text for item in items for text in item.derived.assumed)
    for item in items:
        if len(item.task.models) > 1:
            name = item.task.model or ""
            share = item.task.models[name] / item.task.calls
            yield f"{_name_of(item.task)}: all calls count as calls of `{name}`, which served {share:.0%} of them"
    rules, used = rules_of_thumb(), dict[str, Range]()
    for item in items:
        used |= {name: given for name, given in item.advice.numbers.inputs.items() if given.origin == rules.source}
    for name, given in used.items():
        yield f"`{name}` is {' .. '.join(map(readable, (given.low, given.base, given.high)))} ({given.origin})"
    yield "further assumptions are those of a workload: `costlens-policy advise WORKLOAD` prints them"


def _export(ranking: Ranking) -> dict[str, Any]:
    """Return the ranking: tasks in its order, each with the whole advice on it."""
    period = ranking.seen.period
    return {
        "calls": ranking.seen.calls,
        "by": ranking.settings.by,
        "first": None if period is None else (EPOCH + period.first * MICROSECOND).isoformat(),
        "last": None if period is None else (EPOCH + period.last * MICROSECOND).isoformat(),
        "prices": ranking.source,
        "tasks": list(map(_ranked, ranking.ranked)),
        "left_out": [{"task": task.name, "calls": task.calls, "why": why} for task, why in ranking.left_out],
    }


def _ranked(item: Ranked) -> dict[str, Any]:
    even = item.advice.numbers.break_evens.get(item.strategy or "")
    return {
        "task": item.task.name,
        "calls": item.task.calls,
        "candidate": item.is_candidate,
        "instead": item.strategy,
        "saving_usd": plain(item.saving),
        "break_even_months": None if even is None else round(float(even.months), 6),
        "monthly_usd": plain(item.monthly_usd),
        "current_model": item.derived.contenders.current.model.name,
        "models": dict(sorted(item.task.models.items())),
        "shared_start_tokens": item.derived.shared,
        "unknown": list(item.derived.unknown),
        "assumed": list(item.derived.assumed),
        "evidence": list(item.derived.evidence),
        "advice": export_advice(item.advice),
    }
