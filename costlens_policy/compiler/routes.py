"""A route with its target, and all that the target may become: shares of splits, ways out of choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.formulas import Formulas
from costlens_policy.compiler.operations import compile_operations, read_model
from costlens_policy.compiler.rules import (
    ByChoice,
    ByExpression,
    ByName,
    BySplit,
    ChoiceLimits,
    OnNone,
    RewriteRule,
    RouteStep,
    TargetStep,
)
from costlens_policy.documents.policy import Choice, Route, Split, Target
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path
from costlens_policy.tokens import Tokenizer

__all__ = ["canonical", "compile_route"]


def canonical(names: tuple[str, ...], catalogue: Catalogue) -> tuple[str, ...]:
    """Return the catalogue's own names; one that it does not know stays (the policy set may admit unknown models)."""
    known = ((name, catalogue.find(name)) for name in names)
    return tuple(name if model is None else model.name for name, model in known)


def compile_route(
    target: Target, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue, tokenizer: Tokenizer, layer: int
) -> RouteStep:
    """Return the route, or the default target, that stands at a path of the document of a layer."""
    reason = target.reason if isinstance(target, Route) else ""
    compiler = _RouteCompiler(rule, reason, layer, formulas, catalogue, tokenizer)
    step = compiler.step(target, at, _Around(rule, rule))
    return replace(step, when=formulas.optional((*at, "when")))


@frozen
class _Around:
    """What a target has from the route, splits and choices around it.

    ``place`` leads there from the id of the route, and ``salt`` is that of a split there, unless it has its own. The
    rest is as in ``RouteStep``; ``fallbacks`` are those of the splits, which follow those of the target.
    """

    place: str
    salt: str
    fallbacks: tuple[str, ...] = ()
    waived: frozenset[str] = frozenset()
    rewrite: RewriteRule | None = None
    shares: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    by_call: bool = False


class _RouteCompiler:
    def __init__(
        self, rule: str, reason: str, layer: int, formulas: Formulas, catalogue: Catalogue, tokenizer: Tokenizer
    ) -> None:
        self._rule = rule
        self._reason = reason
        self._layer = layer
        self._formulas = formulas
        self._catalogue = catalogue
        self._tokenizer = tokenizer

    def step(self, target: Target, at: Path, around: _Around) -> RouteStep:
        """Return the route with the target at a path."""
        around = replace(
            around,
            fallbacks=(*self._names(target.fallbacks), *around.fallbacks),
            waived=around.waived | set(target.waive_terms_for),
            rewrite=self._rewrite(target, (*at, "apply"), around.rewrite),
        )
        return self._route(self._target(target, at, around), around)

    def _route(self, target: TargetStep, around: _Around) -> RouteStep:
        return RouteStep(
            self._rule,
            None,
            target,
            self._reason,
            self._layer,
            around.rewrite,
            binds_fallbacks="fallbacks" not in around.waived,
            binds_downgrades="downgrades" not in around.waived,
            place=around.place,
            shares=around.shares,
            beside=around.beside,
            by_call=around.by_call,
        )

    def _rewrite(self, target: Target, at: Path, around: RewriteRule | None) -> RewriteRule | None:
        """Return what is applied to calls that go this way: first what the targets around this one apply."""
        if not target.apply:
            return around
        steps = compile_operations(target.apply, at, self._formulas, self._tokenizer, self._layer)
        reads_model = read_model(self._formulas, at)
        if around is not None:
            steps, reads_model = (*around.steps, *steps), around.values_read_model or reads_model
        return RewriteRule(self._rule, None, steps, None, False, reads_model, "")

    def _names(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return canonical(names, self._catalogue)

    def _target(self, target: Target, at: Path, around: _Around) -> TargetStep:
        if target.choose is not None:
            return self._choice(target.choose, (*at, "choose"), around)
        if target.split is not None:
            return self._split(target.split, (*at, "split"), around)
        if target.model_from is not None:
            return ByExpression(self._formulas.needed((*at, "model_from")), around.fallbacks)
        named = target.models if target.model is None else (target.model,)
        return ByName(tuple(dict.fromkeys((*self._names(named), *around.fallbacks))))

    def _split(self, split: Split, at: Path, around: _Around) -> BySplit:
        salt = split.salt or around.salt
        if split.salt and around.place != self._rule:  # the one around it may have the same
            salt = f"{around.salt}/{split.salt}"
        return BySplit(
            key=self._formulas.optional((*at, "key")),
            salt=salt,
            bounds=tuple(accumulate(share.weight for share in split.targets)),
            shares=tuple(
                self.step(share, (*at, "targets", index), self._share(split, index, salt, around))
                for index, share in enumerate(split.targets)
            ),
        )

    def _share(self, split: Split, index: int, salt: str, around: _Around) -> _Around:
        """Return what is around a share. A split inside it has another salt than this one, or it would draw alike."""
        label = split.targets[index].name_at(index)
        others = (name for at, share in enumerate(split.targets) if at != index for name in _named(share))
        return replace(
            around,
            place=f"{around.place}/{label}",
            salt=f"{salt}/{label}",
            shares=(*around.shares, label),
            beside=tuple(dict.fromkeys((*around.beside, *self._names(tuple(others))))),
            by_call=around.by_call or split.key is None,
        )

    def _choice(self, choice: Choice, at: Path, around: _Around) -> ByChoice:
        made = ByChoice(
            models=tuple(sorted(dict.fromkeys(self._names(choice.models) or tuple(self._catalogue.models)))),
            among=self._formulas.optional((*at, "among")),
            score=self._formulas.needed((*at, "minimize" if choice.maximize is None else "maximize")),
            descending=choice.maximize is not None,
            limits=_limits(choice),
            fallbacks=around.fallbacks,
        )
        return replace(made, on_none=self._on_none(choice, made, at, around))

    def _on_none(self, choice: Choice, made: ByChoice, at: Path, around: _Around) -> OnNone | None:
        """Return the way out of a choice. The terms that it puts aside do not bind what is added later, either."""
        place = replace(around, place=f"{around.place}/on_none", salt=f"{around.salt}/on_none")
        if isinstance(choice.on_none, Target):
            alone = replace(place, fallbacks=(), beside=())
            return OnNone("target", self.step(choice.on_none, (*at, "on_none"), alone))
        if choice.on_none == "refuse":
            return None
        if choice.on_none == "next":
            return OnNone("next", None)
        open_to_all = replace(made, limits=_limits(choice.without_bounds()))
        if choice.on_none == "cheapest":
            open_to_all = replace(open_to_all, score=None, descending=False)
        return OnNone(choice.on_none, self._route(open_to_all, place))


def _named(target: Target) -> Iterator[str]:
    """Yield the models that a target names without terms, at any depth: none of a choice, whose fallbacks have some."""
    yield from (target.models if target.model is None else (target.model,))
    if target.choose is None:
        yield from target.fallbacks
    if target.split is not None:
        for share in target.split.targets:
            yield from _named(share)


def _limits(choice: Choice) -> ChoiceLimits:
    limits = choice.limits
    return ChoiceLimits(
        max_cost_usd=limits.max_cost_usd,
        max_latency_ms=None if limits.max_latency_ms is None else float(limits.max_latency_ms),
        min_quality=None if limits.min_quality is None else float(limits.min_quality),
        requires=frozenset(limits.requires),
        within=None if choice.within is None else float(choice.within.quality),
        quality="quality" if choice.quality == "value" else "quality_low",
    )
