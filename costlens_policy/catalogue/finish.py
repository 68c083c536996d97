"""A draft becomes a model once every document has been read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlens_policy.catalogue import problems
from costlens_policy.catalogue.drafts import Draft, Place
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.names import Names
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["examine", "finish"]


def examine(draft: Draft) -> Iterator[Diagnostic]:
    """Find what does not fit together now that everything is known of a model."""
    yield from _prices(draft)
    yield from _days(draft)
    yield from _tokens(draft)


def _prices(draft: Draft) -> Iterator[Diagnostic]:
    """Report own models without prices; of imported ones, the policies that use them are told."""
    if draft.periods or draft.prices_settled or "models" not in draft.place.path[:1]:
        return
    if draft.price_as is not None:
        yield problems.unpriced(draft.name, draft.price_as.name, draft.price_as.place.span)
    else:
        yield problems.unpriced(draft.name, "", draft.place.key_span)


def _days(draft: Draft) -> Iterator[Diagnostic]:
    place = _given(draft, "retired", "deprecated")
    deprecated, retired = draft.facts.get("deprecated"), draft.facts.get("retired")
    if place and deprecated is not None and retired is not None and retired < deprecated:
        yield problems.retired_before_deprecated(retired, deprecated, place.span)


def _tokens(draft: Draft) -> Iterator[Diagnostic]:
    place = _given(draft, "max_output_tokens", "context_window")
    output, context = draft.facts.get("max_output_tokens"), draft.facts.get("context_window")
    if place and output is not None and context is not None and output > context:
        yield problems.output_above_context(draft.name, output, context, place.span)


def _given(draft: Draft, *facts: str) -> Place | None:
    """Return where a document gives one of the facts for this very model; inherited ones are reported at their base."""
    return next((draft.places[fact] for fact in facts if fact in draft.places), None)


def finish(draft: Draft, aliases: Sequence[str], names: Names) -> Model:
    """Return the model; ``aliases`` are its other names, in order."""
    facts, latency = draft.facts, draft.latency
    capabilities = facts.get("capabilities")
    return Model(
        name=draft.name,
        provider=facts.get("provider"),
        family=facts.get("family"),
        aliases=tuple(aliases),
        base=names.find(draft.base.name) if draft.base is not None else None,
        trained_for=draft.trained_for,
        periods=draft.periods,
        context_window=facts.get("context_window"),
        max_output_tokens=facts.get("max_output_tokens"),
        capabilities=None if capabilities is None else frozenset(capabilities),
        latency_p50_ms=float(latency.p50) if latency is not None else None,
        latency_p95_ms=float(latency.p95) if latency is not None and latency.p95 is not None else None,
        quality={task: float(value) for task, value in facts.get("quality", {}).items()},
        regions=facts.get("regions"),
        external=facts.get("external", True),
        deprecated=facts.get("deprecated"),
        retired=facts.get("retired"),
        labels=facts.get("labels", {}),
        other_versions=tuple(facts.get("other_versions", ())),
        price_source=draft.price_source,
    )
