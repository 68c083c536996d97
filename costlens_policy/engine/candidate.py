"""Steps 4 and 6, the candidate: the request as one model would get it, what that costs, and what keeps it from serving.

A budget holds the worst case: every token as the dearest kind that the provider may charge it as.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias

from costlens_policy.catalogue.catalogue import Model
from costlens_policy.catalogue.rates import TEXT_OUTPUT, Period, Rates
from costlens_policy.catalogue.service_tiers import (
    USUAL,
    asked_multiples,
    multiple_of,
    possible_rates,
    tier_asked,
    tier_named,
)
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.engine.budgets import FREE, NO_RATIOS, SURELY
from costlens_policy.engine.facts import BalanceSeen, Call, Estimate
from costlens_policy.engine.request import content_of
from costlens_policy.engine.tool_fees import tool_terms, unbounded_tool
from costlens_policy.expressions import Value
from costlens_policy.money import ZERO, format_usd, round_up
from costlens_policy.rewrites import Change, Content
from costlens_policy.units import Measure

__all__ = ["Candidate", "Prepared", "Price", "TokenKinds", "WithParams", "fits", "obstacle", "on_terms", "terms_of"]

_MARKS: Final = ("cache_control", "cachePoint", "cache_point")
"""Keys by which a request asks for a cache write: Anthropic's, which others took over, and Bedrock's."""
_INPUTS: Final = ("input", "cache_read")
_WRITES: Final = ("cache_write", "cache_write_1h")
_WITH_WRITES: Final = ("input", *_WRITES)
"""The dearest of these is ``input`` where cache writes cost nothing more; then nobody needs to look for them."""


class Prepared:
    """A rewritten request. Not a frozen data class, which would take 0.8 µs of each decision, and never changed.

    ``rules`` are the rewrites applied, in order. ``prompt_tokens`` and ``basis`` are as in ``Estimate``;
    ``output_tokens`` is the limit of one completion, ``tier`` the word for the service tier that is asked for, if any,
    ``terms`` where and how fast the call is to run, if either is asked for, ``needs`` the capabilities that it takes.
    ``content`` is made when it is asked for where it is that of the request itself.
    """

    __slots__ = (
        "_content", "basis", "changes", "completions", "needs", "output_tokens", "prompt_tokens", "rules", "terms",
        "tier",
    )  # fmt: skip

    def __init__(
        self,
        content: Content | Mapping[str, Value],
        changes: tuple[Change, ...],
        rules: tuple[str, ...],
        prompt_tokens: int,
        basis: str,
        output_tokens: int,
        completions: int,
        tier: str | None = None,
        terms: tuple[str | None, str | None] | None = None,
        needs: frozenset[str] = frozenset(),
    ) -> None:
        self._content = content
        self.changes = changes
        self.rules = rules
        self.prompt_tokens = prompt_tokens
        self.basis = basis
        self.output_tokens = output_tokens
        self.completions = completions
        self.tier = tier
        self.terms = terms
        self.needs = needs

    @property
    def content(self) -> Content:
        content = self._content
        if not isinstance(content, Content):
            content = self._content = content_of(content, self.output_tokens)
        return content

    @property
    def params(self) -> Mapping[str, Any]:
        return self.content.params

    def with_limit(self, content: Content, output_tokens: int) -> Prepared:
        """Return the request with another output limit, which ``content`` has already."""
        return Prepared(
            content,
            self.changes,
            self.rules,
            self.prompt_tokens,
            self.basis,
            output_tokens,
            self.completions,
            self.tier,
            self.terms,
            self.needs,
        )


Price: TypeAlias = int | tuple[Decimal | None, Decimal | None]
"""What a call costs: whole units of the model's rates where it cannot cost more, else ``cost`` and ``worst_cost``."""


class Candidate:
    """A model with the request as it would get it, what that costs, and what the budgets say to it.

    ``verdict``, ``added_by``, ``kinds`` and ``ratios`` are set once, the rest is never changed. ``kinds`` are there
    where a budget counts tokens of different kinds differently; ``ratios`` have, by budget, which part of the worst
    case is held where that is not all of it. ``cost`` and ``worst_cost`` are as in
    ``Estimate``, as is ``output_tokens``: for all completions together. ``added_by`` names the budget whose downgrade
    added the model, empty where the route did. ``with_caches`` is what the call costs where prompt caches are known.
    """

    __slots__ = (
        "_price", "added_by", "kinds", "output_tokens", "prepared", "priced", "ratios", "verdict", "with_caches",
    )  # fmt: skip

    def __init__(self, priced: PricedModel, prepared: Prepared, output_tokens: int, price: Price) -> None:
        self.priced = priced
        self.with_caches: Decimal | None = None
        self.prepared = prepared
        self.output_tokens = output_tokens
        self._price = price
        self.verdict = FREE
        self.added_by = ""
        self.kinds: TokenKinds | None = None
        self.ratios = NO_RATIOS

    @property
    def name(self) -> str:
        return self.priced.model.name

    @property
    def prompt_tokens(self) -> int:
        return self.prepared.prompt_tokens

    @property
    def cost(self) -> Decimal | None:
        return self._amounts[0]

    @property
    def worst_cost(self) -> Decimal | None:
        return self._amounts[1]

    @property
    def likely_cost(self) -> Decimal | None:
        return self._amounts[0] if self.with_caches is None else self.with_caches

    @property
    def lacks(self) -> str:
        """What is not known of the call, so that nobody can say what it costs at most; for people."""
        if self.cost is None:
            return "it has no price"
        terms = tool_terms(self.priced.model, self.prepared.content.tools, self.prepared.params)
        return unbounded_tool(terms) or "it has no price for this service tier"

    @property
    def _amounts(self) -> tuple[Decimal | None, Decimal | None]:
        price = self._price
        if not isinstance(price, tuple):
            cost = self.priced.usual_cost(price)
            price = self._price = cost, cost
        return price

    def take_caches(self, cost: Decimal | None) -> None:
        """Take over what the call costs with prompt caches. The worst case is never below it: writes may cost more."""
        usual, worst = self._amounts
        self.with_caches = cost
        if cost is not None and worst is not None and cost > worst:
            self._price = usual, round_up(cost)

    def surely_below(self, usd: float) -> bool:
        """Say whether the worst cost is known, and so far below an amount that rounding cannot matter."""
        price = self._price
        if isinstance(price, tuple):
            return price[1] is not None and price[1] < usd * SURELY
        return price < usd * SURELY * self.priced.units_per_usd

    def weighed(self, measure: Measure) -> int:
        """Return the most that the tokens may add to a budget, in whole units: each as the heaviest kind."""
        assert self.kinds is not None, "a budget counts kinds of tokens"
        inputs, outputs = self.kinds.heaviest(measure, self.priced.model, self.prepared)
        return inputs * self.prompt_tokens + outputs * self.output_tokens

    def sure(self, measure: Measure) -> Decimal:
        """Return what the prompt alone adds to a budget, all of it as the cheapest kind of tokens that it may be."""
        prepared, prompt = self.prepared, self.prepared.prompt_tokens
        kinds = (*_INPUTS, *_further_inputs(prepared.needs))
        if measure.base == "tokens":
            return measure.amount(prompt * min(measure.per_token[kind] for kind in kinds))
        if measure.base != "usd" or self.priced.period is None:
            return ZERO
        costs = [
            rates.cost_as(kind, prompt, "output", 0)
            for rates in _all_rates(self.priced.period, prompt, prepared.tier)
            for kind in kinds
        ]
        return min(costs, default=ZERO)

    @property
    def estimate(self) -> Estimate:
        prepared = self.prepared
        cost, worst_cost = self._amounts
        return Estimate(
            cost, prepared.prompt_tokens, self.output_tokens, prepared.completions, prepared.basis, worst_cost,
            cost if self.with_caches is None else self.with_caches,
        )  # fmt: skip

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
            tools=content.tools,
            rewrites=self.prepared.rules,
            estimate=self.estimate,
            balances=self.balances,
        )

    @property
    def balances(self) -> tuple[BalanceSeen, ...]:
        """The budgets that the call counts against."""
        return self.verdict.seen(self)


class WithParams(Protocol):
    """A call, with the parameters that it is sent with."""

    @property
    def params(self) -> Mapping[str, Any]: ...


class TokenKinds:
    """As which kinds of tokens one request may be charged, whatever model serves it."""

    __slots__ = ("_input", "_marks", "_output", "_request")

    def __init__(self, request: Mapping[str, Value], needs: frozenset[str]) -> None:
        self._request = request
        self._input = (*_INPUTS, *_further_inputs(needs)) if needs else _INPUTS
        self._output = (*TEXT_OUTPUT, "output_audio") if "audio_output" in needs else TEXT_OUTPUT
        self._marks: frozenset[str] | None = None

    def worst_cost(
        self, model: Model, possible: Iterable[Rates], params: Mapping[str, Any], prompt_tokens: int, output_tokens: int
    ) -> Decimal | None:
        """Return the US dollars that the ledger holds for a call which may have any of these rates.

        It is None where there are none: nobody knows what its service tier costs.
        """
        costs = [self._at_rates(model, rates, params, prompt_tokens, output_tokens) for rates in possible]
        return max(costs, default=None)

    def heaviest(self, measure: Measure, model: Model, call: WithParams) -> tuple[int, int]:
        """Return the most that a token of the prompt, and one of the output, adds to a budget, in whole units."""
        read = measure.heaviest(self._input)
        if measure.heaviest(_WRITES) > read:
            writes = self._writes(model, call.params)
            read = max(read, measure.heaviest(writes)) if writes else read
        return read, measure.heaviest(self._output)

    def write(self, params: Mapping[str, Any]) -> str:
        """Return as which kind of token a session's prompt is written to a cache, if it is."""
        lifetimes = self._lifetimes | {_lifetime(params[name]) for name in _MARKS if name in params}
        return _WRITES["1h" in lifetimes]

    def _at_rates(
        self, model: Model, rates: Rates, params: Mapping[str, Any], prompt_tokens: int, output_tokens: int
    ) -> Decimal:
        read = rates.dearest(self._input)
        if rates.dearest(_WITH_WRITES) != "input":
            read = rates.dearest((read, *self._writes(model, params)))
        cost = rates.cost_as(read, prompt_tokens, rates.dearest(self._output), output_tokens)
        return cost if rates.is_coarse else round_up(cost)

    def _writes(self, model: Model, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the kinds of the cache writes that can happen."""
        lifetimes = self._lifetimes | {_lifetime(params[name]) for name in _MARKS if name in params}
        if "1h" in lifetimes:
            return _WRITES
        return _WRITES[:1] if lifetimes or not _writes_on_marks_only(model) else ()

    @property
    def _lifetimes(self) -> frozenset[str]:
        """Lifetimes of the cache writes that the request asks for, looked for only where some model charges them."""
        if self._marks is None:
            places = (self._request.get(name) for name in ("messages", "tools"))
            self._marks = frozenset(lifetime for place in places for lifetime in _marked(place))
        return self._marks


def _all_rates(period: Period, prompt: int, tier: str | None) -> Iterator[Rates]:
    """Yield the rates that a call may have, at whatever time of day it is charged."""
    for each in [part for _, part in period.hours] or [period]:
        if tier is None:
            yield each.rates_for(prompt)
        else:
            yield from possible_rates(each, prompt, tier)


def _further_inputs(needs: frozenset[str]) -> Iterator[str]:
    if "audio_input" in needs:
        yield from ("input_audio", "cache_read_audio")
    if needs & {"vision", "file_input"}:
        yield "input_image"


def _writes_on_marks_only(model: Model) -> bool:
    """Whether the provider caches only what the request marks, as Anthropic's models do wherever they run.

    Others that charge for cache writes may write on their own.
    """
    return model.provider == "anthropic" or "claude" in model.name.lower()


def _marked(value: Any) -> Iterator[str]:
    """Yield the lifetime of each mark anywhere in a value."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, Mapping):
            for name in _MARKS:
                if item.get(name) is not None:
                    yield _lifetime(item[name])
            rest.extend(item.values())
        elif isinstance(item, list | tuple):
            rest.extend(item)


def _lifetime(mark: Any) -> str:
    return "1h" if isinstance(mark, Mapping) and mark.get("ttl") == "1h" else "5m"


def fits(priced: PricedModel, prepared: Prepared, *, fitted: bool) -> bool:
    """Say whether prompt and output fit a model; ``fitted`` says that the output limit is fitted to each model."""
    output = prepared.output_tokens
    if output > priced.most_output:
        if not fitted:
            return False
        output = int(priced.most_output)
    return prepared.prompt_tokens + output <= priced.window


def obstacle(request: Mapping[str, Value], candidate: Candidate) -> str:
    """Return why the model, which may serve on this day, cannot serve this request, or an empty text."""
    priced, prepared = candidate.priced, candidate.prepared
    output, needs = prepared.output_tokens, prepared.needs
    budget = request.get("cost_budget")
    if (
        output <= priced.most_output
        and prepared.prompt_tokens + output <= priced.window
        and (budget is None or candidate.surely_below(budget))
        and not needs
        and "latency_budget_ms" not in request
    ):
        return ""  # as nearly always; the rest is to say what is wrong
    return (
        _lacks(priced, needs)
        or _too_long(priced, prepared)
        or _too_dear(budget, candidate.cost)
        or _too_slow(request.get("latency_budget_ms"), priced)
    )


@lru_cache(1024)
def _exact(budget: float) -> Decimal:
    """Return a cost budget as the amount that was written. Callers ask with the same few again and again."""
    return Decimal(repr(budget))


def _lacks(priced: PricedModel, needs: frozenset[str]) -> str:
    known = priced.model.capabilities
    for need in sorted(needs):
        if known is None:
            return f"the request needs `{need}`, and the catalogue does not say what the model can do"
        if need not in known:
            return f"the request needs `{need}`, which the model does not have"
    return ""


def _too_long(priced: PricedModel, prepared: Prepared) -> str:
    prompt, output = prepared.prompt_tokens, prepared.output_tokens
    if output > priced.most_output:
        return f"{output} output tokens are asked for, the model writes at most {priced.most_output}"
    if prompt + output > priced.window:
        asked = f"{prompt} prompt and {output} output tokens"
        return f"{asked} do not fit the context window of {priced.window}"
    return ""


def _too_dear(budget: float | None, cost: Decimal | None) -> str:
    if budget is None:
        return ""
    if cost is None:
        return "it has no price, so the request's cost budget cannot be kept"
    limit = _exact(budget)
    return f"it may cost {format_usd(cost)}, the request's cost budget is {format_usd(limit)}" if cost > limit else ""


def _too_slow(budget: float | None, priced: PricedModel) -> str:
    if budget is None:
        return ""
    latency = priced.model.latency_p50_ms
    if latency is None:
        return "its latency is not known, so the request's latency budget cannot be kept"
    if latency > budget:
        return f"its median latency is {latency:g} ms, the request's latency budget is {budget:g} ms"
    return ""


def terms_of(params: Mapping[str, Any]) -> tuple[str | None, tuple[str | None, str | None] | None]:
    """Return on what terms a request asks to be served: its service tier, and where and how fast it is to run."""
    return (tier_asked(params), asked_multiples(params)) if len(params) > 1 else (None, None)


def on_terms(
    priced: PricedModel, period: Period, tier: str | None, geo: str | None, speed: str | None
) -> tuple[str | None, Decimal | None]:
    """Return the service tier of a call and what its prices are multiplied by.

    A price of its own that the catalogue has for a speed goes before a multiple of the usual one.
    """
    if speed is not None and speed.lower() in period.service_tiers and tier_named(tier or USUAL) == USUAL:
        tier, speed = speed.lower(), None
    multiple, _ = multiple_of(priced.model, geo, speed)
    return tier, multiple if multiple > 1 else None
