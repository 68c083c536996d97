"""The targets of a route as they are written: shares, ways out and models, each with its place in the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from costlens_policy.checker.checks.subject import Place
from costlens_policy.compiler.rules import ByChoice, ByExpression, ByName, BySplit, RouteStep
from costlens_policy.diagnostics.model import Span
from costlens_policy.frozen import frozen

__all__ = ["WrittenTarget", "targets_of"]

_NAMED = (("model",), ("models",), ("choose", "models"), ("fallbacks",))
"""Where a target names models: one, or a list."""


@frozen
class WrittenTarget:
    """A target of a route. ``places`` are its own, then those of the targets around it, whose fallbacks follow."""

    step: RouteStep
    places: tuple[Place, ...]

    def models(self, in_all: int) -> Iterator[tuple[str, str]]:
        """Yield the models that are named, each as a candidate, a choice or a fallback.

        A choice among all models of the catalogue, of which there are ``in_all``, names none.
        """
        match self.step.target:
            case ByName(models):
                yield from zip(("candidate", *("fallback",) * (len(models) - 1)), models, strict=True)
            case ByChoice(models=models, fallbacks=fallbacks):
                yield from (("choice", name) for name in models if len(models) < in_all)
                yield from (("fallback", name) for name in fallbacks)
            case ByExpression(fallbacks=fallbacks):
                yield from (("fallback", name) for name in fallbacks)

    def shares(self) -> Iterator[tuple[RouteStep, Span]]:
        if isinstance(self.step.target, BySplit):
            for index, share in enumerate(self.step.target.shares):
                yield share, self.places[0].at("split", "targets", index).key_span

    def span_of(self, model: str, canonical: Callable[[str], str]) -> Span | None:
        """Return where a model is named, by whatever name; None where the text does not."""
        for place in self.places:
            for keys in _NAMED:
                named = place.at(*keys)
                for item in _items(named):
                    value = item.document.located.root.find(item.path)
                    if value is not None and isinstance(value.content, str) and canonical(value.content) == model:
                        return value.span
        return None


def _items(place: Place) -> Sequence[Place]:
    """Return the places of the items of a list, or the place itself where it holds one value."""
    value = place.document.located.root.find(place.path)
    if value is None or value.kind != "sequence":
        return [place]
    return [place.at(index) for index, _ in enumerate(value.items())]


def targets_of(route: RouteStep, place: Place, around: tuple[Place, ...] = ()) -> Iterator[WrittenTarget]:
    """Yield the targets that are written: that of a route, of its shares, and of ways out that have their own."""
    here = (place, *around)
    yield WrittenTarget(route, here)
    if isinstance(route.target, BySplit):
        for index, share in enumerate(route.target.shares):
            yield from targets_of(share, place.at("split", "targets", index), here)
    way = route.on_none
    if way is not None and way.route is not None and way.way == "target":
        yield from targets_of(way.route, place.at("choose", "on_none"))
