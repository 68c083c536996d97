"""One policy of the set becomes one layer of the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import accumulate
from typing import cast

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.reads import expressions_of
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Layer
from costlens_policy.compiler.rules import (
    AccessStep,
    BudgetStep,
    ByChoice,
    ByExpression,
    ByName,
    BySplit,
    ChoiceLimits,
    RewriteRule,
    RouteStep,
    TargetStep,
    ThresholdStep,
)
from costlens_policy.documents import Document
from costlens_policy.documents.policy import Budget, Choice, Downgrade, PolicyDocument, Route, Split, Target, Threshold
from costlens_policy.documents.rewrites import Operation
from costlens_policy.expressions import TypedExpr, Value
from costlens_policy.expressions.limits import RunLimits
from costlens_policy.frozen import frozen
from costlens_policy.rewrites import RewriteStep, compile_operation
from costlens_policy.source.located import LocatedDocument, Path
from costlens_policy.tokens import Tokenizer
from costlens_policy.units import base_of

__all__ = ["Formulas", "compile_layer", "compile_route"]


def compile_layer(
    index: int, policy: PolicyDocument, formulas: Formulas, catalogue: Catalogue, tokenizer: Tokenizer
) -> Layer:
    """Return the layer of a checked policy; ``index`` is its place in the set. Rewrites count with ``tokenizer``."""
    layer = _LayerCompiler(index, policy, formulas, catalogue, tokenizer)
    return Layer(
        name=policy.metadata.name,
        version=policy.metadata.version,
        on_error=policy.on_error or "deny",
        variables={name: formulas.needed(("variables", name)) for name in policy.variables},
        access=layer.access(),
        routes=layer.routes(),
        rewrites=layer.rewrites(),
        budgets=layer.budgets(),
    )


class _LayerCompiler:
    def __init__(
        self, index: int, policy: PolicyDocument, formulas: Formulas, catalogue: Catalogue, tokenizer: Tokenizer
    ) -> None:
        self._index = index
        self._policy = policy
        self._formulas = formulas
        self._catalogue = catalogue
        self._tokenizer = tokenizer

    def _id(self, rule: str) -> str:
        return f"{self._policy.metadata.name}/{rule}"

    def access(self) -> tuple[AccessStep, ...]:
        return tuple(
            AccessStep(
                self._id(rule.id),
                self._formulas.optional(("access", index, "when")),
                rule.effect != "allow",
                rule.reason,
                self._formulas.optional(("access", index, "only")),
                _canonical(rule.only_models, self._catalogue),
            )
            for index, rule in enumerate(self._policy.access)
        )

    def routes(self) -> tuple[RouteStep, ...]:
        parts = (self._formulas, self._catalogue, self._tokenizer, self._index)
        return tuple(
            compile_route(route, self._id(route.id), ("routes", index), *parts)
            for index, route in enumerate(self._policy.routes)
        )

    def rewrites(self) -> tuple[RewriteRule, ...]:
        rules = []
        for index, rewrite in enumerate(self._policy.rewrites):
            at: Path = ("rewrites", index)
            when = self._formulas.optional((*at, "when"))
            rules.append(
                RewriteRule(
                    id=self._id(rewrite.id),
                    when=when,
                    steps=self._steps(rewrite.apply, (*at, "apply")),
                    merge=rewrite.merge,
                    reads_model=when is not None and when.reads("model"),
                    values_read_model=_read_model(self._formulas, (*at, "apply")),
                    reason=rewrite.reason,
                )
            )
        return tuple(rules)

    def budgets(self) -> tuple[BudgetStep, ...]:
        return tuple(self._budget(budget, ("budgets", index)) for index, budget in enumerate(self._policy.budgets))

    def _budget(self, budget: Budget, at: Path) -> BudgetStep:
        key = f"hard_limit_{base_of(budget.unit)}"
        constant = getattr(budget, key)
        limit = self._formulas.needed((*at, key)) if isinstance(constant, str) else Decimal(constant)
        thresholds = [
            self._threshold(threshold, (*at, "thresholds", index)) for index, threshold in enumerate(budget.thresholds)
        ]
        return BudgetStep(
            id=self._id(budget.id),
            when=self._formulas.optional((*at, "when")),
            scope=self._formulas.optional((*at, "scope")),
            unit=budget.unit,
            limit=limit,
            terms=budget.window.model_dump(),
            thresholds=(*_soft(budget), *sorted(thresholds, key=lambda threshold: threshold.starts_at(Decimal(1)))),
            shadow=budget.shadow,
            reason=budget.reason,
        )

    def _threshold(self, threshold: Threshold, at: Path) -> ThresholdStep:
        downgrade = threshold.downgrade or Downgrade()
        return ThresholdStep(
            at_ratio=threshold.at_ratio,
            at_amount=None,
            alert=threshold.alert,
            steps=self._steps(threshold.rewrite, (*at, "rewrite")),
            excludes=threshold.downgrade is not None,
            exclude=self._formulas.optional((*at, "downgrade", "exclude")),
            models=_canonical(downgrade.models, self._catalogue),
        )

    def _steps(self, operations: tuple[Operation, ...], at: Path) -> tuple[RewriteStep, ...]:
        return tuple(_compiled(operations, at, self._formulas, self._tokenizer, self._index))


def _soft(budget: Budget) -> tuple[ThresholdStep, ...]:
    """Return the soft limit as the threshold that it is: an alert at an amount."""
    soft = cast("Decimal | int | None", getattr(budget, f"soft_limit_{base_of(budget.unit)}"))
    if soft is None:
        return ()
    return (ThresholdStep(None, Decimal(soft), "the soft limit is reached", (), False, None, ()),)


@frozen
class _InLayer:
    """An expression that is given the variables of all layers and reads those of its own."""

    formula: Formula
    layer: int

    def __call__(self, request: Value, variables: Sequence[Value], *others: Value) -> Value:
        return self.formula.evaluate(request, variables[self.layer], *others)


def _compiled(
    operations: tuple[Operation, ...], at: Path, formulas: Formulas, tokenizer: Tokenizer, layer: int
) -> Iterator[RewriteStep]:
    """Yield the operations that stand at a path as steps, whose expressions read the variables of a layer."""
    for index, operation in enumerate(operations):
        inside = formulas.below((*at, index))
        values = {str(path[-1]): _InLayer(formula, layer) for path, formula in inside.items()}
        yield compile_operation(operation, values, tokenizer)


def _read_model(formulas: Formulas, at: Path) -> bool:
    return any(value.reads("model") for value in formulas.below(at).values())


def compile_route(
    target: Target, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue, tokenizer: Tokenizer, layer: int
) -> RouteStep:
    """Return the route, or the default target, that stands at a path of the document of a layer."""
    return RouteStep(
        rule,
        formulas.optional((*at, "when")),
        _target(target, rule, at, formulas, catalogue),
        target.reason if isinstance(target, Route) else "",
        layer,
        _own_rewrite(target.apply, rule, (*at, "apply"), formulas, tokenizer, layer) if target.apply else None,
        binds_fallbacks="fallbacks" not in target.waive_terms_for,
        binds_downgrades="downgrades" not in target.waive_terms_for,
    )


def _own_rewrite(
    operations: tuple[Operation, ...], rule: str, at: Path, formulas: Formulas, tokenizer: Tokenizer, layer: int
) -> RewriteRule:
    steps = tuple(_compiled(operations, at, formulas, tokenizer, layer))
    return RewriteRule(rule, None, steps, None, False, _read_model(formulas, at), "")


def _target(target: Target, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue) -> TargetStep:
    fallbacks = _canonical(target.fallbacks, catalogue)
    if target.choose is not None:
        return _choice(target.choose, (*at, "choose"), formulas, catalogue, fallbacks)
    if target.split is not None:
        return _split(target.split, rule, (*at, "split"), formulas, catalogue, fallbacks)
    if target.model_from is not None:
        return ByExpression(formulas.needed((*at, "model_from")), fallbacks)
    named = target.models if target.model is None else (target.model,)
    return ByName(tuple(dict.fromkeys((*_canonical(named, catalogue), *fallbacks))))


def _canonical(names: tuple[str, ...], catalogue: Catalogue) -> tuple[str, ...]:
    """Return the catalogue's own names; one that it does not know stays (the policy set may admit unknown models)."""
    known = ((name, catalogue.find(name)) for name in names)
    return tuple(name if model is None else model.name for name, model in known)


def _split(
    split: Split, rule: str, at: Path, formulas: Formulas, catalogue: Catalogue, fallbacks: tuple[str, ...]
) -> BySplit:
    return BySplit(
        key=formulas.needed((*at, "key")),
        salt=split.salt or rule,
        models=_canonical(tuple(share.model for share in split.targets), catalogue),
        bounds=tuple(accumulate(share.weight for share in split.targets)),
        fallbacks=fallbacks,
    )


def _choice(choice: Choice, at: Path, formulas: Formulas, catalogue: Catalogue, fallbacks: tuple[str, ...]) -> ByChoice:
    among = formulas.optional((*at, "among"))
    names = _canonical(choice.models, catalogue) or tuple(catalogue.models)
    limits = choice.limits
    return ByChoice(
        models=tuple(sorted(dict.fromkeys(names))),
        among=among,
        score=formulas.needed((*at, "minimize" if choice.maximize is None else "maximize")),
        descending=choice.maximize is not None,
        limits=ChoiceLimits(
            max_cost_usd=limits.max_cost_usd,
            max_latency_ms=None if limits.max_latency_ms is None else float(limits.max_latency_ms),
            min_quality=None if limits.min_quality is None else float(limits.min_quality),
            requires=frozenset(limits.requires),
        ),
        fallbacks=fallbacks,
    )


class Formulas:
    """Made on demand; two steps that share a place share the formula."""

    __slots__ = ("_inside", "_limits", "_located", "_made", "_results", "_typed")

    def __init__(
        self, located: LocatedDocument, document: Document, typed: Mapping[Path, TypedExpr], limits: RunLimits
    ) -> None:
        self._located = located
        self._limits = limits
        self._typed = typed
        self._results = {field.path: field.rule.result for field in expressions_of(document)}
        self._made: dict[Path, Formula] = {}
        self._inside: dict[Path, list[Path]] | None = None

    def optional(self, at: Path) -> Formula | None:
        """Return the expression at a path, or None where the document has none."""
        typed = self._typed.get(at)
        if typed is None:
            return None
        if at not in self._made:
            span = self._located.root.span_of(at)
            self._made[at] = Formula(typed.source, span, typed, self._results[at], self._limits)
        return self._made[at]

    def needed(self, at: Path) -> Formula:
        """Return the expression at a path that the checker has made sure of."""
        formula = self.optional(at)
        assert formula is not None, f"the checker typed nothing at {at}"
        return formula

    def below(self, at: Path) -> dict[Path, Formula]:
        """Return all expressions inside the section at a path, by their own paths."""
        if self._inside is None:
            self._inside = {}
            for path in self._typed:
                for length in range(len(path)):
                    self._inside.setdefault(path[:length], []).append(path)
        return {path: self.needed(path) for path in self._inside.get(at, ())}
