"""From the calls of a task to a workload: which models compete, what the calls show, and what is assumed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import ceil, floor
from typing import Any, Final

from pydantic import ValidationError

from costlens_policy.advise.calls import Seen, Task, volume_of
from costlens_policy.advise.evidence import are_alike, finding
from costlens_policy.advise.inputs import Range
from costlens_policy.advise.strategies import Contest, Query, Setting, query_cost
from costlens_policy.catalogue import Model
from costlens_policy.documents import WorkloadDocument
from costlens_policy.frozen import frozen

__all__ = [
    "CATALOGUE", "POLICY_SET", "Contenders", "DerivationSettings", "Derived", "Market", "UnpricedError", "contenders",
    "derive", "quality",
]  # fmt: skip

CATALOGUE: Final = "catalogue.yaml"
POLICY_SET: Final = "advice/policy-set.yaml"
_NO_LETTERS: Final = re.compile(r"[^a-z0-9]+")
_TEN_THOUSANDTH: Final = Decimal("0.0001")


@frozen
class DerivationSettings:
    """``by`` is the label that calls are grouped by; ``swing`` how far answers may be longer or shorter.

    ``lifetime`` and ``shortest_tokens`` are those of prompt caches; with ``cache`` false, none is looked at.
    """

    by: str
    months: int
    now: datetime
    cache: bool = True
    lifetime: timedelta = timedelta(minutes=5)
    shortest_tokens: int = 1024
    swing: Decimal = Decimal("0.2")


@frozen
class Derived:
    """``plain`` is the document as data; ``unknown`` lists what calls do not show, ``assumed`` what is assumed.

    ``shared`` is the length of the shared prefix, in tokens; None if unknown.
    """

    setting: Setting
    plain: Mapping[str, Any]
    contenders: Contenders
    shared: int | None
    unknown: tuple[str, ...]
    assumed: tuple[str, ...]
    evidence: tuple[str, ...] = ()
    """What the evidence says against the models that compete with the current one."""


class UnpricedError(Exception):
    """The cost of a task's calls cannot be calculated; the message explains why."""


@dataclass(slots=True)
class _Notes:
    unknown: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)


def derive(task: Task, seen: Seen, market: Market, settings: DerivationSettings) -> Derived:
    """Return the workload of a task.

    Raises ``UnpricedError`` where no current model with a price is known, or the calls are out of all bounds.
    """
    current, notes = _current(task, market), _Notes()
    shared = task.shared(seen.block_tokens)
    try:
        found = contenders(task, current, market, settings.now.date())
        plain = dict(_sections(task, seen, found, shared, settings, notes))
        document = WorkloadDocument.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        raise UnpricedError(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None
    except ValueError as error:
        raise UnpricedError(str(error)) from None
    setting = Setting(document, settings.months, found.current, found.small, found.trained)
    return Derived(setting, plain, found, shared, tuple(notes.unknown), tuple(notes.assumed), tuple(notes.evidence))


def _sections(
    task: Task, seen: Seen, found: Contenders, shared: int | None, settings: DerivationSettings, notes: _Notes
) -> Iterator[tuple[str, Any]]:
    """Yield the document section by section."""
    tokens = max(1, round(task.prompt_tokens / task.calls))
    queries = _queries(task, seen, notes)
    yield "apiVersion", "costlens-policy/v1"
    yield "kind", "Workload"
    yield "metadata", {"name": _document_name(task.name), "version": "1", "description": _described(task, settings)}
    yield "catalogue", CATALOGUE
    yield "policy_set", POLICY_SET
    if task.name is not None:
        yield "task", task.name
    yield "queries", queries
    yield "prompt", {"tokens": tokens, **_absorbed(shared, notes)}
    yield "output_tokens", _output(task, settings.swing)
    yield "current", _contender(task, found.current)
    if settings.cache and (caching := _caching(task, shared, tokens, settings, notes)) is not None:
        yield "caching", caching
    volume = queries["per_month"]
    yield from _others(task, found, int(volume["base"] if isinstance(volume, dict) else volume), notes)
    yield "needs", _needs(task, found, notes)


def _document_name(task: str | None) -> str:
    """Return a name for the workload of a task, fit for a document and a file."""
    name = _NO_LETTERS.sub("-", (task or "all-calls").lower()).strip("-")[:60].strip("-")
    return name if name[:1].isalpha() else f"task-{name}".rstrip("-")


def _described(task: Task, settings: DerivationSettings) -> str:
    what = "all calls" if task.name is None else f"{settings.by} `{task.name}`"
    return f"Derived from {task.calls:,} recorded calls of {what}; correct what you know better."


def _current(task: Task, market: Market) -> Model:
    name = task.model
    if name is None:
        raise UnpricedError("no call records its model; set it with --set model=NAME")
    found = market.find(name)
    if found is None:
        raise UnpricedError(f"`{name}` has no price in {market.source}")
    return found


def _spread(item: Range) -> Any:
    return {"low": item.low, "base": item.base, "high": item.high} if item.is_uncertain else item.base


def _queries(task: Task, seen: Seen, notes: _Notes) -> dict[str, Any]:
    period = seen.period
    volume = None if period is None else volume_of(task.times, period)
    if volume is None:
        notes.unknown.append("volume")
        notes.assumed.append("the recorded calls cover one month, since they have no timestamps")
        return {"per_month": Decimal(task.calls)}
    if volume.growth is None:
        if period is not None and not period.weeks:
            notes.assumed.append(f"every day is like the recorded {period.length / 3_600_000_000:.1f} hours")
        notes.unknown.append("growth")
        notes.assumed.append(
            "no growth: measuring it takes four weeks of calls, to compare the first half with the second"
        )
        return {"per_month": _spread(volume.per_month)}
    return {"per_month": _spread(volume.per_month), "growth_per_month": _spread(volume.growth)}


def _absorbed(shared: int | None, notes: _Notes) -> dict[str, Any]:
    """Return what training would absorb: the shared start, at worst nothing of it."""
    if shared is None:
        notes.unknown.append("shared prefix of the prompts")
        notes.assumed.append("training absorbs no part of the prompt, since too few prompts are recorded to compare")
        return {}
    if not shared:
        return {}
    notes.assumed.append("training absorbs the prefix that nine of ten prompts share, or at worst none of it")
    return {"instructions": _spread(Range(Decimal(0), Decimal(shared), Decimal(shared)))}


def _output(task: Task, swing: Decimal) -> Any:
    mean = Decimal(round(task.output_tokens / task.calls))
    return _spread(Range(Decimal(floor(mean * (1 - swing))), mean, Decimal(ceil(mean * (1 + swing)))))


def _contender(task: Task, contest: Contest) -> dict[str, Any]:
    accuracy = quality(task, contest.model)
    return {"model": contest.model.name} | ({} if accuracy is None else {"accuracy": accuracy})


def _caching(
    task: Task, shared: int | None, tokens: int, settings: DerivationSettings, notes: _Notes
) -> dict[str, Any] | None:
    """Return how far a cache helps: as recorded, else as far as the shared start stays warm between calls."""
    if task.cached_tokens:
        return _recorded_caching(task, shared, tokens)
    if not task.cache_known_tokens:
        notes.unknown.append("cached share")
    warm = task.warm(settings.lifetime)
    if not shared or warm is None or shared < settings.shortest_tokens:
        notes.assumed.append("no prompt cache, since neither cached tokens nor a long enough shared prefix is recorded")
        return None
    seconds = int(settings.lifetime.total_seconds())
    notes.assumed.append(f"the shared prefix is cached, and hit by calls within {seconds} s of the one before")
    return {"share": _ratio(shared, tokens), "hit_ratio": warm, "shortest_tokens": settings.shortest_tokens}


def _recorded_caching(task: Task, shared: int | None, tokens: int) -> dict[str, Any]:
    """Return a share and a hit ratio whose product is the recorded share of cached tokens.

    If no writes are recorded, the share is the longer of what is shared and what was read.
    """
    read = max(_ratio(task.cached_tokens, task.cache_known_tokens), _TEN_THOUSANDTH)
    if task.written_tokens:
        share = _ratio(task.cached_tokens + task.written_tokens, task.cache_known_tokens)
        return {"share": share, "hit_ratio": _ratio(task.cached_tokens, task.cached_tokens + task.written_tokens)}
    share = max(read, _ratio(shared or 0, tokens))
    return {"share": share, "hit_ratio": (read / share).quantize(_TEN_THOUSANDTH)}


def _ratio(part: int, whole: int) -> Decimal:
    return min(Decimal(1), (Decimal(part) / Decimal(whole)).quantize(_TEN_THOUSANDTH))


def _others(task: Task, found: Contenders, per_month: int, notes: _Notes) -> Iterator[tuple[str, Any]]:
    for name in found.too_small:
        notes.assumed.append(f"`{name}` is not considered, since an average call exceeds its context window")
    if found.small is None:
        notes.assumed.append("no smaller model, since none is known to be as good; set one with --small")
        if found.undecided is not None:
            alike = finding(task, found.undecided.model, found.current.model)
            notes.assumed.append(f"{alike}, so --small might name it")
    else:
        yield "small", _contender(task, found.small)
        notes.evidence.extend(_against(task, found.small, found.current))
    if found.trained is None:
        notes.assumed.append("no model to fine-tune, since none is known to cost less; set one with --fine-tuned")
        return
    if found.base is not None:
        notes.assumed.append(f"a fine-tuned model costs as much per token as its base, `{found.base}`")
    notes.assumed.append("a month of recorded answers serves as labels, and checking them costs nothing extra")
    for other in (found.small, found.current):
        notes.evidence.extend(() if other is None else _against(task, found.trained, other))
    labeling = {"at_hand": max(task.calls, per_month), "usd_each": Decimal(0)}
    yield "fine_tuned", {**_contender(task, found.trained), "labeling": labeling}


def _against(task: Task, one: Contest, other: Contest) -> Iterator[str]:
    if text := finding(task, one.model, other.model):
        yield text


def _needs(task: Task, found: Contenders, notes: _Notes) -> dict[str, Any]:
    wanted = quality(task, found.current.model)
    if wanted is None:
        notes.unknown.append("accuracy")
    else:
        notes.assumed.append("the accuracy of the current model is enough")
    scope = "multi-domain" if task.name is None else "narrow"
    return {"scope": scope} | ({} if wanted is None else {"accuracy": wanted})


@frozen
class Market:
    """Models and their prices. ``find`` knows any name of a model, ``offered`` are those that may be chosen from.

    ``small`` and ``trained`` are the models that the caller set; None leaves the choice to ``offered``.
    """

    find: Callable[[str], Model | None]
    offered: Sequence[Model]
    source: str
    small: Model | None = None
    trained: Model | None = None
    suggest: Callable[[str], str | None] = field(default=lambda _: None, compare=False)
    """Returns the name that an unknown one probably means."""


@frozen
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
    undecided: Contest | None = None
    """The cheapest model that may be as good as the current one, as far as the evidence shows; with a ``small`` one,
    None.
    """


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
    alike = (item for item in cheaper if small is None and are_alike(task, item.model, serving.model))
    undecided = next(alike, None)
    if trained is None or trained.model.base is not None:
        return Contenders(serving, small, trained, None, too_small, undecided)
    return Contenders(serving, small, _trained_from(trained), trained.model.name, too_small, undecided)


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
    return Contest(replace(base.model, name=name, aliases=(), quality={}, evidence={}, labels={}), base.period)


def _named(model: Model | None, task: Task, day: date) -> Contest | None:
    return None if model is None or not _fits(model, task) else _contest(model, day)


def _contest(model: Model, day: date) -> Contest | None:
    period = model.period_on(day)
    return None if period is None else Contest(model, period)


def _no_worse(task: Task, one: Contest, other: Contest) -> bool:
    """Return whether a model is known to be as good at the task as another: measured, or as the catalogue states."""
    found, wanted = quality(task, one.model), quality(task, other.model)
    return found is not None and wanted is not None and found >= wanted


def quality(task: Task, model: Model) -> Decimal | None:
    """Return how often a model is right at a task: as recorded, else as the catalogue states, else None."""
    recorded = task.accuracy(model.name, *model.aliases)
    if recorded is not None or task.name is None:
        return recorded
    stated = model.quality.get(task.name)
    return None if stated is None else Decimal(repr(stated))
