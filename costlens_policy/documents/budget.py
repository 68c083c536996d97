"""Budgets of a policy: what may be spent, by whom, in which time, and what happens on the way there."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, model_validator

from costlens_policy.clock import duration_of
from costlens_policy.documents.document import (
    DurationText,
    Expression,
    Identifier,
    IsExpression,
    ModelName,
    Multiple,
    Quantile,
    Ratio,
    RuleReference,
    Section,
    Timestamp,
    Usd,
    Weight,
)  # fmt: skip
from costlens_policy.documents.rewrites import Operation
from costlens_policy.money import fraction_digits
from costlens_policy.quantiles import MOST_CASES
from costlens_policy.units import Kind, Unit, base_of, unit_of_kinds

__all__ = [
    "Budget", "BudgetWindow", "BurnRate", "CalendarWindow", "CallWindow", "CarryOver", "Downgrade", "FirstUseWindow",
    "FixedWindow", "LifetimeWindow", "NeedsApproval", "QuantileHold", "RollingWindow", "Threshold", "Window",
]  # fmt: skip

_WHEN_COUNTED = Field(examples=["has(request.team)", 'has(request.environment) && request.environment == "production"'])

_Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class CalendarWindow(Section):
    """A period of the calendar in a time zone."""

    calendar: Literal["day", "week", "month", "quarter", "year"]
    """Period after which the budget starts over."""
    zone: Annotated[str, Field(examples=["UTC", "Europe/Berlin", "America/New_York"])] = "UTC"
    """IANA time zone, such as ``Europe/Berlin``."""
    week_start: _Weekday = "monday"
    """First day of a ``week``."""
    month_start_day: Annotated[int, Field(ge=1, le=31)] = 1
    """First day of a ``month``, ``quarter`` or ``year``; where a month has no such day, its last one."""
    year_start_month: Annotated[int, Field(ge=1, le=12)] = 1
    """First month of the fiscal year, for a ``quarter`` or ``year``."""


class RollingWindow(Section):
    """A span of time that always ends now."""

    rolling: DurationText
    """Length of the span, such as ``24h``."""


class FirstUseWindow(Section):
    """A span of time that begins with the first call after the last one has ended, as subscription plans have them."""

    from_first_use: Annotated[DurationText, Field(examples=["5h"])]
    """Length of the span, such as ``5h``."""


class FixedWindow(Section):
    """One span of time."""

    starts_at: Timestamp
    """When it starts."""
    ends_at: Timestamp
    """When it ends; this instant is outside."""


class LifetimeWindow(Section):
    """All time: the budget never starts over."""

    lifetime: Literal[True]
    """Always ``true``."""


class CallWindow(Section):
    """Each call by itself: nothing adds up."""

    per_call: Literal[True]
    """Always ``true``."""


class CarryOver(Section):
    """Unused money, tokens or requests of earlier periods that may be used in the current one.

    A period's own limit is used before what is carried over, and of that the latest first.
    """

    share: Annotated[Ratio, Field(gt=0, examples=[0.5])] = Decimal(1)
    """Share of what was left unused, from 0 to 1."""
    max_usd: Annotated[Usd, Field(examples=[100])] | None = None
    """The most that is carried over, in US dollars."""
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    """The most that is carried over, in tokens; with ``count``, their weighted sum."""
    max_requests: Annotated[int, Field(ge=0)] | None = None
    """The most that is carried over, in calls."""
    periods: Annotated[int, Field(ge=1, le=12, examples=[3])] = 1
    """For how many periods unused amounts can be used: 1 is the next one alone."""
    since: Timestamp | None = None
    """Periods that began then or later count even if nothing was used; absent means that carrying over starts with the
    first period in which something was."""

    @model_validator(mode="after")
    def _is_exact(self) -> CarryOver:
        if fraction_digits(self.share) > _SHARE_DIGITS:
            raise ValueError(f"`share` must have at most {_SHARE_DIGITS} digits after the point, got `{self.share:f}`")
        return self


_SHARE_DIGITS: Final = 6

Window = CalendarWindow | RollingWindow | FirstUseWindow | FixedWindow | LifetimeWindow | CallWindow


class Downgrade(Section):
    """Excludes candidates and may add cheaper models at the end."""

    exclude: (
        Annotated[
            Expression,
            IsExpression("bool", "request", "variables", "budgets", "model", "now"),
            Field(examples=["model.?output_usd_per_million_tokens.orValue(0.0) > 2.0"]),
        ]
        | None
    ) = None
    """Candidates for which this holds are excluded; absent means all that are not in ``models``."""
    models: tuple[ModelName, ...] = ()
    """Candidates added at the end. They must meet the terms of the route, unless it waives them for downgrades."""


class BurnRate(Section):
    """A rate of spending, over a long and a short time at once.

    A rate of 1 uses up the limit exactly in one window, a rate of 2 in half of it.
    """

    rate: Annotated[Multiple, Field(examples=[6])]
    """How many times as fast as the limit allows, on average over each of the two."""
    long: Annotated[DurationText, Field(examples=["1h"])]
    """Time in which so much must have been spent."""
    short: Annotated[DurationText, Field(examples=["5m"])]
    """Time that shows that it still goes on; usually a twelfth of ``long``."""

    @model_validator(mode="after")
    def _short_is_shorter(self) -> BurnRate:
        (_, long), (_, short) = self.windows
        if not timedelta(seconds=1) <= short < long:
            raise ValueError(f"`short` must be at least a second and below `long`, got `{self.short}`")
        return self

    @property
    def windows(self) -> tuple[tuple[str, timedelta], tuple[str, timedelta]]:
        """The two times, each as it is written and as a length."""
        return (self.long, duration_of(self.long)), (self.short, duration_of(self.short))


class NeedsApproval(Section):
    """Lets no call past a threshold before somebody has approved it, with ``costlens-policy budget approve``."""

    reason: Annotated[str, Field(min_length=1, examples=["above 90 % the platform team decides"])]
    """Shown to whoever has to wait, and to whoever decides."""
    wait: DurationText = "0s"
    """How long the guard waits for an answer before it refuses the call, at most ``10m``; absent means not at all."""
    approvers: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, examples=[["ada", "grace"]])
    ] = ()
    """Who may approve, as the authors of approvals; absent means anybody who may change the ledger."""

    @model_validator(mode="after")
    def _waits_not_too_long(self) -> NeedsApproval:
        if self.longest_wait > timedelta(minutes=10):
            raise ValueError(f"`wait` must be at most `10m`, got `{self.wait}`")
        return self

    @property
    def longest_wait(self) -> timedelta:
        """``wait`` as a length of time."""
        return duration_of(self.wait)


class Threshold(Section):
    """A point below the limit, and what happens from there on.

    At a ratio of the limit or at an amount, it is active once used + held + this call reaches it; at a forecast, while
    the budget is expected to end so. The hard limit itself denies; a threshold is for what happens before.
    """

    exactly_one: ClassVar = (
        "at_ratio", "at_usd", "at_tokens", "at_requests", "at_projected_ratio", "at_exhausted_in",
        "at_burn_rate",
    )  # fmt: skip
    at_least_one: ClassVar = ("alert", "rewrite", "downgrade", "needs_approval")

    at_ratio: Annotated[Ratio, Field(examples=[0.8])] | None = None
    """Ratio of the hard limit, from 0 to 1."""
    at_usd: Annotated[Usd, Field(examples=[200])] | None = None
    """Amount in US dollars, for a limit in US dollars."""
    at_tokens: Annotated[int, Field(ge=0, examples=[4_000_000])] | None = None
    """Number of tokens, for a limit in tokens; with ``count``, their weighted sum."""
    at_requests: Annotated[int, Field(ge=0, examples=[8_000])] | None = None
    """Number of calls, for a limit in calls."""
    at_projected_ratio: Annotated[Multiple, Field(examples=[1.2])] | None = None
    """Ratio of the limit that will be used by the end of the window at the average rate so far: 1.2 means 20 % more
    than there is."""
    at_exhausted_in: Annotated[DurationText, Field(examples=["3d"])] | None = None
    """Active while what is left lasts at most this long at the average rate so far, and not until the window ends."""
    at_burn_rate: Annotated[BurnRate, Field(examples=[{"rate": 6, "long": "1h", "short": "5m"}])] | None = None
    """Active while more than so many times the limit's own rate is spent, over two times at once."""
    min_elapsed: Annotated[Ratio, Field(examples=[0.1])] | None = None
    """Share of the window that must have passed before a forecast counts; 0.05 where it is left out, so that the first
    calls of a window are not taken for its average."""
    alert: Annotated[str, Field(min_length=1, examples=["80 % of the month's budget is spent"])] | None = None
    """Text of an alert, raised once per window."""
    rewrite: tuple[Operation, ...] = ()
    """Changes made to each call while the threshold is active."""
    downgrade: Downgrade | None = None
    """Excludes candidates, and may add cheaper ones, while the threshold is active."""
    needs_approval: NeedsApproval | None = None
    """Excludes every candidate while the threshold is active, unless somebody has approved it."""

    @model_validator(mode="after")
    def _excludes_in_one_way(self) -> Threshold:
        if self.needs_approval is not None and self.downgrade is not None:
            raise ValueError("`needs_approval` must not stand beside `downgrade`; use two thresholds")
        return self

    @model_validator(mode="after")
    def _elapsed_of_a_forecast(self) -> Threshold:
        if self.min_elapsed is not None and not self.is_forecast:
            raise ValueError(f"`min_elapsed` must stand beside a forecast, got `{self.condition}`")
        return self

    @property
    def condition(self) -> str:
        """The key that says when the threshold is active."""
        return next(key for key in self.exactly_one if getattr(self, key) is not None)

    @property
    def name(self) -> str:
        """What tells it from the other thresholds of its budget: ``0.8``, ``usd:200``, ``burn_rate:6/1h``."""
        if self.at_ratio is not None:
            return f"{self.at_ratio:f}"
        if self.at_burn_rate is not None:
            return f"burn_rate:{self.at_burn_rate.rate:f}/{self.at_burn_rate.long}"
        key = self.condition
        value = getattr(self, key)
        return f"{key.removeprefix('at_')}:{value if isinstance(value, str) else f'{Decimal(value):f}'}"

    @property
    def is_forecast(self) -> bool:
        return self.condition in ("at_projected_ratio", "at_exhausted_in")

    @property
    def looks_ahead(self) -> bool:
        """Whether it is active because of what is to be expected, and not from an amount on."""
        return self.is_forecast or self.at_burn_rate is not None

    @property
    def exhausted_in(self) -> timedelta | None:
        """``at_exhausted_in`` as a length of time."""
        return None if self.at_exhausted_in is None else duration_of(self.at_exhausted_in)

    @property
    def amount(self) -> Decimal | None:
        """The amount of the budget's unit at which it begins; None for any other condition."""
        found = next((item for item in (self.at_usd, self.at_tokens, self.at_requests) if item is not None), None)
        return None if found is None else Decimal(found)


_Limit = Annotated[
    Expression,
    IsExpression("number", "request", "variables", "now"),
    Field(examples=['request.?team.orValue("") == "research" ? 500.0 : 50.0']),
]


class QuantileHold(Section):
    """Hold what nearly all calls of the same kind stayed within, in place of the worst case.

    Calls of a kind count on the same budget, have the same model and task, and output limits in the same band, between
    two powers of two.
    """

    quantile: Annotated[Quantile, Field(examples=[0.95])]
    """Share of the calls that stay within what is held for them: 0.95 means that one in twenty may cost more."""
    cases: Annotated[int, Field(ge=1, le=MOST_CASES, examples=[200])] = 200
    """How many calls of the kind have to be in the ledger; with fewer, the worst case is held."""


class BudgetWindow(Section):
    """One of several windows of a budget, with a limit of its own.

    It is a budget by itself, named ``budget.window``, and all other keys are those of the budget.
    """

    exactly_one: ClassVar = ("hard_limit_usd", "hard_limit_tokens", "hard_limit_requests", "hard_limit_runs")

    id: Identifier
    """Name of the window, unique within the budget."""
    window: Window
    """The period that the limit covers."""
    hard_limit_usd: Annotated[Usd, Field(examples=[250])] | _Limit | None = None
    """US dollars that may be spent in one window."""
    hard_limit_tokens: Annotated[int, Field(ge=0, examples=[5_000_000])] | _Limit | None = None
    """Tokens that may be used in one window."""
    hard_limit_requests: Annotated[int, Field(ge=0, examples=[10_000])] | _Limit | None = None
    """Calls that may be made in one window."""
    hard_limit_runs: Annotated[int, Field(ge=0, examples=[20])] | _Limit | None = None
    """Runs that may make calls in one window."""
    soft_limit_usd: Annotated[Usd, Field(examples=[200])] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_tokens: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_requests: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_runs: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    carry_over: CarryOver | None = None
    """What is left unused at the end of a calendar period is added to the limit of the next ones."""
    thresholds: tuple[Threshold, ...] = ()
    """What happens before the limit is reached; absent means the thresholds of the budget."""
    reason: Annotated[str, Field(examples=["the five hours' allowance is used up"])] = ""
    """Shown to whoever is refused because of it; absent means the reason of the budget."""


class Budget(Section):
    """A limit on what calls may cost, with thresholds before it. Every budget that applies must have room.

    Exactly one hard limit; its unit is part of the key. A limit is a number or an expression. With ``windows``, each of
    them has limits of its own.
    """

    exactly_one: ClassVar = (
        "hard_limit_usd",
        "hard_limit_tokens",
        "hard_limit_requests",
        "hard_limit_runs",
        "windows",
    )
    at_least_one: ClassVar = ("window", "windows")

    id: Identifier
    """Name of the budget, unique within the policy."""
    description: str = ""
    """What the budget is for."""
    when: Annotated[Expression, IsExpression("bool", "request", "variables", "model", "now"), _WHEN_COUNTED] | None = (
        None
    )
    """Which calls count; absent means all."""
    scope: (
        Annotated[
            Expression,
            IsExpression("string", "request", "variables", "model", "now"),
            Field(examples=['request.?team.orValue("nobody")', 'request.?feature.orValue("") + "/" + model.name']),
        ]
        | None
    ) = None
    """Who shares the limit, such as ``request.team``; absent means one limit for all."""
    hard_limit_usd: Annotated[Usd, Field(examples=[250])] | _Limit | None = None
    """US dollars that may be spent in one window. A call that would exceed it is denied."""
    hard_limit_tokens: Annotated[int, Field(ge=0, examples=[5_000_000])] | _Limit | None = None
    """Tokens of prompt and output that may be used in one window; with ``count``, their weighted sum."""
    hard_limit_requests: Annotated[int, Field(ge=0, examples=[10_000])] | _Limit | None = None
    """Calls that may be made in one window."""
    hard_limit_runs: Annotated[int, Field(ge=0, examples=[20])] | _Limit | None = None
    """Runs, such as an agent and its sub-agents, that may make calls in one window: each run counts at its first call,
    and once. Calls outside of runs do not count."""
    soft_limit_usd: Annotated[Usd, Field(examples=[200])] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_tokens: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_requests: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    soft_limit_runs: Annotated[int, Field(ge=0)] | None = None
    """Raises an alert when it is reached; below the hard limit."""
    count: (
        Annotated[
            dict[Kind, Weight],
            Field(min_length=1, examples=[{"input": 1, "cached_input": 0.1, "output": 6}, {"output": 1}]),
        ]
        | None
    ) = None
    """What a token of each kind counts as, for ``hard_limit_tokens``; absent means that each counts as one. A kind that
    is left out counts as the one that it is part of: ``cache_read`` and ``cache_read_audio`` as ``cached_input``;
    ``cached_input``, ``cache_write``, ``input_audio`` and ``input_image`` as ``input``; ``cache_write_1h`` as
    ``cache_write``; ``reasoning``, ``output_audio`` and ``output_image`` as ``output``. ``input`` and ``output`` count
    nothing if they are left out."""
    overflow: RuleReference | None = None
    """Budget that counts a call in place of this one where this one has no room for it. That budget then has no effect
    by itself. One of another policy, as ``policy/budget``, must be an overflow there, too."""
    reserved_from: Annotated[RuleReference, Field(examples=["run"])] | None = None
    """Budget in which the whole limit of a scope key is set aside with its first call, where only its own calls can use
    it. What is left is free again once the key's run ends, or after ``reserved_for``. One of another policy is named as
    ``policy/budget``."""
    reserved_for: Annotated[DurationText, Field(examples=["30m"])] | None = None
    """How long a limit stays set aside without a call, at most ``31d``; absent means ``15m``."""
    hold: Annotated[Literal["worst_case"] | QuantileHold, Field(examples=[{"quantile": 0.95, "cases": 200}])] = (
        "worst_case"
    )
    """What is held for a call until it is settled: its worst case, so that what is spent never exceeds the limit; or a
    quantile of what such calls have cost, so that calls under way take no more of the limit than they are likely to
    spend. Then the limit can be exceeded, by the bound that ``budget bound`` prints."""
    windows: tuple[BudgetWindow, ...] = ()
    """Several windows with a limit for each, in place of one: all of them must have room."""
    window: Window
    """The period that the limit covers: of the calendar, rolling, from first use, one fixed span, or forever."""
    carry_over: CarryOver | None = None
    """What is left unused at the end of a calendar period is added to the limit of the next ones; absent means that it
    is gone."""
    thresholds: tuple[Threshold, ...] = ()
    """What happens before the limit is reached."""
    approver_above: Annotated[Usd, Field(examples=[100])] | None = None
    """A top-up or override that raises the limit by more than this, in the budget's unit, needs an approver other than
    its author; what is topped up already counts. Absent means that none does."""
    shadow: bool = False
    """Count and report, but never exclude or deny."""
    reason: Annotated[str, Field(examples=["the team's budget for this month is spent"])] = ""
    """Shown to whoever is refused because of it."""

    @model_validator(mode="after")
    def _one_unit(self) -> Budget:
        if self.windows:  # else each is read as a budget of its own
            raise ValueError("`windows` stands in place of `window`, and limits stand in each of them")
        base = base_of(self.unit)
        for unit in ("usd", "tokens", "requests", "runs"):
            if unit != base and getattr(self, f"soft_limit_{unit}") is not None:
                raise ValueError(f"`soft_limit_{unit}` must have the unit of `hard_limit_{base}`")
        if base == "runs" and isinstance(self.window, CallWindow):
            raise ValueError("`hard_limit_runs` must not have the window `per_call`, in which no run adds to others")
        if base == "runs" and isinstance(self.window, FirstUseWindow):
            raise ValueError("`hard_limit_runs` must not have the window `from_first_use`, in which a run may go on")
        if self.carry_over is not None:
            _check_carry_over(self.carry_over, base, self.window)
        if self.count is not None and base != "tokens":
            raise ValueError(f"`count` must stand beside `hard_limit_tokens`, got `hard_limit_{base}`")
        for threshold in self.thresholds:
            if threshold.amount is not None and threshold.condition != f"at_{base}":
                raise ValueError(f"`{threshold.condition}` must have the unit of `hard_limit_{base}`")
        return self

    @model_validator(mode="after")
    def _can_hold_less(self) -> Budget:
        base = base_of(self.unit)
        if self.hold != "worst_case" and base in ("requests", "runs"):
            raise ValueError(f"`hold` must be `worst_case` for `hard_limit_{base}`: each call counts as one at most")
        if self.hold != "worst_case" and isinstance(self.window, CallWindow):
            raise ValueError("`hold` must be `worst_case` for the window `per_call`: nothing is held for it")
        return self

    @model_validator(mode="after")
    def _can_be_reserved(self) -> Budget:
        if self.reserved_from is None:
            if self.reserved_for is not None:
                raise ValueError("`reserved_for` must stand beside `reserved_from`")
            return self
        if base_of(self.unit) == "runs" or isinstance(self.window, CallWindow):
            raise ValueError("`reserved_from` needs a limit that calls add up to, so that there is something to hold")
        if self.shadow or self.overflow is not None:
            key = "shadow" if self.shadow else "overflow"
            raise ValueError(f"`reserved_from` must not stand beside `{key}`: what is reserved is a limit to keep to")
        if not timedelta(seconds=1) <= self.longest_idle <= timedelta(days=31):
            raise ValueError(f"`reserved_for` must be from `1s` to `31d`, got `{self.reserved_for}`")
        return self

    @property
    def longest_idle(self) -> timedelta:
        """``reserved_for`` as a length of time."""
        return duration_of(self.reserved_for or "15m")

    @property
    def unit(self) -> Unit:
        """What the budget counts. Raises ``ValueError`` for a ``count`` that is none."""
        if self.hard_limit_usd is not None:
            return "usd"
        if self.hard_limit_tokens is None:
            return "requests" if self.hard_limit_runs is None else "runs"
        return "tokens" if self.count is None else unit_of_kinds(self.count)


def _check_carry_over(carried: CarryOver, base: str, window: Window) -> None:
    if not isinstance(window, CalendarWindow):
        raise ValueError("`carry_over` needs a `calendar` window, whose periods follow one another")
    if base == "runs":
        raise ValueError("`carry_over` must not stand beside `hard_limit_runs`: a run that goes on would count again")
    for unit in ("usd", "tokens", "requests"):
        if unit != base and getattr(carried, f"max_{unit}") is not None:
            raise ValueError(f"`max_{unit}` of `carry_over` must have the unit of `hard_limit_{base}`")
