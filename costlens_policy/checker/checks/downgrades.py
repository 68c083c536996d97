"""CL407: a downgrade to a model that is more expensive than what it replaces."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from costlens_policy.checker.bundle import models_of_target, targets_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.money import format_usd

__all__ = ["check_downgrades"]

_FOUND: Final = Finding("CL407")


def check_downgrades(subject: Subject) -> Iterator[Diagnostic]:
    """Warn where a downgrade adds a model more expensive than every one that the routes name."""
    prices = [price for name in _routed(subject) if (price := _price(subject, name)) is not None]
    if not prices:
        return
    highest = max(prices)
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            for step, threshold in enumerate(budget.thresholds):
                for at, name in enumerate(threshold.downgrade.models if threshold.downgrade else ()):
                    price = _price(subject, name)
                    if price is not None and price > highest:
                        place = Place(policy, ("budgets", index, "thresholds", step, "downgrade", "models", at))
                        yield _costlier(name, price, highest, place)


def _costlier(name: str, price: Decimal, highest: Decimal, place: Place) -> Diagnostic:
    return _FOUND.warning(
        f"the downgrade to `{name}` makes calls more expensive",
        place.span,
        f"{format_usd(price)} per million tokens in and out",
        f"choose a model below {format_usd(highest)}, the most expensive one that a route uses",
    )


def _routed(subject: Subject) -> Iterator[str]:
    for document in subject.documents():
        for path, target in targets_of(document.document):
            yield from (named.name for named in models_of_target(target, path))


def _price(subject: Subject, name: str) -> Decimal | None:
    """Return what a million tokens of prompt and a million of output cost together, in US dollars."""
    model = subject.bundle.catalogue.find(name)
    period = model.period_on(subject.day) if model is not None else None
    if period is None:
        return None
    prices = period.rates.usd_per_million_tokens
    return prices["input"] + prices["output"]
