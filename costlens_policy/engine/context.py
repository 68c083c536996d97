"""One decision under way: its inputs, the values that rules share, and the failures met so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Context as DecimalContext
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.attributes import ASKED_MODEL, SIGNALS
from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import BudgetStep, key_problem
from costlens_policy.engine.facts import Balance, Failure
from costlens_policy.engine.when_read import WhenRead
from costlens_policy.errors import RequestError
from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError, from_python
from costlens_policy.money import ZERO, total
from costlens_policy.quantiles import Measured, Measures, band_of
from costlens_policy.rewrites.steps import RewriteStep

if TYPE_CHECKING:
    from costlens_policy.engine.signals import SignalValues
    from costlens_policy.periods import Period

__all__ = ["Balances", "Context", "Refusal", "period_of", "task_of"]

Balances = Mapping[tuple[str, str], Balance]
"""Balances by budget (``policy/budget``) and scope key. What is not listed is zero."""

_NOTHING: Final[Mapping[str, Value]] = {}
_NO_MEASURES: Final[Measures] = {}
_ZERO: Final = Balance()
_FOR_DOUBLES: Final = DecimalContext(prec=40)
"""Precise enough for what becomes a double, and the same whatever the caller's own decimal context is."""


class Refusal(Exception):  # noqa: N818 - control flow inside one decision, never raised to a caller
    """A rule refused the request; nothing further is asked. ``rule`` is empty where it is the deciding route."""

    def __init__(self, rule: str, reason: str) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason


class Context:
    """What every step reads. ``models`` are those of the day of ``now``.

    ``view`` is the request as expressions see it. ``instant`` is ``now`` as they see it, None where none reads it.
    ``counted`` is what ``verified`` counted; ``measures`` is what is known of calls, ``measured`` what was looked at
    of that. ``signals`` are None where no expression reads any, ``task`` until somebody asked for it.
    """

    __slots__ = (
        "balances", "budgets", "counted", "failures", "instant", "measured", "measures", "models", "now", "plan",
        "read", "request", "signals", "task", "variables", "view",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        request: dict[str, Value],
        balances: Balances,
        now: datetime,
        counted: tuple[int, str] | None = None,
        measures: Measures = _NO_MEASURES,
    ) -> None:
        self.plan = plan
        self.request = request
        self.balances = balances
        self.now = now
        self.counted = counted
        self.models: Mapping[str, PricedModel] = plan.snapshots.on(now.date())
        self.view: Mapping[str, Value] = request
        self.instant: Value = None
        self.variables: tuple[Mapping[str, Value], ...] = plan.stages.no_variables
        self.budgets: Mapping[str, Value] = _NOTHING
        self.signals: SignalValues | None = None
        self.task: str | None = None
        self.failures: dict[Failure, None] = {}
        self.read: dict[tuple[str, str], Balance] = {}
        self.measures = measures
        self.measured: dict[tuple[str, str, str, int], Measured] = {}
        if plan.reads_more:
            self._open()

    def __reduce__(self) -> tuple[object, ...]:
        """Travel as what was decided on, and what was noted: only a context that is closed is ever kept."""
        kept = self.plan, self.request, self.read, self.now, self.counted, tuple(self.failures), self.measured
        return _closed, kept

    def _open(self) -> None:
        """Provide what expressions read beside the request."""
        plan = self.plan
        if plan.reads_asked_model:
            self.view = self._with_asked_model(self.request)
        if plan.reads_signals:
            self.signals = self._signals()
            self.view = {**self.view, SIGNALS: self.signals}
        if plan.reads_now:
            self.instant = from_python(self.now)
        if plan.stages.has_variables:
            self.variables = self._variables()
        if plan.reads_budgets:
            self.budgets = _BudgetStates(self)

    def close(self) -> None:
        """Let go of what only deciding needs: it refers back to this context, and would wait for the collector.

        What signals came to is kept as a part of the request, so that the same is decided on it again.
        """
        if self.signals is not None:
            if known := self.signals.known():
                self.request[SIGNALS] = known
            self.view = {**self.view, SIGNALS: {name: value for name, value in known.items() if value is not None}}
            self.signals = None
        self.variables = ()
        self.budgets = _NOTHING

    def _variables(self) -> tuple[Mapping[str, Value], ...]:
        """Return what each layer reads as ``variables``, and after the last what the default route does."""
        plan = self.plan
        shared = _Variables(self, plan.variables, _NOTHING) if plan.variables else _NOTHING
        layers = (_Variables(self, layer.variables, shared) if layer.variables else shared for layer in plan.layers)
        return (*layers, shared)

    def _with_asked_model(self, request: Mapping[str, Value]) -> Mapping[str, Value]:
        """Put the model that is asked for, by whatever spelling, beside it; nothing where it means none, or two."""
        name = request.get("model")
        model = None if name is None else self.plan.catalogue.find(name)
        return request if model is None else {**request, ASKED_MODEL: self.priced_model(model.name).view}

    def _signals(self) -> SignalValues:
        from costlens_policy.engine.signals import SignalValues  # most plans have none

        return SignalValues(self.plan.signals, self.request, self._signal_failed)

    def _signal_failed(self, name: str, problem: str) -> None:
        self.add(Failure(f"signals.{name}", "request", "CL933", problem, None))

    def priced_model(self, name: str) -> PricedModel:
        """Return a model on the day of ``now``, also one that the catalogue does not list."""
        return self.models.get(name) or self.plan.snapshots.of(Model(name), self.now.date())

    def evaluate(
        self, formula: Formula, layer: int, model: Mapping[str, Value] | None = None, estimate: Value = None
    ) -> Value:
        """Return the value of an expression of a layer. Raises ``CelError``."""
        return formula.evaluate(self.view, self.variables[layer], self.budgets, model, estimate, self.instant)

    def roots(self, model: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return the values of ``ROOTS`` for the templates of all layers, which pick the variables of their own."""
        return (self.view, self.variables, self.budgets, model, None, self.instant)

    def holds(
        self,
        formula: Formula | None,
        layer: int,
        rule: str,
        stage: str,
        model: Mapping[str, Value] | None = None,
        steps: Sequence[RewriteStep] = (),
    ) -> bool:
        """Say whether a condition holds; absent means always.

        A condition that fails is noted. Then the rule is skipped, or the request refused, as the policy says; one whose
        ``steps`` protect something is never skipped.
        """
        if formula is None:
            return True
        try:
            return bool(formula.evaluate(self.view, self.variables[layer], self.budgets, model, None, self.instant))
        except CelError as error:
            self.fail(formula, layer, rule, stage, error, steps)
            return False

    def fail(
        self,
        formula: Formula,
        layer: int,
        rule: str,
        stage: str,
        error: CelError,
        steps: Sequence[RewriteStep] = (),
    ) -> None:
        """Note a failed expression; raise ``Refusal`` unless the policy says to skip the rule, and that may be."""
        self.note(formula, rule, stage, error)
        if self.plan.layers[layer].on_error == "deny" or any(step.refuses for step in steps):
            raise Refusal(rule, f"{stage}: `{rule}` failed: {error}")

    def note(self, formula: Formula, rule: str, stage: str, error: CelError) -> None:
        """Note a failed expression whose consequence the step itself draws, at the place of a variable at fault."""
        place = error.origin if isinstance(error.origin, Formula) else formula
        self.add(Failure(rule, stage, error.code, str(error), place.span))

    def add(self, failure: Failure) -> None:
        """Note a failure once, however many candidates meet it."""
        self.failures[failure] = None

    def balance(self, step: BudgetStep, key: str) -> Balance:
        """Return the state of a budget and scope key, and remember that the decision saw it."""
        if step.per_call:
            return _ZERO
        place = (step.id, key)
        balance = self.read[place] = self.balances.get(place, _ZERO)
        return balance

    def known_of(self, step: BudgetStep, model: str, task: str, output_tokens: int) -> Measured | None:
        """Return what is known of such calls on a budget, and remember that the decision saw it."""
        kind = (step.id, model, task, band_of(output_tokens))  # as good as a ``CallKind``, and quicker
        known: Measured | None = self.measures.get(kind)  # type: ignore[call-overload]
        if known is not None:
            self.measured[kind] = known
        return known

    def key(self, step: BudgetStep, layer: int, model: Mapping[str, Value] | None = None) -> str:
        """Return whose share of a budget the request counts against.

        Raises ``CelError``, and ``RequestError`` for a key that no ledger could keep.
        """
        if step.scope is None:
            return ""
        scope = step.scope.evaluate(self.view, self.variables[layer], self.budgets, model, None, self.instant)
        key = scope if type(scope) is str else str(scope)
        problem = key_problem(key)
        if problem is not None:
            raise RequestError((f"the scope key of budget `{step.id}` {problem}",))
        return key

    def limit(self, step: BudgetStep, layer: int) -> Decimal:
        """Return the budget's limit in its unit.

        Raises ``CelError``, also for a limit that is not a number from zero on.
        """
        if isinstance(step.limit, Decimal):
            return step.limit
        return _amount(self.evaluate(step.limit, layer))


@lru_cache(1024, typed=True)
def _amount(value: Value) -> Decimal:
    """Return a limit that an expression gave. Most give one of a few."""
    amount = Decimal(repr(float(value))) if isinstance(value, float) else Decimal(int(value))
    if not amount.is_finite() or amount < 0:
        raise CelError("CL931", "the limit is not a number from zero on")
    return amount


def task_of(context: Context) -> str:
    """Return the task whose quality counts for a request; empty where none is known.

    Where the request names none, the policy set may say how to find it, which is done once.
    """
    if context.task is None:
        context.task = _found_task(context)
    return context.task


def _found_task(context: Context) -> str:
    task, formula = context.request.get("task"), context.plan.defaults.task
    if task or formula is None:
        return str(task or "")
    try:
        return str(context.evaluate(formula, len(context.plan.layers)))
    except CelError as error:
        context.note(formula, "default", "routes", error)
        return ""


class _Variables(WhenRead):
    """The variables of one layer, beside those of the policy set, which are evaluated once for all layers.

    One that fails is not evaluated again, either: ``_failed`` has its error, whose ``origin`` is its formula.
    """

    __slots__ = ("_context", "_failed", "_formulas", "_shared")

    def __init__(self, context: Context, formulas: Mapping[str, Formula], shared: Mapping[str, Value]) -> None:
        self._context = context
        self._failed: dict[str, CelError] = {}
        self._formulas = formulas
        self._shared = shared
        self._names = dict.fromkeys((*shared, *formulas)) if shared else formulas

    def __missing__(self, name: str) -> Value:
        formula = self._formulas.get(name)
        if formula is None:
            return self._shared[name]
        if name not in self._failed:
            context = self._context
            try:
                value = formula.evaluate(context.view, self, context.budgets, None, None, context.instant)
            except CelError as error:
                error.origin = error.origin or formula
                self._failed[name] = error
            else:
                self[name] = value
                return value
        known = self._failed[name]
        known.extent = None  # it is part of another text than that of the reader
        raise known.with_traceback(None)


class _BudgetStates(WhenRead):
    """The map ``budgets`` of expressions: the state of each budget for this request."""

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context
        self._names = context.plan.budgets

    def __missing__(self, name: str) -> Mapping[str, Value]:
        layer, step = self._context.plan.budgets[name]
        context = self._context
        key = context.key(step, layer)
        balance = context.balance(step, key)
        limit = context.limit(step, layer)
        state = self[name] = _BudgetState(step, balance, limit, context.now)
        return state


class _BudgetState(WhenRead):
    """An entry of it: the amounts at once, and what is to be expected of them when somebody asks for that."""

    __slots__ = ("_amounts", "_now", "_step")

    def __init__(self, step: BudgetStep, balance: Balance, limit: Decimal, now: datetime) -> None:
        carried = balance.carried(limit, step.carry_over)
        limit = balance.limit_in_force(limit, step.carry_over)
        taken = total((balance.used, balance.held))
        left = _FOR_DOUBLES.subtract(limit, taken) if taken < limit else ZERO
        super().__init__(
            used=float(balance.used),
            held=float(balance.held),
            limit=float(limit),
            carried=float(carried),
            left=float(left),
            used_ratio=float(_FOR_DOUBLES.divide(taken, limit)) if limit else 1.0,
        )
        self._amounts: tuple[Decimal, Decimal, Decimal, datetime | None] | None
        self._amounts = balance.used, left, limit, balance.started_at
        self._now = now
        self._step = step

    @property
    def _names(self) -> Collection[str]:  # type: ignore[override]  # found out when first asked for
        if self._amounts is not None:
            amounts, self._amounts = self._amounts, None
            self.update(_expected(self._step, *amounts, self._now))
        return self.keys()

    def __missing__(self, name: str) -> Value:
        if name in self._names:
            return self[name]
        raise KeyError(name)


def _expected(
    step: BudgetStep, used: Decimal, left: Decimal, limit: Decimal, started_at: datetime | None, now: datetime
) -> dict[str, Value]:
    """Return what is to be expected of a budget, without what cannot be told."""
    from costlens_policy.periods import forecast  # most plans do not ask, and need no calendar

    period = period_of(step, started_at, now)
    if period is None:
        return {}
    ahead = forecast(used, left, limit, period.since(now), period.resets_at, now)
    found = {
        "used_per_day": None if ahead.used_per_day is None else float(ahead.used_per_day),
        "projected_ratio": None if ahead.projected_ratio is None else float(ahead.projected_ratio),
        "exhausted_in": None if ahead.exhausted_in is None else from_python(ahead.exhausted_in),
    }
    return {name: value for name, value in found.items() if value is not None}


def period_of(step: BudgetStep, started_at: datetime | None, now: datetime) -> Period | None:
    """Return the period of a budget at a time; None where it has none, or none can be told.

    ``started_at`` is when the window from first use began that is in force.
    """
    from costlens_policy.periods import PeriodError

    try:
        period = step.schedule.at(now)
    except PeriodError:  # the calendar ends before the period does, or the machine has lost the time zone
        return None
    return None if period is None else period.seen(started_at, now)


def _closed(
    plan: Plan,
    request: dict[str, Value],
    read: dict[tuple[str, str], Balance],
    now: datetime,
    counted: tuple[int, str] | None,
    failures: tuple[Failure, ...],
    measured: dict[tuple[str, str, str, int], Measured],
) -> Context:
    """Return a context as a decision keeps it."""
    context = Context(plan, request, read, now, counted)
    context.read, context.failures, context.measured = read, dict.fromkeys(failures), measured
    context.close()
    return context
