"""What a call may come to, in tokens and dollars, and when that may be too much.

Little is known of a call before it is made: limits on its tokens, where conditions set any, and what it costs on the
model that is asked first. A sum is not compared as such, but at the numbers that conditions name: of all bounds on both
kinds of tokens, at each pair up to which it is not too much yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final, TypeAlias

from costlens_policy.assurance import Goal, Subject
from costlens_policy.checker.expressions import Environments, records_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import RewriteRule, routes_in
from costlens_policy.documents.parameters import OUTPUT_LIMIT
from costlens_policy.expressions import BOOL, Environment, analyze
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.frozen import frozen
from costlens_policy.proof.outcomes import ALWAYS, every, some
from costlens_policy.rewrites.parameters import ClampStep

__all__ = ["First", "Sum", "TooMuch", "cost_of", "may_be_too_much", "only_lowers", "written"]

_UNSEEN: Final = 2**62
"""In the place of the tokens of a prompt that is not counted: more than any."""
_MOST_BOUNDS: Final = 8

TooMuch: TypeAlias = Callable[[Fraction | float], Goal]
"""When it may be too much that a call comes to so much, or less; the amount may be infinite."""


@frozen
class Sum:
    """What a call comes to: so much for each token of the prompt, for each of the output, and for itself."""

    prompt: Fraction
    output: Fraction
    fixed: Fraction = Fraction(0)

    def of(self, prompt: float, output: float) -> Fraction | float:
        """Return the amount; the numbers of tokens may be infinite."""
        found: Fraction | float = self.fixed
        for price, tokens in ((self.prompt, prompt), (self.output, output)):
            if price:
                found = math.inf if math.isinf(tokens) else found + price * Fraction(tokens)
        return found


@frozen
class First:
    """The model that is asked first, where the call costs ``most`` US dollars at most."""

    priced: PricedModel
    most: Fraction

    def tokens(self) -> tuple[float, float]:
        """Return the most tokens of the prompt, and of all its output, that the call can have."""
        price = cost_of(self.priced)
        if price is None:
            return math.inf, math.inf
        left = max(self.most - price.fixed, Fraction(0))
        return tuple(left / each if each else math.inf for each in (price.prompt, price.output))  # type: ignore[return-value]


def cost_of(priced: PricedModel) -> Sum | None:
    """Return what a call of text costs at usual terms, in US dollars; None where that is more than a sum."""
    if priced.usual is None:
        return None
    return Sum(*(Fraction(units, priced.units_per_usd) for units in priced.usual))


def only_lowers(rule: RewriteRule) -> bool:
    """Say whether a rewrite can do nothing but lower the output limit, or other parameters."""
    parts = [part for step in rule.steps for part in step.parts]
    return all(isinstance(part, ClampStep) and part.low is None for part in parts)


def may_be_too_much(subject: Subject, priced: PricedModel, sum_: Sum, too_much: TooMuch, first: First | None) -> Goal:
    """Return when a call on a model may come to too much: wherever no bound on its tokens rules that out.

    It is as the request asks for it, at most: rewrites only lower it, and it is one completion at usual terms.
    """
    fitted: float = subject.plan.defaults.max_output_tokens
    if not subject.once(_rewrites):  # a limit that a rewrite has lowered is no default that is fitted to the model
        fitted = min(fitted, priced.most_output)
    bounds = subject.once(_bounds)
    found = []
    for prompt in bounds["prompt_tokens"]:
        for output in {*bounds[OUTPUT_LIMIT], int(fitted)}:
            beyond = too_much(sum_.of(prompt, output))
            if beyond is not ALWAYS:
                found.append(some([_over(subject, prompt, output, fitted), beyond]))
    if first is not None:
        found.append(too_much(_at_most(subject, sum_, first, fitted)))
    return every(found)


def _rewrites(subject: Subject) -> bool:
    """Say whether anything rewrites requests."""
    layers = subject.plan.layers
    routes = (subject.plan.defaults.route, *(route for layer in layers for route in layer.routes))
    thresholds = (item for layer in layers for budget in layer.budgets for item in budget.thresholds)
    return (
        any(layer.rewrites for layer in layers)
        or any(step.rewrite is not None for route in routes for step in routes_in(route))
        or any(threshold.steps for threshold in thresholds)
    )


def _over(subject: Subject, prompt: int, output: int, fitted: float) -> Goal:
    """Return that a call has more tokens of one kind than a bound. What is not counted, has."""
    unlimited = 0 if fitted <= output else _UNSEEN
    text = f"request.?prompt_tokens.orValue({_UNSEEN}) > {prompt} || "
    return written(subject, f"{text}request.?{OUTPUT_LIMIT}.orValue({unlimited}) > {output}")


def _at_most(subject: Subject, sum_: Sum, first: First, fitted: float) -> Fraction | float:
    """Return the most that a call comes to whose cost on another model is known."""
    prompt, output = first.tokens()
    price = cost_of(first.priced)
    corners = [sum_.of(prompt, 0), sum_.of(0, output)]
    if price is None or (not price.prompt and sum_.prompt) or (not price.output and sum_.output):
        return math.inf
    if first.priced.most_output < fitted:  # there, a limit that nobody asked for is lower
        corners.append(sum_.of(prompt, fitted))
    return max(corners)


def _bounds(subject: Subject) -> dict[str, list[int]]:
    """Return the numbers of tokens up to which conditions ask for a call, by attribute."""
    return {name: list(_bounds_of(subject, name)) for name in ("prompt_tokens", OUTPUT_LIMIT)}


def _bounds_of(subject: Subject, name: str) -> Iterator[int]:
    use = subject.domain.uses.by_read.get(("request", name))
    named = () if use is None else use.literals
    found = {math.floor(value) for value in named if isinstance(value, int | float) and 0 < value < _UNSEEN}
    yield from sorted({near for value in found for near in (value - 1, value)})[: 2 * _MOST_BOUNDS]


def written(subject: Subject, text: str) -> Goal:
    """Return the goal that a condition on the request and the states of budgets holds."""
    known = subject.once(_known)
    if text not in known:
        typed = analyze(text, subject.once(_environment), BOOL).typed
        assert typed is not None, f"`{text}` is made of built-in attributes"
        known[text] = subject.condition(Formula(text, None, typed, "bool", RunLimits()), len(subject.plan.layers))
    return known[text]


def _known(_: Subject) -> dict[str, Goal]:
    return {}


def _environment(subject: Subject) -> Environment:
    linked = subject.bundle.linked
    return Environments(records_of(linked), linked.data).of(("request", "budgets"))
