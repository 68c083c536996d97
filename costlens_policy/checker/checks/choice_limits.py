"""The limits of a choice that the catalogue alone decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from costlens_policy.catalogue import Model
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents.policy import Limits
from costlens_policy.frozen import frozen

__all__ = ["LimitTest", "limit_tests"]


@frozen
class LimitTest:
    """Whether a model meets a limit, and a description of the best of several models."""

    key: str
    meets: Callable[[Model], bool]
    best: Callable[[Sequence[Model]], str]


def limit_tests(limits: Limits) -> Iterator[LimitTest]:
    """Yield a test for each limit. An unknown fact meets no limit, as in a decision."""
    if limits.requires:
        yield _requires(frozenset(limits.requires))
    if limits.max_latency_ms is not None:
        yield _latency(float(limits.max_latency_ms))
    if limits.min_quality is not None:
        yield _quality(float(limits.min_quality))


def _requires(wanted: frozenset[str]) -> LimitTest:
    def able(model: Model) -> frozenset[str]:
        return wanted & (model.capabilities or frozenset())

    def best(models: Sequence[Model]) -> str:
        most = max(map(able, models), key=len)
        return f"only {listed(sorted(most))}" if most else "none of these"

    return LimitTest("requires", lambda model: able(model) == wanted, best)


def _latency(longest: float) -> LimitTest:
    def best(models: Sequence[Model]) -> str:
        known = [model.latency_p50_ms for model in models if model.latency_p50_ms is not None]
        return f"{min(known):g} ms" if known else "no known latency"

    return LimitTest(
        "max_latency_ms", lambda model: model.latency_p50_ms is not None and model.latency_p50_ms <= longest, best
    )


def _quality(lowest: float) -> LimitTest:
    """The request's task is not known yet, so the best measured task of a model counts."""

    def best(models: Sequence[Model]) -> str:
        known = [value for model in models for value in model.quality.values()]
        return f"{max(known):g}" if known else "no known quality"

    return LimitTest("min_quality", lambda model: max(model.quality.values(), default=-1.0) >= lowest, best)
