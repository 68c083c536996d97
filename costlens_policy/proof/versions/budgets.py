"""Budgets of two versions: limits by what they come to for each request, all else as it is written."""

from __future__ import annotations

from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Final

from costlens_policy.assurance import Every, Goal, Not, Rule
from costlens_policy.assurance.domain.written import table
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.expressions.tree import Conditional, Index, Literal, Name, Node, Select
from costlens_policy.frozen import frozen
from costlens_policy.proof.conditions import condition_from, double
from costlens_policy.proof.outcomes import ALWAYS, NEVER, every, some
from costlens_policy.proof.versions.contents import BESIDE, content_of, read_by
from costlens_policy.proof.versions.differences import Difference, Direction, Stage, alone, ask, ask_about, order_of
from costlens_policy.proof.versions.pair import Pair, Side
from costlens_policy.units import base_of

__all__ = ["compare_budgets"]

_LIMITS: Final = ("hard_limit_usd", "hard_limit_tokens", "hard_limit_requests", "hard_limit_runs")


def compare_budgets(pair: Pair, stage: Stage) -> None:
    """Compare budgets one by one, by their ids. Their order matters where they add models."""
    old, new = ({rule.id: rule for rule in side.rules["budgets"]} for side in (pair.old, pair.new))
    stage.differences += [_alone(pair, pair.old, old[name], "looser", "is gone") for name in old if name not in new]
    stage.differences += [_alone(pair, pair.new, new[name], "stricter", "is new") for name in new if name not in old]
    order_of(pair, stage, *([rule for rule in rules.values() if _adds_models(rule)] for rules in (old, new)))
    for name in old:
        if name in new:
            _both(pair, stage, old[name], new[name])


def _alone(pair: Pair, side: Side, rule: Rule, direction: Direction, what: str) -> Difference:
    if _step(rule).shadow:
        return alone(pair, side, rule, "other", f"{what}, in shadow")
    return alone(pair, side, rule, direction, what)


def _step(rule: Rule) -> BudgetStep:
    assert isinstance(rule.step, BudgetStep)
    return rule.step


def _adds_models(rule: Rule) -> bool:
    return any(threshold.models for threshold in _step(rule).thresholds)


def _both(pair: Pair, stage: Stage, old: Rule, new: Rule) -> None:
    before, after = (_beside_limits(side, rule) for side, rule in ((pair.old, old), (pair.new, new)))
    differing = [key for key in before if before[key] != after[key]]
    if differing:
        names = ", ".join(f"`{key}`" for key in differing)
        stage.differences.append(Difference("other", f"{names} of `{new.id}` differs"))
    if _step(old).unit == _step(new).unit:
        _compare_limits(pair, stage, old, new)
    ask_about(pair, stage, old, new)


def _beside_limits(side: Side, rule: Rule) -> dict[str, object]:
    """Return all that a budget says but its limit, each key with what its expressions read."""
    content = content_of(side, rule)
    found = {key: content[key] is not None for key in _LIMITS}
    return found | {key: content_of(side, rule, (key,)) for key in content if key not in (*_LIMITS, *BESIDE)}


# Limits


def _compare_limits(pair: Pair, stage: Stage, old: Rule, new: Rule) -> None:
    one, other = _Limit(pair.old, old), _Limit(pair.new, new)
    if one.content == other.content:
        return
    for direction, word, low, high in (("stricter", "lower", other, one), ("looser", "higher", one, other)):
        exceeds = _exceeds(high, low)
        goal = None if exceeds is None else every([exceeds, low.works, high.works])
        _ask(pair, stage, direction, f"`{one.key}` of `{new.id}` is {word}", goal)  # type: ignore[arg-type]
    for direction, word, fine, failing in (("stricter", "new", one, other), ("looser", "old", other, one)):
        what = f"`{one.key}` of `{new.id}` fails in the {word} version only"
        _ask(pair, stage, direction, what, every([fine.works, _not(failing.works)]))  # type: ignore[arg-type]


def _not(goal: Goal) -> Goal:
    return NEVER if isinstance(goal, Every) and not goal.operands else Not(goal)


def _ask(pair: Pair, stage: Stage, direction: Direction, what: str, goal: Goal | None) -> None:
    if goal is None:
        stage.unknown.append(f"{what}: the limits are worked out from different variables or tables")
    elif isinstance(goal, Every) and not goal.operands:  # whatever is asked
        stage.differences.append(Difference(direction, what))
    elif goal is not NEVER:
        ask(pair, stage, direction, what, goal)


@frozen(eq=False)
class _Limit:
    """The limit of a budget in one version: a number, or what an expression gives for each request."""

    side: Side
    rule: Rule

    @property
    def key(self) -> str:
        return f"hard_limit_{base_of(_step(self.rule).unit)}"

    @property
    def content(self) -> object:
        return content_of(self.side, self.rule, (self.key,))

    @property
    def formula(self) -> Formula | None:
        limit = _step(self.rule).limit
        return limit if isinstance(limit, Formula) else None

    @property
    def works(self) -> Goal:
        """That it gives a number from zero on; where it does not, the request is refused."""
        if self.formula is None:
            return ALWAYS
        return self.written(f"({self.formula.source}) >= 0.0")

    @property
    def values(self) -> frozenset[Decimal] | None:
        """All numbers that it may be, where these are written out."""
        limit = _step(self.rule).limit
        if isinstance(limit, Decimal):
            return frozenset([limit])
        return _numbers(self.side, self.rule.layer, limit, limit.typed.root)

    def compared(self, test: str, amount: Decimal) -> Goal:
        """Return that it stands in a relation to a number."""
        limit = _step(self.rule).limit
        if isinstance(limit, Decimal):
            return ALWAYS if _TESTS[test](limit, amount) else NEVER
        return self.written(f"({limit.source}) {test} {double(amount)}")

    def written(self, text: str) -> Goal:
        assert self.formula is not None
        return condition_from(self.side, self.formula, text, self.rule.layer)


_TESTS: Final = {"<": lt, "<=": le, ">": gt, ">=": ge}


def _exceeds(one: _Limit, other: _Limit) -> Goal | None:
    """Return that one limit is above the other, where neither fails; None where that cannot be asked."""
    if (values := other.values) is not None:
        return some(every([other.compared("<=", value), one.compared(">", value)]) for value in values)
    if (values := one.values) is not None:
        return some(every([one.compared(">=", value), other.compared("<", value)]) for value in values)
    assert one.formula is not None
    assert other.formula is not None
    reads = [read_by(limit.side, limit.rule, (limit.key,)) for limit in (one, other)]
    if reads[0] != reads[1]:
        return None
    return one.written(f"({one.formula.source}) > ({other.formula.source})")


def _numbers(side: Side, layer: int, formula: Formula, node: Node) -> frozenset[Decimal] | None:
    """Return the numbers that an expression may give, where all of them are written out."""
    if isinstance(node, Literal) and type(node.value) in (int, float):
        return frozenset([Decimal(repr(node.value))])
    if isinstance(node, Conditional):
        found = [_numbers(side, layer, formula, part) for part in (node.accepted, node.rejected)]
        return None if found[0] is None or found[1] is None else found[0] | found[1]
    if isinstance(node, Index) and (known := table(formula.typed, node.operand)) is not None:
        values = list(known.values())
        return frozenset(Decimal(repr(v)) for v in values) if {*map(type, values)} <= {int, float} else None
    if isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "variables":
        own = side.plan.layers[layer].variables if layer < len(side.plan.layers) else {}
        variable = own.get(node.field) or side.plan.variables.get(node.field)
        return None if variable is None else _numbers(side, layer, variable, variable.typed.root)
    return None
