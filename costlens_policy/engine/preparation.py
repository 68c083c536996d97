"""Step 4, rewrites, and the tokens that follow from them: the request as it would be sent to one model.

Rewrites may read ``model``, so each candidate has a request of its own. Conditions that do not read it are asked
once, and candidates to which the same rules apply share one rewritten request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue import Period, Rates, Usage, read_from
from costlens_policy.catalogue.service_tiers import expected_rates, multiplied, possible_rates
from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.compiler.attributes import MOST_TOKENS
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import RewriteRule, RouteStep
from costlens_policy.documents.parameters import COMPLETIONS, OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES
from costlens_policy.engine.budgets import ActiveThreshold
from costlens_policy.engine.candidate import Candidate, Prepared, Price, TokenKinds, on_terms, terms_of
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.facts import Failure
from costlens_policy.engine.request import GIVEN, content_of, count_request, needs_of, same_texts
from costlens_policy.engine.tool_fees import tool_terms, worst_fees
from costlens_policy.expressions.runtime import CelError
from costlens_policy.money import ZERO, add, round_up
from costlens_policy.rewrites import (
    MOST_CHARACTERS,
    Change,
    Content,
    RewriteError,
    RewriteStep,
    Rewritten,
    apply_steps,
    is_longer,
)

__all__ = ["Preparations"]

_MOST_COMPLETIONS: Final = 100_000
_CHARACTERS_OF_TOKEN: Final = 16
"""More than the tokens of any text have on average, so that who asks for it asks in vain."""
_TOOLS: Final = frozenset({"tools"})
_FURTHER_LIMITS: Final = tuple(name for name in OUTPUT_LIMIT_NAMES if name != OUTPUT_LIMIT)


class Preparations:
    """The rewritten requests of one decision, each made once.

    What the ``route`` applies comes before all rewrites.
    """

    __slots__ = (
        "_context", "_default_output", "_given", "_holds", "_kinds", "_needs", "_one_for_all", "_own", "_rewritten",
        "_shared", "_stages", "_tokens", "_warm", "request",
    )  # fmt: skip

    def __init__(self, context: Context, route: RouteStep) -> None:
        self.request = request = context.request
        self._needs = needs_of(request)
        self._context = context
        self._stages = stages = context.plan.stages
        own = route.rewrite
        self._own = () if own is None else ((route.layer, own),)
        self._one_for_all = stages.one_request_for_all and (own is None or not own.values_read_model)
        self._default_output = context.plan.defaults.max_output_tokens
        self._holds: dict[str, bool] = {}
        self._rewritten: dict[tuple[str, ...], Prepared] = {}
        self._shared: Prepared | None = None
        self._kinds: TokenKinds | None = None
        self._tokens = context.counted
        self._given: Content | None = None
        self._warm: Mapping[str, int] | None = request.get(WARM_TOKENS)

    def of(self, priced: PricedModel) -> Candidate:
        """Return a model with the request rewritten for it, and what that may cost. Raises ``Refusal``."""
        return self._priced(priced, self._shared or self._prepared_for(priced))

    def usual_for_all(self, priced_models: Sequence[PricedModel]) -> bool:
        """Whether models get one request, up to its output limit, at the usual prices: ``shared`` of any of them."""
        if not self._one_for_all:
            return False
        if not priced_models:
            return True
        shared = self.shared(priced_models[0])
        return shared.tier is None and shared.terms is None

    def shared(self, priced: PricedModel) -> Prepared:
        """Return the request before its output limit is fitted to the model. Raises ``Refusal``."""
        return self._shared or self._prepared_for(priced)

    def _prepared_for(self, priced: PricedModel) -> Prepared:
        rewrites, own = self._stages.rewrites, self._own
        if not rewrites and not own:
            self._shared = prepared = self._unchanged()
            return prepared
        rules = [item for item in rewrites if item[1].when is None or self._applies(item[0], item[1], priced)]
        if own:
            rules = [*own, *rules]
        if not self._one_for_all:
            return self._rewritten_for(priced, rules)
        self._shared = prepared = self._prepare(rules, priced)
        return prepared

    def _rewritten_for(self, priced: PricedModel, rules: list[tuple[int, RewriteRule]]) -> Prepared:
        """Return the request with the rewrites that apply to a model, which others may share."""
        key = tuple([rule.id for _, rule in rules])
        if any(rule.values_read_model for _, rule in rules):
            key = (priced.model.name, *key)
        prepared = self._rewritten.get(key)
        if prepared is None:
            prepared = self._rewritten[key] = self._prepare(rules, priced)
        return prepared

    def under(self, candidate: Candidate, thresholds: Iterable[ActiveThreshold]) -> Candidate:
        """Return the candidate with the request as the active thresholds rewrite it further. Raises ``Refusal``."""
        priced, prepared = candidate.priced, candidate.prepared
        content, changes, applied = prepared.content, prepared.changes, prepared.rules
        for active in thresholds:
            if not active.threshold.steps:
                continue
            if self._stages.reads_texts:
                self._check_length([(active.budget.id, active.threshold.steps)])
            try:
                content, made = apply_steps(content, active.threshold.steps, self._context.roots(priced.view))
            except (RewriteError, CelError) as error:
                self._fail(active.budget.id, active.layer, active.threshold.steps, error)
            else:
                changes, applied = (*changes, *made), (*applied, active.budget.id)
        return self._priced(priced, self._measured(content, changes, applied))

    def _unchanged(self) -> Prepared:
        """Return the request as it came. One that is counted and has no parameters is ready at once: 1 µs less."""
        request = self.request
        tokens, output = request.get("prompt_tokens"), request.get(OUTPUT_LIMIT, self._default_output)
        if tokens is None or output < 1 or self._tokens or "params" in request or "messages" in request:
            return self._measured(self._original, (), ())
        return Prepared(request, (), (), tokens, GIVEN, output, 1, needs=self._needs)

    @property
    def _original(self) -> Content:
        if self._given is None:
            self._given = content_of(self.request, self._default_output)
        return self._given

    def _applies(self, index: int, rule: RewriteRule, priced: PricedModel) -> bool:
        if rule.reads_model:
            return self._context.holds(rule.when, index, rule.id, "rewrites", priced.view, rule.steps)
        known = self._holds.get(rule.id)
        if known is None:
            known = self._holds[rule.id] = self._context.holds(rule.when, index, rule.id, "rewrites", None, rule.steps)
        return known

    def _prepare(self, rules: list[tuple[int, RewriteRule]], priced: PricedModel) -> Prepared:
        """Apply all rules together. A rule that fails refuses the request or, where that may be, is left out."""
        if self._stages.reads_texts:
            self._check_length((rule.id, rule.steps) for _, rule in rules)
        ids = tuple([rule.id for _, rule in rules])
        try:
            content, changes = self._together(rules, priced)
        except (RewriteError, CelError):
            at, error = self._failing(rules, priced)
            layer, rule = rules[at]
            self._fail(rule.id, layer, rule.steps, error)
            return self._prepare([*rules[:at], *rules[at + 1 :]], priced)
        return self._measured(content, changes, ids)

    def _check_length(self, rules: Iterable[tuple[str, Sequence[RewriteStep]]]) -> None:
        """Refuse what is too long to look through, and what no model could read unless a rule makes it much shorter."""
        steps = [(rule, step) for rule, steps in rules for step in steps]
        reading = next((rule for rule, step in steps if step.reads_texts), None)
        if reading is None:
            return
        content, window = self._original, self._context.plan.snapshots.largest_window
        texts = (content.prompt, content.messages, content.params)
        if not is_longer(texts, min(MOST_CHARACTERS, _CHARACTERS_OF_TOKEN * window)):
            return  # as nearly always
        if is_longer(texts, MOST_CHARACTERS):
            most = f"the {MOST_CHARACTERS:,} characters that are rewritten"
        elif any(step.may_shorten for _, step in steps):
            return
        else:
            most = f"{_CHARACTERS_OF_TOKEN} characters for each token of the largest context window, {window}"
        raise Refusal(reading, f"rewrites: the request has more than {most}")

    def _together(self, rules: list[tuple[int, RewriteRule]], priced: PricedModel) -> Rewritten:
        if not rules:
            return self._original, ()
        steps = self._stages.combinations.of(rules)
        return apply_steps(self._original, steps, self._context.roots(priced.view))

    def _failing(
        self, rules: list[tuple[int, RewriteRule]], priced: PricedModel
    ) -> tuple[int, RewriteError | CelError]:
        """Return the first rule without which those before it work."""
        for at in range(len(rules)):
            try:
                self._together(rules[: at + 1], priced)
            except (RewriteError, CelError) as error:
                return at, error
        raise AssertionError("rules that failed together fail again, since rewriting is pure")

    def _fail(self, rule: str, layer: int, steps: Sequence[RewriteStep], error: RewriteError | CelError) -> None:
        origin = error.origin if isinstance(error, CelError) else None
        span = origin.span if isinstance(origin, Formula) else None
        self._context.add(Failure(rule, "rewrites", error.code, str(error), span))
        layers = self._context.plan.layers
        skips = layer < len(layers) and layers[layer].on_error != "deny"  # the default route belongs to no policy
        if not skips or any(step.refuses for step in steps):
            raise Refusal(rule, f"rewrites: `{rule}` failed: {error}")

    def _measured(self, content: Content, changes: tuple[Change, ...], rules: tuple[str, ...]) -> Prepared:
        if content.params.get(OUTPUT_LIMIT) is None:  # a call without a limit would cost more than any estimate
            content = _limited(content, self._default_output)
        params, completions = content.params, 1
        output = _whole(params, OUTPUT_LIMIT)
        if len(params) > 1:
            for name in _FURTHER_LIMITS:
                if name in params:
                    output = max(output, _whole(params, name))
            completions = 1 if params.get(COMPLETIONS) is None else _whole(params, COMPLETIONS)
        tokens, basis = self._count(content)
        needs = self._needs if content.tools else self._needs - _TOOLS
        return Prepared(content, changes, rules, tokens, basis, output, completions, *terms_of(params), needs)

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

    def _priced(self, priced: PricedModel, prepared: Prepared) -> Candidate:
        """Say what the call costs on a model. The prompt is charged once, the output for each completion."""
        if prepared.output_tokens > priced.most_output and self.limit_is_default(prepared):
            prepared = _fitted(prepared, int(priced.most_output))
        prompt, output = prepared.prompt_tokens, prepared.output_tokens * prepared.completions
        if priced.usual is not None and prepared.tier is None and prepared.terms is None and not prepared.needs:
            per_prompt, per_output, request = priced.usual
            price: Price = per_prompt * prompt + per_output * output + request
        else:
            price = self._price(priced, prepared, prompt, output)
        candidate = Candidate(priced, prepared, output, price)
        if self._warm:
            candidate.take_caches(self._with_caches(priced, prepared, output, self._warm))
        if self._stages.counts_kinds:
            candidate.kinds = self._token_kinds
        return candidate

    def _price(self, priced: PricedModel, prepared: Prepared, prompt: int, output: int) -> Price:
        """Return what a call costs where that is more than so much for each token, and what it may cost at most."""
        cost, worst = self._token_price(priced, prepared, prompt, output)
        terms = tool_terms(priced.model, prepared.content.tools, prepared.params)
        if not terms or cost is None:
            return cost, worst
        fees = worst_fees(terms, prepared.completions)
        if fees is None:
            return cost, None
        return add(cost, fees), None if worst is None else round_up(add(worst, fees))

    def _token_price(
        self, priced: PricedModel, prepared: Prepared, prompt: int, output: int
    ) -> tuple[Decimal | None, Decimal | None]:
        period = priced.period
        if period is None:
            return None, None
        rates, tier, multiple = _expected(priced, prepared, period)
        cost = rates.cost_as("input", prompt, "output", output)
        if tier is None and multiple is None and rates.is_plain and not prepared.needs:
            return cost, cost
        possible = (rates,) if tier is None else possible_rates(period, prompt, tier)
        worst = self._token_kinds.worst_cost(priced.model, possible, prepared.content.params, prompt, output)
        if multiple is not None:
            cost = multiplied(cost, multiple, rates.usd_per_request)
            worst = None if worst is None else round_up(multiplied(worst, multiple, rates.usd_per_request))
        return cost, worst

    def _with_caches(
        self, priced: PricedModel, prepared: Prepared, output: int, warm: Mapping[str, int]
    ) -> Decimal | None:
        """Return what a call of a session that has prompt caches costs: what is warm is read, the rest is written.

        A prompt that is too short for the model's cache, or of a model that has none, costs what it does without one.
        """
        period, prompt, cache = priced.period, prepared.prompt_tokens, priced.model.cache
        if period is None:
            return None
        read = read_from(warm.get(priced.model.name, 0), prompt)
        keeps = read > 0 or (cache is not None and prompt >= cache.min_tokens)
        write = self._token_kinds.write(prepared.content.params) if keeps else "input"
        rates, _, multiple = _expected(priced, prepared, period)
        cost = rates.cost(Usage(cache_read=read, output=output)._replace(**{write: prompt - read}))
        cost = cost if multiple is None else multiplied(cost, multiple, rates.usd_per_request)
        terms = tool_terms(priced.model, prepared.content.tools, prepared.params)
        return add(cost, worst_fees(terms, prepared.completions) or ZERO) if terms else cost

    @property
    def _token_kinds(self) -> TokenKinds:
        if self._kinds is None:
            self._kinds = TokenKinds(self.request, self._needs)
        return self._kinds

    def limit_is_default(self, prepared: Prepared) -> bool:
        """Say whether nobody asked for the output limit, so that it is fitted to each model."""
        return prepared.output_tokens == self._default_output != self.request.get(OUTPUT_LIMIT)


def _expected(priced: PricedModel, prepared: Prepared, period: Period) -> tuple[Rates, str | None, Decimal | None]:
    """Return the rates that a call will probably have, the tier that they are of, and what they are multiplied by."""
    tier, multiple, prompt = prepared.tier, None, prepared.prompt_tokens
    if prepared.terms is not None:
        tier, multiple = on_terms(priced, period, tier, *prepared.terms)
    return period.rates_for(prompt) if tier is None else expected_rates(period, prompt, tier), tier, multiple


def _fitted(prepared: Prepared, most: int) -> Prepared:
    """Fit an output limit that nobody asked for to what a model can write."""
    return prepared.with_limit(_limited(prepared.content, most), most)


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
