"""Measurements: outcomes with what each call costs, as numbers that can be fitted to.

Only cases on which every model was measured are compared, so that no model looks better for having had the easier ones.
Costs here are statistics, in doubles; no amount of them is ever charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from costlens_policy.catalogue import Catalogue, Model
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.fit.outcomes import Case, Outcomes, OutcomesError
from costlens_policy.frozen import frozen
from costlens_policy.tokens import ESTIMATE

__all__ = ["Assumed", "Flags", "Floats", "IncompleteError", "Measurements", "Places", "alike", "gather", "of_models"]

_Column = TypeVar("_Column")

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

_MOST_LOST: Final = 0.5
"""Share of the cases that may lack a model before the fit is refused."""
_MOST_REASONS: Final = 3
_LOW_FOR_ALL: Final = 0.2
"""Where no score of any model is above it, the scale of the scores is in doubt."""


class IncompleteError(OutcomesError):
    """Outcomes do not measure several models on the same cases."""


@frozen
class Assumed:
    """What stands for what the outcomes do not record: the tokens of an answer, and the day of the prices."""

    output_tokens: int
    day: date


@frozen(eq=False)
class Measurements:
    """Cases by rows and models by columns: ``scores`` from 0 to 1, ``costs`` of one call in US dollars.

    ``task_of`` has for each case the place of its task in ``tasks``, where None stands for no task; ``group_of`` the
    number of its group of equal prompts. ``notes`` state what was assumed and left out.
    """

    models: tuple[str, ...]
    tasks: tuple[str | None, ...]
    cases: tuple[Case, ...]
    scores: Floats
    costs: Floats
    task_of: Places
    group_of: Places
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def groups(self) -> int:
        """How many cases have different prompts."""
        return len(np.unique(self.group_of))

    def part(self, chosen: Flags) -> Measurements:
        """Return some of the cases, with the same models and tasks; groups are numbered anew."""
        cases = tuple(case for case, is_chosen in zip(self.cases, chosen, strict=True) if is_chosen)
        groups = np.unique(self.group_of[chosen], return_inverse=True)[1]
        return Measurements(
            self.models, self.tasks, cases, self.scores[chosen], self.costs[chosen], self.task_of[chosen], groups,
            self.notes,
        )  # fmt: skip

    def of_task(self, task: int) -> Flags:
        """Return which cases have a task, by its place."""
        flags: Flags = self.task_of == task
        return flags


def of_models(outcomes: Outcomes, models: Sequence[str]) -> Outcomes:
    """Return the outcomes of some models; of all where none is named. Raises ``OutcomesError`` for an unknown one."""
    if not models:
        return outcomes
    for name in models:
        if name not in outcomes.scores:
            hint = did_you_mean(name, outcomes.models) or f"measured are {listed(outcomes.models)}"
            raise OutcomesError(f"no outcomes of `{name}`; {hint}")

    def some(columns: Mapping[str, _Column]) -> dict[str, _Column]:
        return {name: column for name, column in columns.items() if name in models}

    return replace(
        outcomes, scores=some(outcomes.scores), costs=some(outcomes.costs),
        output_tokens=some(outcomes.output_tokens), latency_ms=some(outcomes.latency_ms),
    )  # fmt: skip


def alike(inside: Measurements, aside: Measurements) -> tuple[Measurements, Measurements]:
    """Give measurements from two sources the same tasks. Raises ``OutcomesError`` where their models differ."""
    if inside.models != aside.models:
        odd = sorted(set(inside.models) ^ set(aside.models))
        raise OutcomesError(f"`{odd[0]}` was measured in one source only; compare the others with --models")
    tasks = tuple(sorted({*inside.tasks, *aside.tasks}, key=lambda task: (task is not None, task or "")))
    return _with_tasks(inside, tasks), _with_tasks(aside, tasks)


def _with_tasks(measurements: Measurements, tasks: tuple[str | None, ...]) -> Measurements:
    places = {task: place for place, task in enumerate(tasks)}
    task_of = np.array([places[case.task] for case in measurements.cases], dtype=np.int64)
    return replace(measurements, tasks=tasks, task_of=task_of)


def gather(outcomes: Outcomes, catalogue: Catalogue, assumed: Assumed) -> Measurements:
    """Return outcomes at the prices of a catalogue.

    Raises ``OutcomesError`` where a model has no price and no recorded costs, and ``IncompleteError`` where fewer than
    two models were measured, or most cases lack a model.
    """
    models = outcomes.models
    if len(models) < 2:
        raise IncompleteError(
            f"a choice needs outcomes of at least two models, got {listed(models)}{_left_out(outcomes)}"
        )
    if outcomes.paired and len(models) > 2:
        raise OutcomesError("a case of pairwise preferences has two models; compare two with --models")
    complete = sorted(
        (at for at in range(len(outcomes.cases)) if all(outcomes.scores[name][at] is not None for name in models)),
        key=lambda at: _order(outcomes.cases[at]),
    )
    _refuse_gaps(outcomes, len(complete))
    kept = outcomes.part(complete)
    tasks = kept.tasks
    places = {task: place for place, task in enumerate(tasks)}
    scores = np.array([kept.scores[name] for name in models], dtype=float).T
    costs = np.array([list(_costs(kept, name, catalogue, assumed)) for name in models], dtype=float).T
    group_of = np.unique([case.group for case in kept.cases], return_inverse=True)[1]
    task_of = np.array([places[case.task] for case in kept.cases])
    notes = (*_notes(outcomes, kept, assumed), *_odd_scores(scores))
    return Measurements(models, tasks, kept.cases, scores, costs, task_of, group_of, notes)


def _order(case: Case) -> tuple[str, str, str]:
    """Return by what cases are put in order, so that sums do not depend on the order of rows in their last digits."""
    return case.task or "", case.id, case.group


def _refuse_gaps(outcomes: Outcomes, complete: int) -> None:
    if complete and (outcomes.paired or complete >= len(outcomes.cases) * (1 - _MOST_LOST)):
        return
    gaps = {name: sum(score is None for score in outcomes.scores[name]) for name in outcomes.models}
    most = max(gaps, key=lambda name: gaps[name])
    raise IncompleteError(
        f"only {complete:,} of {len(outcomes.cases):,} cases have a score of every model, and `{most}` lacks "
        f"{gaps[most]:,}{_left_out(outcomes)}; compare fewer models with --models"
    )


def _left_out(outcomes: Outcomes) -> str:
    """Return what was left out of the files, as that may be why scores are missing."""
    notes = (*outcomes.notes.dropped, *(note for note in outcomes.notes.remarks if "not read" in note.what))
    reasons = [str(replace(note, places=note.places[:1])) for note in notes[:_MOST_REASONS]]
    return f"; left out are {'; '.join(reasons)}" if reasons else ""


def _costs(outcomes: Outcomes, name: str, catalogue: Catalogue, assumed: Assumed) -> Iterator[float]:
    """Yield what each call costs on a model: as recorded, else its tokens at the prices of the day."""
    recorded = _recorded(outcomes, name)
    if None not in recorded:
        yield from (float(cost) for cost in recorded if cost is not None)
        return
    price = _price_of(_priced(name, catalogue), assumed.day)
    answers = outcomes.output_tokens.get(name, ())
    for at, (case, cost) in enumerate(zip(outcomes.cases, recorded, strict=True)):
        if cost is not None:
            yield float(cost)
            continue
        answer = answers[at] if answers else None
        yield price(_input_tokens(case), assumed.output_tokens if answer is None else answer)


def _recorded(outcomes: Outcomes, name: str) -> Sequence[Decimal | None]:
    """Return what calls of a model cost by the outcomes; None where they do not tell."""
    return outcomes.costs.get(name) or (None,) * len(outcomes.cases)


def _priced(name: str, catalogue: Catalogue) -> Model:
    model = catalogue.find(name)
    if model is not None and model.periods:
        return model
    near = catalogue.suggest(name)
    hint = f"did you mean `{near}`? " if near else ""
    raise OutcomesError(f"no price for `{name}`; {hint}name a catalogue that has one with --prices")


def _price_of(model: Model, day: date) -> Callable[[int, int], float]:
    period = model.period_on(day)
    if period is None:
        raise OutcomesError(f"`{model.name}` has no price on {day}; name a later day with --on")

    def price(input_tokens: int, output_tokens: int) -> float:
        rates = period.rates_for(input_tokens)
        return float(rates.cost_as("input", input_tokens, "output", output_tokens))

    return price


def _input_tokens(case: Case) -> int:
    """Return the tokens of a prompt: recorded, else estimated; a case without either counts by its answer alone."""
    if case.input_tokens is not None:
        return case.input_tokens
    return 0 if case.prompt is None else ESTIMATE.count(case.prompt)


def _notes(outcomes: Outcomes, kept: Outcomes, assumed: Assumed) -> Iterator[str]:
    lost = len(outcomes.cases) - len(kept.cases)
    if lost:
        yield f"cases that lack the score of a model and are not compared: {lost:,}"
    costs = {name: _recorded(kept, name) for name in kept.models}
    by_price = [name for name, recorded in costs.items() if None in recorded]
    if not by_price:
        yield "costs are those that were recorded"
        return
    priced = [case for case, *found in zip(kept.cases, *costs.values(), strict=True) if None in found]
    unknown = sum(case.input_tokens is None for case in priced)
    blank = sum(case.input_tokens is None and case.prompt is None for case in priced)
    if unknown > blank:
        yield f"cases whose input tokens are estimated from their prompts: {unknown - blank:,}"
    if blank:
        yield f"cases with neither prompt nor input tokens, whose input costs nothing here: {blank:,}"
    without = [name for name in by_price if _lacks_tokens(kept.output_tokens.get(name), costs[name])]
    if without:
        yield f"answers without recorded tokens are taken to have {assumed.output_tokens:,} of {_named(without, kept)}"
    counts = {name: sum(cost is not None for cost in recorded) for name, recorded in costs.items()}
    if any(counts.values()):
        recorded_by = ", ".join(f"`{name}` has {count:,}" for name, count in counts.items())
        yield (
            f"recorded costs stand beside those of tokens at list prices, which may differ for the same call: of "
            f"{len(kept.cases):,} recorded costs {recorded_by}"
        )


def _lacks_tokens(tokens: Sequence[int | None] | None, costs: Sequence[Decimal | None]) -> bool:
    """Whether an answer without a recorded cost has no recorded tokens either."""
    if tokens is None:
        return True
    return any(cost is None and count is None for cost, count in zip(costs, tokens, strict=True))


def _odd_scores(scores: Floats) -> Iterator[str]:
    """Yield what is odd about all scores together: no difference to choose by, or another scale than was named."""
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        yield f"every score is {high:g}, so that no model is better than another"
    elif (scores == scores[:, :1]).all():
        yield "on each case all models have the same score, so that no model is better than another"
    if 0 < high <= _LOW_FOR_ALL:
        yield f"no score is above {high:.2g} on a scale from 0 to 1; is `--scale` that of the files?"


def _named(names: Sequence[str], outcomes: Outcomes) -> str:
    return "every model" if len(names) == len(outcomes.models) else ", ".join(f"`{name}`" for name in names)
