"""The record of a decision: every rule in order, its outcome, and the values of the parts of its condition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.compiler.formula import ROOTS, Formula
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.engine.budgets import why_worst
from costlens_policy.engine.chosen import notes_on_choice
from costlens_policy.engine.context import Context
from costlens_policy.engine.decided import Decided
from costlens_policy.engine.facts import BalanceSeen
from costlens_policy.engine.signals import SignalValues, weigh
from costlens_policy.expressions import Value
from costlens_policy.expressions.compile import NOT_EVALUATED, Part
from costlens_policy.expressions.runtime import CelError, to_python
from costlens_policy.expressions.values import OptionalValue
from costlens_policy.frozen import frozen
from costlens_policy.money import format_usd, multiply, plain
from costlens_policy.quantiles import CallKind, band_of
from costlens_policy.units import show_amount

__all__ = ["Record", "RuleOutcome", "RuleRecord", "StageRecord", "outcomes_of", "record_of", "show"]


class RuleOutcome(StrEnum):
    MATCHED = "matched"
    NOT_MATCHED = "not matched"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@frozen
class RuleRecord:
    """One rule.

    ``condition`` is its text, None where it always holds; ``parts`` are texts of parts with their values.
    """

    id: str
    outcome: RuleOutcome
    reason: str = ""
    condition: str | None = None
    parts: tuple[tuple[str, str], ...] = ()


@frozen
class StageRecord:
    """One step of the decision: ``request``, ``access``, ``routes``, ``candidates``, ``budgets`` or ``rewrites``."""

    stage: str
    rules: tuple[RuleRecord, ...]
    notes: tuple[str, ...] = ()


@frozen
class Record:
    stages: tuple[StageRecord, ...]


def record_of(decision: Decided) -> Record:
    """Walk the rules of a decision once more, keeping what each of them saw."""
    walk = _Walk(decision)
    return Record(
        (_request(decision), walk.access(), walk.routes(), walk.candidates(), walk.budgets(), walk.rewrites())
    )


def outcomes_of(decision: Decided) -> dict[str, RuleOutcome]:
    """Return the outcome of every rule, as in the record, without the cost of showing the parts of conditions."""
    walk = _Walk(decision, with_parts=False)
    stages = (walk.rewrites(), walk.access(), walk.routes(), walk.budgets())  # what a route applies has its id
    return {rule.id: rule.outcome for stage in stages for rule in stage.rules}


_SHOWN_ELSEWHERE: Final = frozenset({*ROOTS, SIGNALS})
_TABLE: Final = re.compile(r"data(\.\w+)*")
_UNREACHED: Final = RuleOutcome.NOT_REACHED
_OF_ROUTE: Final = "applied by the route"


class _Walk:
    """The same inputs as the decision had, and how far it came."""

    def __init__(self, decision: Decided, *, with_parts: bool = True) -> None:
        self._decision = decision
        self._with_parts = with_parts
        self._context = Context(decision.plan, dict(decision.request), decision.balances_read, decision.now)
        seen = _last_seen(decision)
        self._model: Mapping[str, Value] | None = None if seen is None else self._context.priced_model(seen).view
        self._accessed = any(reason.startswith("access: allowed") for reason in decision.reasons)

    def access(self) -> StageRecord:
        rules = tuple(
            self._about_models(step, index) if step.by_model else self._rule(step.id, step.when, index, step.reason)
            for index, layer in enumerate(self._context.plan.layers)
            for step in layer.access
        )
        notes = tuple(reason for reason in self._decision.reasons if reason.startswith("access: "))
        return StageRecord("access", rules, notes)

    def _about_models(self, step: AccessStep, layer: int) -> RuleRecord:
        """Record a rule about models as the winner meets it; one that has excluded a candidate has matched."""
        record = self._for_model(step.id, step.when, layer, step.reason)
        if any(item.by == step.id for item in self._decision.excluded) and record.outcome is not RuleOutcome.FAILED:
            return replace(record, outcome=RuleOutcome.MATCHED, reason=step.reason)
        return record

    def routes(self) -> StageRecord:
        def records() -> Iterator[RuleRecord]:
            decided = not self._accessed
            passed = {way.rule for way in self._decision.ways_out if way.way == "next"}
            for index, layer in enumerate(self._context.plan.layers):
                for step in layer.routes:
                    if decided:
                        yield RuleRecord(step.id, _UNREACHED, condition=_text(step.when))
                        continue
                    record = self._rule(step.id, step.when, index, step.reason)
                    matched = record.outcome is RuleOutcome.MATCHED and step.id not in passed
                    decided = matched or step.id == self._decision.rule
                    yield record

        notes = tuple(reason for reason in self._decision.reasons if reason.startswith("routes: "))
        return StageRecord("routes", tuple(records()), notes)

    def candidates(self) -> StageRecord:
        decision = self._decision
        notes = [f"`{item.model}` is excluded: {item.reason}" for item in decision.excluded]
        if decision.model is not None and decision.estimate is not None:
            cost = decision.estimate.cost
            price = "at an unknown price" if cost is None else f"for at most {format_usd(cost)}"
            notes.append(f"`{decision.model}` serves, {price}")
            notes.extend(f"`{name}` stands by" for name in decision.fallbacks)
            notes.extend(notes_on_choice(decision, self._context))
        return StageRecord("candidates", (), tuple(notes))

    def budgets(self) -> StageRecord:
        notes = tuple(_balance(seen) + _quantile(seen, self._decision) for seen in self._decision.balances)
        notes += tuple(f"`{item.counted_on}` stands in for `{item.seen.budget}`" for item in self._decision.overflowed)
        unasked = self._context.plan.stages.overflows.keys() - _overflows_asked(self._decision)
        rules = tuple(
            self._without_model(step.id, step.when)
            if step.id in unasked
            else self._for_model(step.id, step.when, index, step.reason)
            for index, layer in enumerate(self._context.plan.layers)
            for step in layer.budgets
        )
        return StageRecord("budgets", rules, notes)

    def rewrites(self) -> StageRecord:
        rules = tuple(
            self._for_model(step.id, step.when, index, step.reason)
            for index, layer in enumerate(self._context.plan.layers)
            for step in layer.rewrites
        )
        notes = tuple(f"{item.operation} {item.target}: {item.detail}" for item in self._decision.changes)
        return StageRecord("rewrites", (*self._of_route(), *rules), notes)

    def _of_route(self) -> Iterator[RuleRecord]:
        """Yield what the deciding route applies, under its id."""
        route = self._decision.route
        if route is None or route.rewrite is None:
            return
        failed = [item for item in self._decision.errors if item.rule == route.id and item.stage == "rewrites"]
        if failed:
            yield RuleRecord(route.id, RuleOutcome.FAILED, failed[0].message)
        else:
            yield self._for_model(route.id, None, route.layer, _OF_ROUTE)

    def _for_model(self, rule: str, when: Formula | None, layer: int, reason: str) -> RuleRecord:
        if self._model is None:
            return self._without_model(rule, when)
        return self._rule(rule, when, layer, reason)

    def _without_model(self, rule: str, when: Formula | None) -> RuleRecord:
        """Record a rule that was not asked about the model that serves: not reached, unless it failed for another."""
        failure = next((item for item in self._decision.errors if item.rule == rule), None)
        if failure is None:
            return RuleRecord(rule, _UNREACHED, condition=_text(when))
        return RuleRecord(rule, RuleOutcome.FAILED, failure.message, _text(when))

    def _rule(self, rule: str, when: Formula | None, layer: int, reason: str) -> RuleRecord:
        if when is None:
            return RuleRecord(rule, RuleOutcome.MATCHED, reason)
        if not self._with_parts:
            return RuleRecord(rule, self._outcome(when, layer))
        context = self._context
        trace = when.trace(context.view, context.variables[layer], context.budgets, self._model, None, context.instant)
        parts = tuple(dict.fromkeys(_telling(when, trace.parts)))
        if isinstance(trace.value, CelError):
            return RuleRecord(rule, RuleOutcome.FAILED, str(trace.value), when.source, parts)
        outcome = RuleOutcome.MATCHED if trace.value else RuleOutcome.NOT_MATCHED
        return RuleRecord(rule, outcome, reason if trace.value else "", when.source, parts)

    def _outcome(self, when: Formula, layer: int) -> RuleOutcome:
        try:
            return RuleOutcome.MATCHED if self._context.evaluate(when, layer, self._model) else RuleOutcome.NOT_MATCHED
        except CelError:
            return RuleOutcome.FAILED


def _overflows_asked(decision: Decided) -> set[str]:
    """Return the budgets that were asked to stand in for others."""
    asked = {seen.budget for call in decision.fallback_calls for seen in call.balances}
    asked.update(name for item in decision.overflowed for name in (item.seen.budget, item.counted_on))
    for item in decision.excluded:
        if item.by in decision.plan.budgets and item.key is not None and item.threshold is None:
            asked.update(step.id for step in decision.plan.overflows_of(item.by))
    return asked


def _last_seen(decision: Decided) -> str | None:
    """Return the model with whose eyes rules about models, budgets and rewrites are recorded.

    It is the winner or, where there is none, the first that got as far as the budgets or was refused by a rule.
    """
    if decision.model is not None:
        return decision.model
    plan = decision.plan
    asked = {*plan.budgets, *(step.id for _, step in plan.stages.access_by_model)}
    return next((item.model for item in decision.excluded if item.by in asked), None)


def _request(decision: Decided) -> StageRecord:
    given = {name: value for name, value in decision.request.items() if name != SIGNALS}
    notes = [f"`{name}` = {show(value)}" for name, value in sorted(given.items())]
    notes.extend(_signal(decision, name, value) for name, value in decision.request.get(SIGNALS, {}).items())
    return StageRecord("request", (), tuple(notes))


def _signal(decision: Decided, name: str, value: Value) -> str:
    """Return the value of a signal with what weighed most; only the value where it came with the request."""
    signals = decision.plan.signals
    found = weigh(signals[name], signals, decision.request)
    shown = f"`signals.{name}`" + (" is absent" if value is None else f" = {show(value)}")
    if signals[name].value_of(found) != value or found.value is None:
        return shown
    if value != found.value:
        shown += f" instead of {show(found.value)}"
    words = ", ".join(f"`{word}` {weight:.3g}" for word, weight in found.heaviest())
    sure = f", confidence {found.confidence:.2f}" if signals[name].labels else ""
    return shown + sure + (f", by {words}" if words else "")


def _telling(when: Formula, parts: Iterable[Part]) -> Iterator[tuple[str, str]]:
    """Yield parts with their values, without those that tell nothing: the whole, records, tables, and constants."""
    for part in parts:
        text, value = when.source[part.extent.start : part.extent.end], part.value
        if value is NOT_EVALUATED or text == when.source or text in _SHOWN_ELSEWHERE or _is_table(text, value):
            continue
        if _are_signals(value):
            continue
        shown = show(value)
        if text != shown:
            yield text, shown


def _is_table(text: str, value: object) -> bool:
    """Say whether a part is a table of the policy set, which is the same for every request."""
    return isinstance(value, dict) and _TABLE.fullmatch(text) is not None


def _are_signals(value: object) -> bool:
    """Say whether a part is all signals: those that were read are shown elsewhere, the others are not worked out."""
    return isinstance(value.value if isinstance(value, OptionalValue) else value, SignalValues)


def _balance(seen: BalanceSeen) -> str:
    call, used, held, limit = (
        show_amount(amount, seen.unit) for amount in (seen.taken, seen.used, seen.held, seen.limit)
    )
    whose = f" of `{seen.key}`" if seen.key else ""
    carried = f", {show_amount(seen.carried, seen.unit)} of it carried over" if seen.carried else ""
    held += f" ({show_amount(seen.own, seen.unit)} of it set aside for this call)" if seen.own else ""
    call += f" and {show_amount(seen.begins, seen.unit)} to set aside" if seen.begins else ""
    return f"`{seen.budget}`{whose}: {used} used, {held} held, {call} for this call, of {limit}{carried}"


def _quantile(seen: BalanceSeen, decision: Decided) -> str:
    """Return why a budget that holds a quantile of what such calls have cost holds so much for this one."""
    step, estimate = decision.plan.budgets[seen.budget][1], decision.estimate
    if step.hold is None or estimate is None or decision.model is None:
        return ""
    kind = CallKind(step.id, decision.model, decision.task, band_of(estimate.output_tokens))
    known = decision.measured.get(kind)
    if seen.hold is None or known is None:
        return f": {why_worst(step, decision.task, known)}"
    share, worst = f"{plain(step.hold.quantile * 100)} %", show_amount(seen.call, seen.unit)
    stayed = f"{share} of {known.cases:,} such calls stayed within {plain(known.ratio * 100)} %"
    part = step.measure.rounded_up(multiply(seen.call, known.ratio))
    more = ", and the prompt alone comes to more than that" if seen.hold > part else ""
    return f": {stayed} of their worst case, which is {worst} here{more}"


def _text(formula: Formula | None) -> str | None:
    return None if formula is None else formula.source


_LONGEST: Final = 80


def show(value: Value | CelError) -> str:
    """Return a value as one short line: strings quoted, long ones cut in the middle, errors by their message."""
    if isinstance(value, CelError):
        return f"error: {value}"
    text = _plain_text(to_python(value)).replace("\n", "\\n")
    if len(text) <= _LONGEST:
        return text
    half = (_LONGEST - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def _plain_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_plain_text(key)}: {_plain_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain_text, value)) + "]"
    return str(value)
