"""The limits of a choice that the catalogue alone decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from costlens_policy.catalogue import Model
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents.policy import Choice
from costlens_policy.frozen import frozen

__all__ = ["LimitTest", "limit_tests"]


@frozen
class LimitTest:
    """Whether a model meets a limit, and a description of the best of several models.

    ``path`` leads there from the choice.
    """

    path: tuple[str, ...]
    meets: Callable[[Model], bool]
    best: Callable[[Sequence[Model]], str]


def limit_tests(choice: Choice) -> Iterator[LimitTest]:
    """Yield a test for each limit. An unknown fact meets no limit, as in a decision."""
    limits = choice.limits
    if limits.requires:
        yield _requires(frozenset(limits.requires))
    if limits.max_latency_ms is not None:
        yield _latency(float(limits.max_latency_ms))
    if limits.min_quality is not None:
        yield _quality(("limits", "min_quality"), choice, float(limits.min_quality))
    if choice.within is not None:
        yield _quality(("within",), choice, 0.0)


def _requires(wanted: frozenset[str]) -> LimitTest:
    def able(model: Model) -> frozenset[str]:
        return wanted & (model.capabilities or frozenset())

    def best(models: Sequence[Model]) -> str:
        most = max(map(able, models), key=len)
        return f"only {listed(sorted(most))}" if most else "none of these"

    return LimitTest(("limits", "requires"), lambda model: able(model) == wanted, best)


def _latency(longest: float) -> LimitTest:
    def best(models: Sequence[Model]) -> str:
        known = [model.latency_p50_ms for model in models if model.latency_p50_ms is not None]
        return f"{min(known):g} ms" if known else "no known latency"

    return LimitTest(
        ("limits", "max_latency_ms"),
        lambda model: model.latency_p50_ms is not None and model.latency_p50_ms <= longest,
        best,
    )


def _quality(path: tuple[str, ...], choice: Choice, lowest: float) -> LimitTest:
    """The request's task is not known yet, so the best measured task of a model counts."""

    def known_of(model: Model) -> list[float]:
        if choice.quality == "value":
            return list(model.quality.values())
        return [known.low for known in model.evidence.values() if known.low is not None]

    def best(models: Sequence[Model]) -> str:
        known = [value for model in models for value in known_of(model)]
        return f"{max(known):g}" if known else "no known quality"

    return LimitTest(path, lambda model: max(known_of(model), default=-1.0) >= lowest, best)
