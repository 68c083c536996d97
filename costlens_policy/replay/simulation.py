"""One policy set over traffic, call by call in the order of time: decide, price, charge."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue import Usage
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decision import Decision
from costlens_policy.money import ZERO, subtract, total
from costlens_policy.replay.book import BalanceBook
from costlens_policy.replay.caches import PromptCaches
from costlens_policy.replay.outcome import Outcome, Refused
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.traffic.row import Row
from costlens_policy.replay.verdicts import Verdicts
from costlens_policy.usage import Portion, Terms, period_of, price_each, rate_of

__all__ = ["Baseline", "Simulation", "answer_of", "canonical", "errors_of", "price", "refusal_of", "request_of"]

_NONE: Final = Usage()


class Simulation:
    """The state of a replay: balances, caches, and decisions that can be shared."""

    __slots__ = ("_book", "_budgets", "_caches", "_plan", "verdicts")

    def __init__(self, plan: Plan, settings: Settings, block_tokens: int = 0) -> None:
        self._plan = plan
        self._budgets = bool(plan.budgets)
        self._book = BalanceBook(plan)
        self._caches = PromptCaches(settings, block_tokens)
        self.verdicts = Verdicts(plan)

    def step(self, row: Row) -> Outcome:
        """Return what becomes of the next request. Raises ``RequestError`` where the policy set cannot accept it."""
        return self.settle(row, self.decide(row))

    def decide(self, row: Row) -> Decision:
        """Decide the next request; nothing is charged yet. Raises ``RequestError``."""
        self._book.now = row.time
        return self.verdicts.decide(request_of(row, self._plan), self._book, row.time)

    def settle(self, row: Row, decision: Decision) -> Outcome:
        """Price and charge the request that was decided last."""
        if decision.model is None:
            return refusal_of(decision)
        model = decision.model
        prompt, output = _prompt(decision, row), _output(row, model)
        usage = self._caches.usage(row, model, canonical(row.model, self._plan), prompt, output)
        cost, written = price(self._plan, model, usage, row)
        alerts = tuple(self._book.first_alerts(decision)) if decision.alerts else ()
        if self._budgets:
            self._book.charge(decision, tokens_of(usage, row), cost)
        assert decision.estimate is not None
        return Outcome(
            model, decision.rule, "", "", usage, cost, written, alerts, decision.rewrites, errors_of(decision),
            output > decision.estimate.output_tokens,
            {name: price(self._plan, name, Usage(input=prompt, output=_output(row, name)), row)[0]
             for name in row.outcomes},
        )  # fmt: skip


class Baseline:
    """What was recorded, priced by the same catalogue and with the same model of caches."""

    __slots__ = ("_caches", "_plan")

    def __init__(self, plan: Plan, settings: Settings, block_tokens: int = 0) -> None:
        self._plan = plan
        self._caches = PromptCaches(settings, block_tokens)

    def step(self, row: Row) -> Decimal | None:
        """Return the cost of the next request on its recorded model; None where it has none that has a price.

        What does not fit the recorded model's window has no cost either: it cannot have been served so.
        """
        known = None if row.model is None else self._plan.catalogue.find(row.model)
        if known is None or row.prompt_tokens is None:
            return None
        output = row.output_tokens or 0
        if known.context_window is not None and row.prompt_tokens + output > known.context_window:
            return None
        usage = self._caches.usage(row, known.name, known.name, row.prompt_tokens, output)
        return price(self._plan, known.name, usage, row)[0]


def request_of(row: Row, plan: Plan) -> dict[str, Any]:
    """Return the request of a row as the engine is given it."""
    request = dict(row.attributes)
    if row.prompt_tokens is not None:
        request.setdefault("prompt_tokens", row.prompt_tokens)
    if row.model is not None and "model" in plan.attributes:
        request.setdefault("model", canonical(row.model, plan))
    return request


def canonical(name: str | None, plan: Plan) -> str | None:
    """Return the catalogue's own name of a model, or the same where the catalogue does not list it."""
    known = None if name is None else plan.catalogue.find(name)
    return name if known is None else known.name


def price(plan: Plan, name: str, usage: Usage, row: Row) -> tuple[Decimal | None, Decimal]:
    """Return what a call costs on a model at the time of the row and on its terms, and the answer's part of that.

    What the call used on further models is part of it. None for a model that has no price then.
    """
    model = plan.catalogue.find(name)
    period = None if model is None else period_of(model, row.time)
    if model is None or period is None:
        return None, ZERO
    terms = Terms.of(row.service_tier)
    rate = rate_of(model, period, usage, terms)
    cost = rate.cost(usage)
    if row.other_models:
        portions = [Portion(name, Usage(), terms), *(Portion(*item, terms) for item in row.other_models)]
        others = list(price_each(plan.catalogue.find, portions, row.time))[1:]
        cost = total((cost, *(item.cost for _, item in others if item.cost is not None)))
    return cost, subtract(rate.cost(answer_of(usage)), rate.rates.usd_per_request)


def answer_of(usage: Usage) -> Usage:
    """Return the tokens of the answer alone."""
    return Usage(
        output=usage.output, reasoning=usage.reasoning, output_audio=usage.output_audio,
        output_image=usage.output_image,
    )  # fmt: skip


def tokens_of(usage: Usage, row: Row) -> int:
    """Return the tokens of a call, those on further models among them."""
    return sum(tokens for item in (usage, *(more for _, more in row.other_models)) for _, tokens in item.counted)


def refusal_of(decision: Decision) -> Outcome:
    """Return what becomes of a request that was denied, and why."""
    kind: Refused = "access"
    rule = decision.rule
    by = next((item.by for item in decision.excluded if item.by and item.by != decision.rule), "")
    if by:
        kind, rule = "budget", by
    elif decision.excluded:
        kind = "unservable"
    elif decision.errors:
        kind = "error"
    reason = decision.excluded[0].reason if decision.excluded else decision.reasons[-1] if decision.reasons else ""
    return Outcome(None, rule or "default", kind, reason, _NONE, ZERO, errors=errors_of(decision))


def errors_of(decision: Decision) -> tuple[str, ...]:
    """Return the rules whose expressions failed, each with its message."""
    return tuple(f"{item.rule}: {item.message}" for item in decision.errors)


def _prompt(decision: Decision, row: Row) -> int:
    """Return the tokens of the prompt as it is sent. A shared decision was made of another row's tokens."""
    assert decision.estimate is not None
    if row.prompt_tokens is not None and not decision.changes:
        return row.prompt_tokens
    return decision.estimate.prompt_tokens


def _output(row: Row, model: str) -> int:
    """Return the length of the answer; of another model's answer where this one's was not recorded."""
    if row.output_tokens is not None:
        return row.output_tokens
    return row.answers.get(model) or max(row.answers.values())
