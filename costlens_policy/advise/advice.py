"""The whole advice: the workload with what it refers to, the numbers, the facts, and the decision that recommends."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from decimal import Decimal, Inexact
from importlib.resources import as_file, files
from math import ceil
from pathlib import Path
from typing import Any, Final

from costlens_policy.advise.inputs import RulesOfThumb, rules_of_thumb
from costlens_policy.advise.numbers import Numbers, calculate
from costlens_policy.advise.strategies import CACHED_PROMPT, FINE_TUNED, HYBRID, SMALL, Contest, Setting
from costlens_policy.api import load
from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker.library import Library
from costlens_policy.checker.owners import Reference, resolve_reference
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.documents import CatalogueDocument, WorkloadDocument
from costlens_policy.documents.workload import Contender
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.record import RuleOutcome
from costlens_policy.errors import InputError, RequestError
from costlens_policy.frozen import frozen
from costlens_policy.money import multiply, total
from costlens_policy.source.located import LocatedDocument
from costlens_policy.source.read import repository_of

__all__ = [
    "Advice", "Consideration", "Recommendation", "advise", "advise_on", "facts_of", "own_policy_set", "recommend",
]  # fmt: skip

_TOO_LONG: Final = (
    "the totals have too many digits to be exact; lower the growth or the horizon, or use numbers with fewer digits"
)


@frozen
class Advice:
    """``warnings`` are about the catalogue."""

    setting: Setting
    numbers: Numbers
    recommendation: Recommendation
    now: datetime
    warnings: tuple[Diagnostic, ...] = ()


def advise(
    path: str | os.PathLike[str], *, months: int, now: datetime, policy_set: str | os.PathLike[str] | None = None
) -> Advice:
    """Advise on the workload in a file over a horizon of months, at the prices of a timestamp.

    ``policy_set`` (a file or folder) overrides that of the workload; by default the package's own policies recommend.
    Raises ``PolicyError`` with every problem of the workload, the catalogue or the policies, and ``InputError`` if
    totals have too many digits to be exact.
    """
    given = _read_workload(path, months, now.date())
    return advise_on(given.setting, now, policy_set or given.policy_set, given.warnings)


def advise_on(
    setting: Setting,
    now: datetime,
    policy_set: str | os.PathLike[str] | None = None,
    warnings: tuple[Diagnostic, ...] = (),
) -> Advice:
    """Advise on a workload that was already read or derived. Raises like ``advise``."""
    rules = rules_of_thumb()
    try:
        numbers = calculate(setting, rules)
    except Inexact:  # nothing is rounded in silence
        raise InputError(_TOO_LONG) from None
    facts = facts_of(setting, numbers, rules)
    with nullcontext(policy_set) if policy_set is not None else own_policy_set() as chosen:
        return Advice(setting, numbers, recommend(chosen, facts, now), now, warnings)


_OUTPUT_LIMIT: Final = "max_output_tokens"


@frozen
class Consideration:
    """A matching consideration: the rule and its reason."""

    rule: str
    reason: str


@frozen
class Recommendation:
    """``strategy`` is None if the policies refuse a recommendation. ``marks`` are flags for programs."""

    strategy: str | None
    rule: str
    reason: str
    considerations: tuple[Consideration, ...]
    marks: Mapping[str, Any]
    facts: Mapping[str, Any]
    decision: Decision


def own_policy_set() -> AbstractContextManager[Path]:
    """Return the folder of the policy set that comes with the package, the same as `policies/advice`."""
    return as_file(files("costlens_policy.advise").joinpath("policy"))


def recommend(policy_set: str | os.PathLike[str], facts: Mapping[str, Any], now: datetime) -> Recommendation:
    """Decide the facts with a policy set. Raises ``PolicyError`` if it is invalid, or does not accept the facts."""
    engine = load(policy_set)
    try:
        decision = engine.decide(facts, now=now)
    except RequestError as error:
        raise PolicyError([_no_advice(policy_set, error)]) from error
    reasons = {
        rule.id: rule.reason
        for stage in decision.record().stages
        for rule in stage.rules
        if rule.outcome is RuleOutcome.MATCHED
    }
    considerations = tuple(Consideration(rule, reasons.get(rule, "")) for rule in decision.rewrites)
    marks = {name: value for name, value in decision.params.items() if name != _OUTPUT_LIMIT}
    reason = reasons.get(decision.rule, "") or "; ".join(decision.reasons)
    return Recommendation(decision.model, decision.rule, reason, considerations, marks, dict(facts), decision)


def _no_advice(policy_set: str | os.PathLike[str], error: RequestError) -> Diagnostic:
    message = f"`{os.fspath(policy_set)}` does not accept the facts of a workload: {'; '.join(error.problems)}"
    return Diagnostic("CL921", Severity.ERROR, message, help="declare the attributes as `policies/advice` does")


_STRATEGIES = {"caching": CACHED_PROMPT, "fine_tuned": FINE_TUNED, "small": SMALL, "hybrid": HYBRID}


def facts_of(setting: Setting, numbers: Numbers, rules: RulesOfThumb) -> dict[str, Any]:
    """Return the attributes by name. Unknown facts are omitted; nothing is assumed instead."""
    workload = setting.workload
    needs = workload.needs
    facts: dict[str, Any] = {
        "scope": needs.scope,
        "early_stage": needs.early_stage,
        "rapid_iteration": needs.rapid_iteration,
        "structured_output": needs.structured_output,
        "retrieval": needs.retrieval,
        "data_stays_inside": needs.data_stays_inside,
        "may_train_on_data": needs.may_train_on_data,
        "accuracy_needed": needs.accuracy,
        "latency_needed_ms": needs.latency_ms,
        "queries_per_month": int(numbers.inputs["queries.per_month"].base),
        "usual_crossover_queries_per_month": int(rules.crossover_queries_per_month.value),
        "horizon_months": setting.months,
    }
    facts.update(_models(setting, rules))
    facts.update(_money(numbers))
    if workload.fine_tuned is not None:
        facts["labeled_examples"] = workload.fine_tuned.labeling.at_hand
        facts["examples_needed"] = ceil(numbers.inputs["fine_tuned.labeling.examples"].base)
    return {name: value for name, value in facts.items() if value is not None}


def _models(setting: Setting, rules: RulesOfThumb) -> Iterator[tuple[str, Any]]:
    workload = setting.workload
    contests = (
        ("current", workload.current, setting.current),
        ("small", workload.small, setting.small),
        ("fine_tuned", workload.fine_tuned, setting.fine_tuned),
    )
    for key, contender, contest in contests:
        if contender is not None and contest is not None:
            yield f"{key}_is_inside", not contest.model.external
            yield f"{key}_accuracy", _accuracy(contender, contest, workload.task)
            yield f"{key}_latency_ms", _latency(contender, contest)
    yield "fine_tuned_latency_ms", _trained_latency(setting, rules)


def _accuracy(contender: Contender, contest: Contest, task: str | None) -> Decimal | float | None:
    if contender.accuracy is not None or task is None:
        return contender.accuracy
    return contest.model.quality.get(task)


def _latency(contender: Contender, contest: Contest) -> Decimal | float | None:
    return contest.model.latency_p50_ms if contender.latency_ms is None else contender.latency_ms


def _trained_latency(setting: Setting, rules: RulesOfThumb) -> Decimal | float | None:
    """Return what is known of the trained model, else the best that the rule of thumb hopes for on narrow tasks."""
    workload = setting.workload
    if workload.fine_tuned is None or setting.fine_tuned is None:
        return None
    known = _latency(workload.fine_tuned, setting.fine_tuned)
    current = _latency(workload.current, setting.current)
    if known is not None or current is None or workload.needs.scope != "narrow":
        return known
    left = total((Decimal(1), rules.latency_reduction.value.copy_negate()))
    return multiply(current if isinstance(current, Decimal) else Decimal(repr(current)), left)


def _money(numbers: Numbers) -> Iterator[tuple[str, Any]]:
    for key, name in _STRATEGIES.items():
        there = name in numbers.strategies
        yield f"has_{key}", there
        if there:
            yield f"{key}_saving_usd", numbers.savings[name]
            yield f"{key}_saving_at_worst_usd", numbers.savings_range.lowest[name]
            yield f"{key}_saving_at_best_usd", numbers.savings_range.highest[name]
    yield from _break_even(numbers.savings_range.lowest, numbers)


def _break_even(known: Mapping[str, Decimal], numbers: Numbers) -> Iterator[tuple[str, Any]]:
    if FINE_TUNED in known:
        found = numbers.break_evens[FINE_TUNED]
        yield "break_even_months", None if found is None else float(found.months)
        yield "crossover_queries_per_month", numbers.crossovers[FINE_TUNED]


_CONTENDERS: Final = ("current", "small", "fine_tuned")


@frozen
class _Given:
    """What a workload file gives. ``policy_set`` is a file's name, ``warnings`` are about the catalogue."""

    setting: Setting
    policy_set: str | None
    warnings: tuple[Diagnostic, ...]


def _read_workload(path: str | os.PathLike[str], months: int, day: date) -> _Given:
    """Read a workload, for a horizon in months, at the prices of a day (UTC).

    Raises ``PolicyError`` with every problem of the file and of the catalogue that it names.
    """
    library = Library()
    located, document = _workload(library, os.fspath(path))
    origin = Path(os.path.realpath(path))
    place = (located, repository_of(origin, [origin.parent]))
    catalogue, warnings = _catalogue(library, document, place)
    contests, problems = _contests(document, located, catalogue, day)
    policy_set = None
    if document.policy_set is not None:
        named = _resolved(document.policy_set, "policy_set", place)
        if isinstance(named, Diagnostic):
            problems.append(named)
        else:
            policy_set = named
    if problems:
        raise PolicyError([*problems, *warnings])
    setting = Setting(document, months, contests["current"], contests.get("small"), contests.get("fine_tuned"))
    return _Given(setting, policy_set, warnings)


def _workload(library: Library, name: str) -> tuple[LocatedDocument, WorkloadDocument]:
    file = library.open(name)
    found = [reading for reading in file.readings if reading.kind == "Workload"]
    readings = found or file.readings
    diagnostics = [*file.diagnostics, *(item for reading in readings for item in reading.diagnostics)]
    if any(item.is_error for item in diagnostics):
        raise PolicyError(diagnostics)
    if len(found) != 1:
        raise PolicyError([_not_one_workload(name, len(found))])
    document = found[0].document
    assert isinstance(document, WorkloadDocument), "`kind` is Workload"
    return found[0].located, document


def _not_one_workload(name: str, count: int) -> Diagnostic:
    message = f"`{name}` contains {count or 'no'} workload{'' if count == 1 else 's'}, but exactly one is needed"
    return Diagnostic("CL205", Severity.ERROR, message, help="pass a file with one document of `kind: Workload`")


def _resolved(text: str, key: str, place: tuple[LocatedDocument, Path]) -> str | Diagnostic:
    located, repository = place
    reference = Reference(text, located.root.span_of((key,)), located.source.name)
    return resolve_reference(reference, repository)


def _catalogue(
    library: Library, document: WorkloadDocument, place: tuple[LocatedDocument, Path]
) -> tuple[Catalogue, tuple[Diagnostic, ...]]:
    named = _resolved(document.catalogue, "catalogue", place)
    if isinstance(named, Diagnostic):
        raise PolicyError([named])
    file = library.open(named)
    diagnostics = [*file.diagnostics, *(item for reading in file.readings for item in reading.diagnostics)]
    documents = [
        (reading.located, reading.document)
        for reading in file.readings
        if isinstance(reading.document, CatalogueDocument)
    ]
    if not documents and not diagnostics:
        span = place[0].root.span_of(("catalogue",))
        diagnostics.append(Diagnostic("CL205", Severity.ERROR, f"`{named}` contains no catalogue", span, "named here"))
    if any(item.is_error for item in diagnostics):
        raise PolicyError(diagnostics)
    resolved = resolve(documents)
    if any(item.is_error for item in resolved.diagnostics):
        raise PolicyError(resolved.diagnostics)
    return resolved.catalogue, (*diagnostics, *resolved.diagnostics)


def _contests(
    document: WorkloadDocument, located: LocatedDocument, catalogue: Catalogue, day: date
) -> tuple[dict[str, Contest], list[Diagnostic]]:
    contests: dict[str, Contest] = {}
    problems: list[Diagnostic] = []
    for key in _CONTENDERS:
        contender = getattr(document, key)
        if contender is None:
            continue
        found = _contest(contender.model, key, located, catalogue, day)
        if isinstance(found, Contest):
            contests[key] = found
        else:
            problems.append(found)
    return contests, problems


def _contest(name: str, key: str, located: LocatedDocument, catalogue: Catalogue, day: date) -> Contest | Diagnostic:
    span = located.root.span_of((key, "model"))
    model = catalogue.find(name)
    if model is None:
        near = catalogue.suggest(name)
        advice = f"did you mean `{near}`?" if near else "add it to the catalogue of the workload"
        message = f"the catalogue has no model `{name}`"
        return Diagnostic("CL208", Severity.ERROR, message, span, "not in the catalogue", advice)
    period = model.period_on(day)
    if period is None:
        message = f"`{name}` has no price on {day}, so its cost cannot be calculated"
        advice = "add prices to the catalogue; your own model can cost 0 per token and a price per hour"
        return Diagnostic("CL409", Severity.ERROR, message, span, "without a price", advice)
    return Contest(model, period)
