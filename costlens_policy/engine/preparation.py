"""Step 6, rewrites, and the tokens that follow from them: the request as it would be sent to one model.

Rewrites may read ``model``, so each candidate has a request of its own. Conditions that do not read it are asked
once, and candidates to which the same rules apply share one rewritten request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue.multiples import asked_multiples, multiple_of, multiplied
from costlens_policy.catalogue.rates import Period
from costlens_policy.catalogue.service_tiers import USUAL, expected_rates, possible_rates, tier_asked, tier_named
from costlens_policy.compiler.attributes import MOST_TOKENS
from costlens_policy.compiler.rules import RewriteRule
from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.documents.parameters import COMPLETIONS, OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES
from costlens_policy.engine.budgets import FREE, ActiveThreshold, Verdict
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.facts import Call, Estimate, Failure
from costlens_policy.engine.measure import GIVEN, content_of, count_request, same_texts
from costlens_policy.engine.needs import needs_of
from costlens_policy.engine.worst_case import TokenKinds
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import round_up
from costlens_policy.rewrites import (
    MOST_CHARACTERS,
    Change,
    Content,
    Outcome,
    RewriteError,
    RewriteStep,
    apply_steps,
    is_longer,
)

__all__ = ["Candidate", "Preparations", "Prepared"]

_MOST_COMPLETIONS: Final = 100_000
_CHARACTERS_OF_TOKEN: Final = 16
"""More than the tokens of any text have on average, so that who asks for it asks in vain."""
_FURTHER_LIMITS: Final = tuple(name for name in OUTPUT_LIMIT_NAMES if name != OUTPUT_LIMIT)


@dataclass(slots=True)
class Prepared:
    """A rewritten request. Not frozen, which would take 0.8 µs of each decision, and never changed.

    ``rules`` are the rewrites applied, in order. ``prompt_tokens`` and ``basis`` are as in ``Estimate``;
    ``output_tokens`` is the limit of one completion, ``tier`` the word for the service tier that is asked for, if any,
    ``terms`` where and how fast the call is to run, if either is asked for.
    """

    content: Content
    changes: tuple[Change, ...]
    rules: tuple[str, ...]
    prompt_tokens: int
    basis: str
    output_tokens: int
    completions: int
    tier: str | None
    terms: tuple[str | None, str | None] | None = None


@dataclass(slots=True)
class Candidate:
    """A model with the request as it would get it, what that costs, and what the budgets say to it.

    Not frozen, which would take 0.8 µs for each of them. ``verdict`` and ``added_by`` are set once, the rest is never
    changed. ``cost`` and ``worst_cost`` are as in ``Estimate``, as is ``output_tokens``: for all completions together.
    ``added_by`` names the budget whose downgrade added the model, empty where the route did.
    """

    offer: ModelOnDay
    prepared: Prepared
    cost: Decimal | None
    worst_cost: Decimal | None
    output_tokens: int
    verdict: Verdict
    added_by: str = ""

    @property
    def name(self) -> str:
        return self.offer.model.name

    @property
    def prompt_tokens(self) -> int:
        return self.prepared.prompt_tokens

    @property
    def estimate(self) -> Estimate:
        prepared = self.prepared
        return Estimate(
            self.cost,
            prepared.prompt_tokens,
            self.output_tokens,
            prepared.completions,
            prepared.basis,
            self.worst_cost,
        )

    @property
    def call(self) -> Call:
        """The request as it is to be sent to this model."""
        content = self.prepared.content
        return Call(
            model=self.name,
            prompt=content.prompt,
            system=content.system,
            messages=content.messages,
            params=content.params,
            rewrites=self.prepared.rules,
            estimate=self.estimate,
            balances=self.verdict.seen,
        )


class Preparations:
    """The rewritten requests of one decision, each made once.

    ``needs`` are the capabilities that the ``request`` asks for.
    """

    __slots__ = (
        "_context", "_default_output", "_given", "_holds", "_kinds", "_rewritten", "_shared", "_stages", "_tokens",
        "needs", "request",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self.request = request = context.request
        self.needs = needs_of(request)
        self._context = context
        self._stages = context.plan.stages
        self._default_output = context.plan.defaults.max_output_tokens
        self._holds: dict[str, bool] = {}
        self._rewritten: dict[tuple[str, ...], Prepared] = {}
        self._shared: Prepared | None = None
        self._kinds: TokenKinds | None = None
        self._tokens = context.counted
        self._given: Content | None = None

    def of(self, offer: ModelOnDay) -> Candidate:
        """Return a model with the request rewritten for it, and what that may cost. Raises ``Refusal``."""
        return self._priced(offer, self._shared or self._prepared_for(offer))

    def usual_for_all(self, offers: Sequence[ModelOnDay]) -> bool:
        """Whether models get one request, up to its output limit, at the usual prices: ``shared`` of any of them."""
        if not self._stages.one_request_for_all:
            return False
        if not offers:
            return True
        shared = self.shared(offers[0])
        return shared.tier is None and shared.terms is None

    def shared(self, offer: ModelOnDay) -> Prepared:
        """Return the request before its output limit is fitted to the model. Raises ``Refusal``."""
        return self._shared or self._prepared_for(offer)

    def _prepared_for(self, offer: ModelOnDay) -> Prepared:
        stages = self._stages
        if not stages.rewrites:
            self._shared = prepared = self._unchanged()
            return prepared
        rules = [item for item in stages.rewrites if item[1].when is None or self._applies(*item, offer)]
        if not stages.one_request_for_all:
            return self._rewritten_for(offer, rules)
        self._shared = prepared = self._prepare(rules, offer)
        return prepared

    def _rewritten_for(self, offer: ModelOnDay, rules: list[tuple[int, RewriteRule]]) -> Prepared:
        """Return the request with the rewrites that apply to a model, which others may share."""
        key = tuple([rule.id for _, rule in rules])
        if any(rule.values_read_model for _, rule in rules):
            key = (offer.model.name, *key)
        prepared = self._rewritten.get(key)
        if prepared is None:
            prepared = self._rewritten[key] = self._prepare(rules, offer)
        return prepared

    def under(self, candidate: Candidate, thresholds: Iterable[ActiveThreshold]) -> Candidate:
        """Return the candidate with the request as the active thresholds rewrite it further. Raises ``Refusal``."""
        offer, prepared = candidate.offer, candidate.prepared
        content, changes, applied = prepared.content, prepared.changes, prepared.rules
        for active in thresholds:
            if not active.threshold.steps:
                continue
            self._check_length([(active.budget.id, active.threshold.steps)])
            try:
                content, made = apply_steps(content, active.threshold.steps, self._context.roots(offer.view))
            except (RewriteError, CelError) as error:
                self._fail(active.budget.id, active.layer, error)
            else:
                changes, applied = (*changes, *made), (*applied, active.budget.id)
        return self._priced(offer, self._measured(content, changes, applied))

    def _unchanged(self) -> Prepared:
        """Return the request as it came. One that is counted and has no parameters is ready at once: 1 µs less."""
        request = self.request
        tokens, output = request.get("prompt_tokens"), request.get(OUTPUT_LIMIT, self._default_output)
        if tokens is None or output < 1 or self._tokens or "params" in request or "messages" in request:
            return self._measured(self._original, (), ())
        content = Content(request.get("prompt"), None, {OUTPUT_LIMIT: output})
        return Prepared(content, (), (), tokens, GIVEN, output, 1, None)

    @property
    def _original(self) -> Content:
        if self._given is None:
            self._given = content_of(self.request, self._default_output)
        return self._given

    def _applies(self, index: int, rule: RewriteRule, offer: ModelOnDay) -> bool:
        if rule.reads_model:
            return self._context.holds(rule.when, index, rule.id, "rewrites", offer.view)
        known = self._holds.get(rule.id)
        if known is None:
            known = self._holds[rule.id] = self._context.holds(rule.when, index, rule.id, "rewrites")
        return known

    def _prepare(self, rules: list[tuple[int, RewriteRule]], offer: ModelOnDay) -> Prepared:
        """Apply all rules together. A rule that fails refuses the request or, where its policy says so, is left out."""
        if rules:
            self._check_length((rule.id, rule.steps) for _, rule in rules)
        try:
            content, changes = self._together(rules, offer)
        except (RewriteError, CelError):
            at, error = self._failing(rules, offer)
            layer, rule = rules[at]
            self._fail(rule.id, layer, error)
            return self._prepare([*rules[:at], *rules[at + 1 :]], offer)
        return self._measured(content, changes, tuple([rule.id for _, rule in rules]))

    def _check_length(self, rules: Iterable[tuple[str, Sequence[RewriteStep]]]) -> None:
        """Refuse what is too long to look through, and what no model could read unless a rule makes it much shorter."""
        content, window = self._original, self._context.plan.snapshots.largest_window
        texts = (content.prompt, content.messages, content.params)
        if not is_longer(texts, min(MOST_CHARACTERS, _CHARACTERS_OF_TOKEN * window)):
            return  # as nearly always
        steps = [(rule, step) for rule, steps in rules for step in steps]
        reading = next((rule for rule, step in steps if step.reads_texts), None)
        if reading is None:
            return
        if is_longer(texts, MOST_CHARACTERS):
            most = f"the {MOST_CHARACTERS:,} characters that are rewritten"
        elif any(step.may_shorten for _, step in steps):
            return
        else:
            most = f"{_CHARACTERS_OF_TOKEN} characters for each token of the largest context window, {window}"
        raise Refusal(reading, f"rewrites: the request has more than {most}")

    def _together(self, rules: list[tuple[int, RewriteRule]], offer: ModelOnDay) -> Outcome:
        if not rules:
            return self._original, ()
        steps = self._stages.combinations.of([rule for _, rule in rules])
        return apply_steps(self._original, steps, self._context.roots(offer.view))

    def _failing(self, rules: list[tuple[int, RewriteRule]], offer: ModelOnDay) -> tuple[int, RewriteError | CelError]:
        """Return the first rule without which those before it work."""
        for at in range(len(rules)):
            try:
                self._together(rules[: at + 1], offer)
            except (RewriteError, CelError) as error:
                return at, error
        raise AssertionError("rules that failed together fail again, since rewriting is pure")

    def _fail(self, rule: str, layer: int, error: RewriteError | CelError) -> None:
        self._context.add(Failure(rule, "rewrites", error.code, str(error), None))
        if self._context.plan.layers[layer].on_error == "deny":
            raise Refusal(rule, f"rewrites: `{rule}` failed: {error}")

    def _measured(self, content: Content, changes: tuple[Change, ...], rules: tuple[str, ...]) -> Prepared:
        if content.params.get(OUTPUT_LIMIT) is None:  # a call without a limit would cost more than any estimate
            content = _limited(content, self._default_output)
        params, completions = content.params, 1
        output = _whole(params, OUTPUT_LIMIT)
        if len(params) > 1:
            output = max([output, *[_whole(params, name) for name in _FURTHER_LIMITS if name in params]])
            completions = 1 if params.get(COMPLETIONS) is None else _whole(params, COMPLETIONS)
        tokens, basis = self._count(content)
        return Prepared(content, changes, rules, tokens, basis, output, completions, *_terms(params))

    def _count(self, content: Content) -> tuple[int, str]:
        """Count a rewritten request. A count that the caller gave is moved by as much as the rewrites moved ours."""
        given, original = self.request.get("prompt_tokens"), self._original
        untouched = content is original or same_texts(content, original)
        if given is None:
            return self._count_original() if untouched else self._count_fresh(content)
        if untouched:
            known = self._context.counted
            return known if known is not None and known[0] == given else (given, GIVEN)
        before, _ = self._count_original()
        after, _ = self._count_fresh(content)
        return max(given + after - before, 0), GIVEN

    def _count_original(self) -> tuple[int, str]:
        if self._tokens is None:
            self._tokens = self._count_fresh(self._original)
        return self._tokens

    def _count_fresh(self, content: Content) -> tuple[int, str]:
        return count_request(content, self.request, self._context.plan.tokenizer)

    def _priced(self, offer: ModelOnDay, prepared: Prepared) -> Candidate:
        """Say what the call costs on a model. The prompt is charged once, the output for each completion."""
        if prepared.output_tokens > offer.most_output and self.limit_is_default(prepared):
            prepared = _fitted(prepared, int(offer.most_output))
        prompt, output, period = prepared.prompt_tokens, prepared.output_tokens * prepared.completions, offer.period
        if period is None:
            return Candidate(offer, prepared, None, None, output, FREE)
        tier, multiple = prepared.tier, None
        if prepared.terms is not None:
            tier, multiple = _on_terms(offer, period, tier, *prepared.terms)
        if tier is not None:
            rates = expected_rates(period, prompt, tier)
        else:
            rates = period.rates_for(prompt) if period.long_context else period.rates
        cost = rates.cost_as("input", prompt, "output", output)
        if tier is None and multiple is None and rates.is_plain and not self.needs:
            return Candidate(offer, prepared, cost, cost, output, FREE)
        possible = (rates,) if tier is None else possible_rates(period, prompt, tier)
        self._kinds = self._kinds or TokenKinds(self.request, self.needs)
        worst = self._kinds.worst_cost(offer.model, possible, prepared.content.params, prompt, output)
        if multiple is not None:
            cost = multiplied(cost, multiple, rates.usd_per_request)
            worst = None if worst is None else round_up(multiplied(worst, multiple, rates.usd_per_request))
        return Candidate(offer, prepared, cost, worst, output, FREE)

    def limit_is_default(self, prepared: Prepared) -> bool:
        """Say whether nobody asked for the output limit, so that it is fitted to each model."""
        return prepared.output_tokens == self._default_output != self.request.get(OUTPUT_LIMIT)


def _terms(params: Mapping[str, Any]) -> tuple[str | None, tuple[str | None, str | None] | None]:
    """Return on what terms a request asks to be served: its service tier, and where and how fast it is to run."""
    return (tier_asked(params), asked_multiples(params)) if len(params) > 1 else (None, None)


def _on_terms(
    offer: ModelOnDay, period: Period, tier: str | None, geo: str | None, speed: str | None
) -> tuple[str | None, Decimal | None]:
    """Return the service tier of a call and what its prices are multiplied by.

    A price of its own that the catalogue has for a speed goes before a multiple of the usual one.
    """
    if speed is not None and speed.lower() in period.service_tiers and tier_named(tier or USUAL) == USUAL:
        tier, speed = speed.lower(), None
    multiple, _ = multiple_of(offer.model, geo, speed)
    return tier, multiple if multiple > 1 else None


def _fitted(prepared: Prepared, most: int) -> Prepared:
    """Fit an output limit that nobody asked for to what a model can write."""
    return replace(prepared, content=_limited(prepared.content, most), output_tokens=most)


def _limited(content: Content, limit: int) -> Content:
    """Return the call with an output limit, under our name and under any other that stands there."""
    names = {name for name in OUTPUT_LIMIT_NAMES if name in content.params}
    return content._replace(params={**content.params, **dict.fromkeys(sorted(names | {OUTPUT_LIMIT}), limit)})


def _whole(params: Mapping[str, Any], name: str) -> int:
    """Return a parameter that counts something. What is not a whole number from one on refuses the request."""
    value = params[name]
    most = _MOST_COMPLETIONS if name == COMPLETIONS else MOST_TOKENS
    if type(value) is int and 0 < value <= most:
        return value
    rule = f"must be at most {most:,}" if type(value) is int and value > most else "is not a whole number from 1 on"
    raise Refusal("", f"rewrites: parameter `{name}` {rule}")
