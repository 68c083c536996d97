"""One policy of the set becomes one layer of the plan."""

from __future__ import annotations

from datetime import UTC, timedelta
from decimal import Decimal
from typing import cast

from costlens_policy.carry_over import CarryOver
from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.overflows import overflow_of
from costlens_policy.checker.reserved import reserved_from
from costlens_policy.compiler.formulas import Formulas
from costlens_policy.compiler.operations import compile_operations, read_model
from costlens_policy.compiler.plan import Layer
from costlens_policy.compiler.routes import canonical, compile_route
from costlens_policy.compiler.rules import AccessStep, BudgetStep, QuantileStep, RewriteRule, RouteStep, ThresholdStep
from costlens_policy.compiler.thresholds import USUAL_ELAPSED, BurnRate, Forecast, NeedsApproval
from costlens_policy.documents.budget import Budget, Downgrade, Threshold
from costlens_policy.documents.policy import PolicyDocument
from costlens_policy.documents.rewrites import Operation
from costlens_policy.rewrites import RewriteStep
from costlens_policy.source.located import Path
from costlens_policy.tokens import Tokenizer
from costlens_policy.units import base_of

__all__ = ["compile_layer"]


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
                canonical(rule.only_models, self._catalogue),
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
                    values_read_model=read_model(self._formulas, (*at, "apply")),
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
            carry_over=_carry_over(budget),
            approver_above=budget.approver_above,
            thresholds=(*_soft(budget), *sorted(thresholds, key=_place)),
            shadow=budget.shadow,
            reason=budget.reason,
            overflow=overflow_of(self._policy, budget) or "",
            reserved_from=reserved_from(self._policy, budget) or "",
            reserved_for=timedelta(0) if budget.reserved_from is None else budget.longest_idle,
            hold=None if budget.hold == "worst_case" else QuantileStep(budget.hold.quantile, budget.hold.cases),
        )

    def _threshold(self, threshold: Threshold, at: Path) -> ThresholdStep:
        downgrade = threshold.downgrade or Downgrade()
        return ThresholdStep(
            at_ratio=threshold.at_ratio,
            at_amount=threshold.amount,
            alert=threshold.alert,
            steps=self._steps(threshold.rewrite, (*at, "rewrite")),
            excludes=threshold.downgrade is not None,
            exclude=self._formulas.optional((*at, "downgrade", "exclude")),
            models=canonical(downgrade.models, self._catalogue),
            name=threshold.name,
            expects=_expected(threshold) if threshold.looks_ahead else None,
            approval=_approval(threshold),
        )

    def _steps(self, operations: tuple[Operation, ...], at: Path) -> tuple[RewriteStep, ...]:
        return compile_operations(operations, at, self._formulas, self._tokenizer, self._index)


def _carry_over(budget: Budget) -> CarryOver | None:
    written = budget.carry_over
    if written is None:
        return None
    most = cast("Decimal | int | None", getattr(written, f"max_{base_of(budget.unit)}"))
    since = None if written.since is None else written.since.astimezone(UTC)
    return CarryOver(written.share, None if most is None else Decimal(most), written.periods, since)


def _soft(budget: Budget) -> tuple[ThresholdStep, ...]:
    """Return the soft limit as the threshold that it is: an alert at an amount."""
    soft = cast("Decimal | int | None", getattr(budget, f"soft_limit_{base_of(budget.unit)}"))
    if soft is None:
        return ()
    name = f"{Decimal(soft):f}"
    return (ThresholdStep(None, Decimal(soft), "the soft limit is reached", (), False, None, (), name),)


def _place(threshold: ThresholdStep) -> tuple[bool, bool, Decimal]:
    """Return where a threshold acts: ratios from the lowest to the highest, then amounts, then forecasts as written."""
    if threshold.expects is not None:
        return True, True, Decimal(0)
    return False, threshold.at_amount is not None, threshold.starts_at(Decimal(1))


def _approval(threshold: Threshold) -> NeedsApproval | None:
    needs = threshold.needs_approval
    return None if needs is None else NeedsApproval(needs.reason, needs.longest_wait, needs.approvers)


def _expected(threshold: Threshold) -> Forecast | BurnRate:
    burn = threshold.at_burn_rate
    if burn is not None:
        return BurnRate(burn.rate, burn.windows)
    return Forecast(
        threshold.at_projected_ratio,
        threshold.exhausted_in,
        USUAL_ELAPSED if threshold.min_elapsed is None else threshold.min_elapsed,
    )
