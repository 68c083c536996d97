"""An invariant as the engine and the search see it: which decisions break it, and what a request meets that may."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, NamedTuple

from costlens_policy.assurance import Every, Goal, Not, Some, Subject, Witness
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.formulas import Formulas
from costlens_policy.compiler.rules import BudgetStep, RewriteRule
from costlens_policy.documents.invariants import Invariant, InvariantsDocument
from costlens_policy.engine.context import Context
from costlens_policy.engine.decide import first_estimate, open_context
from costlens_policy.engine.decision import Decision
from costlens_policy.engine.facts import Call, Estimate
from costlens_policy.engine.routes import estimate_view
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen
from costlens_policy.money import format_usd
from costlens_policy.proof.conditions import condition_from, double
from costlens_policy.proof.exclusions import Candidates
from costlens_policy.proof.meant import meant
from costlens_policy.proof.outcomes import some
from costlens_policy.proof.rewritten import may_be_out_of_order, may_be_outside, may_hold_data, may_lack_text, spoiler
from costlens_policy.proof.sent import SENT, what_breaks
from costlens_policy.proof.ways import ALWAYS, UNLISTED, Way
from costlens_policy.rewrites import Content
from costlens_policy.source.located import Path

__all__ = ["Breach", "Claim", "claims_of"]

_DIGITS: Final = 15
"""Significant digits that a double keeps of a decimal."""


@frozen
class Breach:
    """What of a decision breaks an invariant, in words, and the model that does, if one does."""

    what: str
    model: str = ""


class Claim:
    """One invariant of a policy set, in one domain with its rules."""

    def __init__(self, subject: Subject, invariant: Invariant, when: Formula | None, test: Formula | None) -> None:
        self.invariant = invariant
        self.subject = subject
        self._when = when
        self._test = test
        self._layer = len(subject.plan.layers)
        # The rules may read less than the invariant does.
        reads = subject.plan.reads | {"now", "budgets"}
        signals = frozenset(subject.plan.signals)
        self._plan = replace(subject.plan, reads=reads, reads_asked_model=True, reads_signals=signals)
        self.meant = tuple(meant(subject, when, self._layer))
        self.applies = some(priced.goal for priced in self.meant)
        self._tested = None if test is None else subject.condition(test, self._layer, invariant.claim == "never")
        self.breaking = self._rewrites() if invariant.rewritten_by else self._costs()

    @property
    def of_models(self) -> bool:
        """Whether the condition picks models."""
        return self._when is not None and self._when.reads("model")

    @property
    def reads_now(self) -> bool:
        """Whether the time may decide, whatever the day."""
        formulas = (self._when, self._test)
        return self.subject.plan.reads_now or any(item is not None and item.reads("now") for item in formulas)

    def is_kept_by(self, model: str) -> bool:
        """Whether nothing but the facts of a model decides, and these keep the invariant, whatever is asked."""
        test, view = self._test, self.subject.domain.models.get(model)
        if test is None or view is None or any(path[0] != "model" for path in test.typed.references):
            return False
        try:
            return bool(test.evaluate({}, {}, {}, view, None, None)) is (self.invariant.claim == "always")
        except CelError:
            return False

    def broken_on(self, way: Way) -> Goal | None:
        """Return what a request meets that breaks the invariant this way; None where none does."""
        claim = self.invariant.claim
        if claim == "effect":
            return self.applies if way.serves is (self.invariant.effect == "deny") else None
        if not way.serves:
            return None
        if way.model == UNLISTED:
            return ALWAYS if self.of_models else self.applies
        if claim == "routed_by":
            return None if way.rule in (self.invariant.routed_by or ()) else self.applies
        if (most := self.invariant.max_cost_usd) is not None:
            dear = Candidates(self.subject).costs_more(way.model, most)
            known = [priced.goal for priced in self.meant if priced.most is None or priced.most > most]
            return Every([some(known), dear, *self.breaking])
        if self._tested is None:
            return Every([self.applies, *self.breaking, *self._sent(way)])
        return Every([self.applies, Not(self._tested) if claim == "always" else self._tested])

    def cause(self, way: Way) -> str:
        """Return which rewrite may be why what is sent this way breaks the invariant; empty where none is."""
        rule = spoiler(self.subject, way, self.invariant) if way.serves and way.model != UNLISTED else ""
        return f"`{rule}` may change the texts of a call after all that keeps the promise" if rule else ""

    def _sent(self, way: Way) -> Iterator[Goal]:
        """Yield when what is sent may break the invariant."""
        subject, invariant = self.subject, self.invariant
        if invariant.rewritten_in_order:
            yield may_be_out_of_order(subject, way, invariant.rewritten_in_order)
        if invariant.redacted:
            yield may_hold_data(subject, way, frozenset(invariant.redacted))
        if invariant.system_contains is not None:
            yield may_lack_text(subject, way, invariant.system_contains)
        if invariant.params:
            yield some([may_be_outside(subject, way, name, it) for name, it in invariant.parameters.items()])

    def _rewrites(self) -> tuple[Goal, ...]:
        """Return that one of the rewrites is not applied."""
        wanted = self.invariant.rewritten_by or ()
        found = [
            self._not_applied(index, rule)
            for index, layer in enumerate(self.subject.plan.layers)
            for rule in layer.rewrites
            if rule.id in wanted
        ]
        return (Some(found),)

    def _not_applied(self, layer: int, rule: RewriteRule) -> Goal:
        """Return that a rewrite does not hold. Where its policy skips what fails, any operation may have failed, unless
        the rule protects something: then the request is refused.
        """
        protects = any(step.refuses for step in rule.steps)
        if self.subject.plan.layers[layer].on_error == "skip" and not protects:
            return ALWAYS
        return Not(self.subject.condition(rule.when, layer, error=True))

    def _costs(self) -> tuple[Goal, ...]:
        """Return that no limit on single calls keeps the cost below the highest."""
        most = self.invariant.max_cost_usd
        if most is None or len(most.as_tuple().digits) > _DIGITS:
            return ()
        budgets = (item for item in self.subject.plan.stages.budgets if _bounds(item[1]))
        return tuple(self._unlimited(layer, step, most) for layer, step in budgets)

    def _unlimited(self, layer: int, step: BudgetStep, most: Decimal) -> Goal:
        """Return that a limit on single calls does not apply, or is above an amount."""
        above: Goal = ALWAYS if isinstance(step.limit, Decimal) and step.limit > most else Some(())
        if isinstance(step.limit, Formula):
            above = condition_from(self.subject, step.limit, f"({step.limit.source}) > {double(most)}", layer)
        fails = self.subject.plan.layers[layer].on_error == "deny"
        return Some([above, Not(self.subject.condition(step.when, layer, fails))])

    def broken_by(self, witness: Witness) -> Breach | None:
        """Return what of a decision breaks the invariant, as the engine evaluates it; None where nothing does."""
        try:
            context = open_context(self._plan, witness.request, witness.balances, witness.now)
        except CostlensPolicyError:
            return None
        decision, claim = witness.decision, self.invariant.claim
        if claim in ("effect", "routed_by"):
            estimate = self._first_estimate(context)
            return self._of_decision(context, witness) if self._holds(context, self._when, None, estimate) else None
        for place, call in enumerate(_calls(decision)):
            view = context.priced_model(call.model).view
            if self._holds(context, self._when, view, estimate_view(call.estimate)) and (
                what := self._of_call(context, call, view)
            ):
                role = "is a fallback" if place else "serves"
                return Breach(f"`{call.model}` {role} on `{decision.rule}`, {what}", call.model)
        return None

    def _of_decision(self, context: Context, witness: Witness) -> Breach | None:
        decision, invariant = witness.decision, self.invariant
        if invariant.effect is not None:
            if decision.effect == invariant.effect:
                return None
            if decision.allowed:
                return Breach(f"`{decision.model}` serves on `{decision.rule}`", decision.model or "")
            return Breach(f"refused by `{decision.rule}`: {decision.reasons[-1]}")
        if not decision.allowed or decision.rule in (invariant.routed_by or ()):
            return None
        return Breach(f"`{decision.model}` serves on `{decision.rule}`", decision.model or "")

    def _of_call(self, context: Context, call: _Serving, view: Mapping[str, Any]) -> str:
        """Return how a call breaks the invariant, or an empty text."""
        invariant = self.invariant
        if self._test is not None:
            return self._of_test(context, self._test, view)
        missing = [rule for rule in invariant.rewritten_by or () if rule not in call.rewrites]
        if missing:
            return f"and `{missing[0]}` is not applied"
        if invariant.claim in SENT:
            return what_breaks(invariant, call.rewrites, call.content)
        most, cost = invariant.max_cost_usd, call.estimate.cost
        if most is None or (cost is not None and cost <= most):
            return ""
        return "and its cost is not known" if cost is None else f"and may cost {format_usd(cost)}"

    def _of_test(self, context: Context, test: Formula, view: Mapping[str, Any]) -> str:
        try:
            holds = bool(context.evaluate(test, self._layer, view))
        except CelError as error:
            return f"and `{test.source}` fails for it: {error}"
        if holds is (self.invariant.claim == "always"):
            return ""
        facts = _facts(test, view)
        return f"and `{test.source}` is {str(holds).lower()} for it{facts}"

    def _first_estimate(self, context: Context) -> Mapping[str, Any] | None:
        """Return the estimate of a request: on the model that its route asks first, whatever comes of it."""
        if self._when is None or not self._when.reads("estimate"):
            return None
        estimate = first_estimate(context)
        return None if estimate is None else estimate_view(estimate)

    def _holds(
        self,
        context: Context,
        formula: Formula | None,
        view: Mapping[str, Any] | None,
        estimate: Mapping[str, Any] | None,
    ) -> bool:
        if formula is None:
            return True
        if estimate is None and formula.reads("estimate"):
            return False
        try:
            return bool(context.evaluate(formula, self._layer, view, estimate))
        except CelError:
            return False


class _Serving(NamedTuple):
    """What an invariant may ask of a model that serves, or is a fallback."""

    model: str
    rewrites: tuple[str, ...]
    estimate: Estimate
    content: Content


def _calls(decision: Decision) -> Iterator[_Serving]:
    if decision.model is not None and decision.estimate is not None:
        yield _Serving(decision.model, decision.rewrites, decision.estimate, _content(decision))
    for call in decision.fallback_calls:
        yield _Serving(call.model, call.rewrites, call.estimate, _content(call))


def _content(call: Decision | Call) -> Content:
    return Content(call.prompt, call.messages, call.params, call.system, call.tools)


def _facts(test: Formula, view: Mapping[str, Any]) -> str:
    """Return the facts of a model that a condition reads, in brackets."""
    names = sorted({path[1] for path in test.typed.references if path[0] == "model" and len(path) > 1} - {"name"})
    known = [f"`{name}` is {view[name]}" for name in names if name in view and not isinstance(view[name], dict)]
    return f" ({', '.join(known)})" if known else ""


def _bounds(step: BudgetStep) -> bool:
    """Say whether a budget refuses each call that costs more than its limit, whatever people and time have changed."""
    return step.per_call and step.unit == "usd" and not step.shadow and not step.overflow and step.span is None


def claims_of(
    subject: Subject, document: LinkedDocument[InvariantsDocument], expressions: Mapping[Path, TypedExpr]
) -> Iterator[Claim]:
    """Yield the invariants of a document about a policy set."""
    given = subject.bundle.linked.policy_set.document.limits
    limits = RunLimits(given.iterations, given.value_size)
    formulas = Formulas(document.located, document.document, expressions, limits)
    for index, invariant in enumerate(document.document.invariants):
        at = ("invariants", index)
        test = formulas.optional((*at, invariant.claim))
        yield Claim(subject, invariant, formulas.optional((*at, "when")), test)
