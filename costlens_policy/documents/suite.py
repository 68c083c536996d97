"""A suite: the tests of a policy set.

A matrix holds sections with placeholders: they are checked by shape when the suite is read, and in full once the
placeholders are filled in.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from costlens_policy.documents.document import (
    Count,
    Document,
    DurationText,
    FilePath,
    Identifier,
    Number,
    Pattern,
    Ratio,
    Section,
    Timestamp,
    Usd,
    described_schema,
)
from costlens_policy.money import fraction_digits
from costlens_policy.quantiles import LONGEST_TASK, MOST_CASES, RATIO_DIGITS

__all__ = [
    "BalanceInput", "Case", "EstimateExpectation", "Expectation", "FallbackExpectation", "Matrix", "Measure",
    "MeasuredInput", "SuiteDefaults", "SuiteDocument", "TemporaryAmount", "TextExpectation",
]  # fmt: skip

RequestFields = dict[str, Any]

_Text = Annotated[str, Field(min_length=1)]

_Amount = Annotated[Number, Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]

_SERIES_PART = r"[0-9]+(\.[0-9]+)?([+-][0-9]+(\.[0-9]+)?)?(x[0-9]{1,5})?"

_Series = Annotated[
    str,
    Field(
        pattern=rf"^{_SERIES_PART}( {_SERIES_PART})*$",
        max_length=500,
        examples=["0+2x20"],
        json_schema_extra={"patternErrorMessage": "numbers, or steps such as `0+2x20`, separated by spaces"},
    ),
]

_SuiteTime = Timestamp | Annotated[str, Field(pattern=r"^\+", examples=["+12m"])]


class TemporaryAmount(Section):
    """A temporary adjustment."""

    amount: _Amount
    """Number in the budget's unit."""
    expires_at: Annotated[_SuiteTime, Field(examples=["+3d"])]
    """When it stops holding; ``+3d`` counts from the suite's ``now``."""


class ApprovalInput(Section):
    """An approval, as if somebody had given it."""

    threshold: Annotated[str, Field(min_length=1, examples=["0.9"])]
    """Name of the threshold of the budget, as in ``policy/budget@0.9``."""
    up_to: _Amount
    """Amount that used + held + a call may come to, in the budget's unit."""
    expires_at: Annotated[_SuiteTime, Field(examples=["+3d"])] | None = None
    """When it stops holding; ``+3d`` counts from the suite's ``now``."""


class BalanceInput(Section):
    """State of one budget and scope key, as if the ledger had reported it.

    ``used`` is a number in the budget's unit, or a series: ``0+2x20`` starts at 0 and adds 2 at each of 20 steps,
    ``5x3`` stays at 5 for 3 more steps; parts are separated by a space.
    """

    budget: Annotated[str, Field(min_length=1, examples=["spend/team-monthly"])]
    """Budget as ``policy/budget``, or its id alone where only one policy has it."""
    key: str = ""
    """Scope key; empty for a budget without scope."""
    used: _Amount | _Series
    """Spent so far: a number in the budget's unit, or a series."""
    held: _Amount | None = None
    """Held for calls in progress."""
    override: _Amount | TemporaryAmount | None = None
    """Limit that a person has set, in place of the policy's."""
    topup: _Amount | TemporaryAmount | None = None
    """What a person has added to the limit."""
    started_at: Annotated[_SuiteTime, Field(examples=["+2h"])] | None = None
    """When the window from first use began that is in force; ``+3d`` counts from the suite's ``now``."""
    recent: Annotated[dict[str, _Amount], Field(examples=[{"1h": 12.5, "5m": 2}])] = Field(default_factory=dict)
    """What was charged lately, by the times that thresholds at burn rates of the budget name."""
    approvals: tuple[ApprovalInput, ...] = ()
    """What people have approved."""
    earlier: Annotated[tuple[_Amount, ...], Field(max_length=12, examples=[[60, 100]])] = ()
    """What earlier periods have used, the latest first, for a budget that carries over."""
    set_aside: _Amount | None = None
    """What of ``held`` is set aside for budgets that are reserved from this one."""
    reserved: _Amount | None = None
    """What is left of what was set aside for this budget and scope key; absent means that nothing is set aside yet."""
    every: Annotated[DurationText, Field(examples=["1m"])] | None = None
    """Time between two values of a series, which starts at the suite's ``now``."""


class MeasuredInput(Section):
    """What calls of one kind have come to, as if the ledger had reported it, for a budget that holds a quantile."""

    budget: Annotated[str, Field(min_length=1, examples=["spend/daily"])]
    """Budget as ``policy/budget``, or its id alone where only one policy has it."""
    model: Annotated[str, Field(min_length=1, examples=["gpt-5-nano"])]
    """Model of the calls."""
    task: Annotated[str, Field(min_length=1, max_length=LONGEST_TASK, examples=["coding"])]
    """Task of the calls."""
    output_tokens: Annotated[Count, Field(examples=[4096])]
    """Output limit of the calls, for all completions together; it stands for its band, between two powers of two."""
    cases: Annotated[int, Field(ge=0, le=MOST_CASES, examples=[200])]
    """How many calls are known."""
    ratio: Annotated[Ratio, Field(examples=[0.25])]
    """The part of their worst case that the budget's quantile of them stayed within, from 0 to 1."""

    @field_validator("ratio")
    @classmethod
    def _has_few_digits(cls, ratio: Decimal) -> Decimal:
        if fraction_digits(ratio) > RATIO_DIGITS:
            raise ValueError(f"`ratio` must have at most {RATIO_DIGITS} digits after the point, got `{ratio}`")
        return ratio


class TextExpectation(Section):
    """What a text must be; every key given must hold."""

    equals: str | None = None
    """The whole text."""
    contains: tuple[_Text, ...] = ()
    """Texts found in it."""
    excludes: tuple[_Text, ...] = ()
    """Texts not found in it."""
    starts_with: _Text | None = None
    """Text at its start."""
    ends_with: _Text | None = None
    """Text at its end."""
    matches: Pattern | None = None
    """RE2 pattern found in the text."""

    @model_validator(mode="after")
    def _expects_something(self) -> TextExpectation:
        demands = (self.contains, self.excludes, self.starts_with, self.ends_with, self.matches)
        if self.equals is None and not any(demands):
            raise ValueError("an expectation of a text must set at least one key, such as `contains`")
        return self


class EstimateExpectation(Section):
    """What the estimate must be; every key given must hold."""

    cost_usd: Usd | None = None
    """Exact cost in US dollars."""
    min_cost_usd: Usd | None = None
    """Lowest cost in US dollars."""
    max_cost_usd: Usd | None = None
    """Highest cost in US dollars."""
    likely_cost_usd: Usd | None = None
    """Exact cost in US dollars with what prompt caches likely save and cost."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, as it is after the rewrites."""
    output_tokens: int | None = None
    """Tokens of the output that the cost is estimated with."""

    @model_validator(mode="after")
    def _expects_something(self) -> EstimateExpectation:
        if not self.model_fields_set:
            raise ValueError("an expectation of the estimate must set at least one key, such as `max_cost_usd`")
        return self


class FallbackExpectation(Section):
    """What is to be sent to one fallback; keys that are left out are not compared."""

    model: Annotated[str, Field(min_length=1, examples=["gpt-5-nano"])]
    """Name of the fallback."""
    rewrites: tuple[str, ...] | None = None
    """Rewrites applied for it, in order, as ``policy/rewrite``, or ``policy/route`` for what a route applies; an empty
    list expects none."""
    prompt: str | TextExpectation | None = None
    """The prompt after its rewrites: the whole text, or what must hold of it."""
    system: str | TextExpectation | None = None
    """The system text after its rewrites."""
    messages: tuple[dict[str, Any], ...] | None = None
    """The messages after its rewrites: as many as these, each with at least these keys."""
    params: Annotated[dict[str, Any], Field(min_length=1)] | None = None
    """Parameters that must have these values; null means absent."""
    tools: Annotated[tuple[str, ...], Field(examples=[["search_tickets"]])] | None = None
    """Names of the tools to send, in order; an empty list expects none."""
    estimate: EstimateExpectation | None = None
    """Predicted cost and tokens of its call."""


class Expectation(Section):
    """What the decision must be. Keys that are left out are not compared, unless ``exact`` is set."""

    effect: Literal["allow", "deny"] | None = None
    """Whether the request may proceed."""
    model: str | None = None
    """Name of the model that serves."""
    fallbacks: tuple[str, ...] | None = None
    """Further models, in order."""
    not_served_by: Annotated[tuple[str, ...], Field(min_length=1, examples=[["gpt-5"]])] | None = None
    """Models that neither serve nor are fallbacks, for whatever reason; a refused request is served by none."""
    fallback_calls: Annotated[tuple[FallbackExpectation, ...], Field(min_length=1)] | None = None
    """What is to be sent to some of the fallbacks, in order: it may differ from what the model gets."""
    rule: str | None = None
    """Deciding rule, as ``policy/rule``: the route of an allowed request, the rule or budget that refused another.
    ``default`` is the policy set's default."""
    shares: tuple[str, ...] | None = None
    """Shares that splits of the route drew, outermost first, by their ids, models, or numbers; an empty list expects
    none."""
    ways_out: tuple[Literal["cheapest", "best", "next", "target"], ...] | None = None
    """Ways out that were taken since no candidate of a choice was left, in order; an empty list expects none."""
    reasons: Annotated[tuple[_Text, ...], Field(min_length=1)] | None = None
    """Texts that must be found among the reasons."""
    rewrites: tuple[str, ...] | None = None
    """Rewrites applied, in order, as ``policy/rewrite``, or ``policy/route`` for what a route applies; an empty list
    expects none."""
    prompt: str | TextExpectation | None = None
    """The prompt after the rewrites: the whole text, or what must hold of it."""
    system: str | TextExpectation | None = None
    """The system text after the rewrites."""
    messages: tuple[dict[str, Any], ...] | None = None
    """The messages after the rewrites: as many as these, each with at least these keys."""
    params: Annotated[dict[str, Any], Field(min_length=1)] | None = None
    """Parameters that must have these values; null means absent."""
    tools: Annotated[tuple[str, ...], Field(examples=[["search_tickets"]])] | None = None
    """Names of the tools to send, in order; an empty list expects none."""
    alerts: tuple[str, ...] | None = None
    """Budgets whose alerts are due, in order, as ``policy/budget``; an empty list expects none."""
    approvals: Annotated[tuple[str, ...], Field(examples=[["spend/team-monthly@0.9"]])] | None = None
    """Thresholds past which the request may only go with an approval that it does not have, in order, as
    ``policy/budget@0.9``; an empty list expects none."""
    overflowed: Annotated[tuple[str, ...], Field(examples=[["spend/quota"]])] | None = None
    """Budgets that had no room for the model that serves, so that their overflows count the call, in order, as
    ``policy/budget``; an empty list expects none."""
    thresholds: tuple[str, ...] | None = None
    """Thresholds active for the model, or for one that a budget excluded, in order, as ``policy/budget@0.8``; an empty
    list expects none."""
    excluded: dict[str, str] | None = None
    """Models that were excluded, each with a text found in its reason; an empty map expects none."""
    errors: tuple[str, ...] | None = None
    """Codes of run-time errors met on the way; an empty list expects none."""
    request_error: Annotated[str, Field(min_length=1)] | None = None
    """The request must be refused as invalid, with this text in the message. Nothing is decided then, so no other key
    may be set."""
    estimate: EstimateExpectation | None = None
    """Predicted cost and tokens of the call."""
    exact: bool = False
    """Also fail on anything not named here: further rewrites, alerts, overflows, exclusions, errors, parameters and
    ways out."""

    @model_validator(mode="after")
    def _expects_something(self) -> Expectation:
        named = {name for name in self.model_fields_set - {"exact"} if getattr(self, name) is not None}
        if not named:
            raise ValueError("an expectation must set at least one key")
        if "request_error" in named and named != {"request_error"}:
            raise ValueError("`request_error` must be the only key: nothing is decided about a refused request")
        return self


class SuiteDefaults(Section):
    """Merged into each case."""

    request: RequestFields = Field(default_factory=dict)
    """Request attributes that every case has."""
    balances: tuple[BalanceInput, ...] = ()
    """States of budgets in every case."""
    measured: tuple[MeasuredInput, ...] = ()
    """What calls have come to, in every case."""
    targets: tuple[str, ...] = ()
    """Rules (``policy/rule``) that every case is about."""


class Case(Section):
    """One test: a request and what must be decided."""

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["an intern may not use a premium model"])]
    """What the case shows, in words that its readers use."""
    fixtures: tuple[Identifier, ...] = ()
    """Fixtures merged in order, before ``request``."""
    request: RequestFields = Field(default_factory=dict)
    """Merged over the suite's defaults and the fixtures; null removes an attribute."""
    now: _SuiteTime | None = None
    """Time of the decision; ``+12m`` counts from the suite's ``now``."""
    balances: tuple[BalanceInput, ...] = ()
    """States of budgets, added to those of the defaults."""
    measured: tuple[MeasuredInput, ...] = ()
    """What calls have come to, added to that of the defaults."""
    targets: tuple[str, ...] = ()
    """Rules (``policy/rule``) that this case is about; it fails as vacuous when one of them was never evaluated."""
    expect: Expectation
    """What must be decided."""


_PLACEHOLDER: Final[JsonSchemaValue] = {
    "type": "string",
    "pattern": r"^\$\{[^}]+\}$",
    "patternErrorMessage": "a placeholder such as `${tier}`",
    "description": "The value of an axis, such as `${tier}`.",
}


class _TemplateOf:
    """Marks a ``dict[str, Any]`` as a section whose values may be placeholders ``${axis}`` until they are filled in.

    The JSON Schema is the section's own, with a placeholder allowed wherever a text of any kind would not be.
    """

    __slots__ = ("section",)

    def __init__(self, section: type[Section]) -> None:
        self.section: Final = section

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        whole = described_schema(self.section)
        definitions = whole.pop("$defs", {})
        return _opened_section(whole, definitions)


class Matrix(Section):
    """Cases for every combination of the axes.

    ``${axis}`` in a string stands for the axis' value, ``${axis.key}`` for a key of a value that is a map; a string
    that is nothing else becomes the value itself. ``$${`` is a literal ``${``.
    """

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["${tier} gets ${task}"])]
    """Name of each case, with ``${axis}`` in it."""
    axes: Annotated[dict[Identifier, Annotated[tuple[Any, ...], Field(min_length=1)]], Field(min_length=1)]
    """Values by the name of their axis."""
    fixtures: tuple[Annotated[str, Field(min_length=1, examples=["premium-user"])], ...] = ()
    """Fixtures merged in order, before ``request``."""
    request: RequestFields = Field(default_factory=dict)
    """Merged over the suite's defaults and the fixtures; null removes an attribute."""
    now: Timestamp | Annotated[str, Field(pattern=r"^\+|\$\{", examples=["+12m", "${time}"])] | None = None
    """Time of the decisions; ``+12m`` counts from the suite's ``now``."""
    balances: tuple[Annotated[RequestFields, _TemplateOf(BalanceInput)], ...] = ()
    """States of budgets, added to those of the defaults."""
    measured: tuple[Annotated[RequestFields, _TemplateOf(MeasuredInput)], ...] = ()
    """What calls have come to, added to that of the defaults."""
    targets: tuple[str, ...] = ()
    """Rules (``policy/rule``) that these cases are about."""
    expect: Annotated[RequestFields, _TemplateOf(Expectation)]
    """What must be decided."""
    except_: tuple[dict[str, Any], ...] = Field(default=(), alias="except")
    """Combinations to leave out: axes with their values."""


class Measure(StrEnum):
    """What is counted together for coverage, and may have a minimum of its own.

    ``RULES`` are access rules, routes, rewrites, budgets, thresholds and ways out: each has to match. ``CONDITIONS``
    are their conditions, each of which has to hold once and not to hold once. ``MCDC`` are the operands of conditions,
    each of which has to decide alone, true once and false once. ``MODELS`` are candidates and fallbacks of routes.
    """

    RULES = "rules"
    CONDITIONS = "conditions"
    MCDC = "mcdc"
    MODELS = "models"
    SHARES = "shares"
    OVERFLOWS = "overflows"
    DOWNGRADES = "downgrades"


_Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]


class SuiteDocument(Document):
    """Tests of a policy set. Every case states what it expects, and the clock stands still."""

    kind: Literal["Suite"]
    """This document tests a policy set."""
    policy_set: Annotated[FilePath, Field(examples=["policy-set.yaml"])]
    """The policy set under test, relative to this file."""
    now: Timestamp | None = None
    """Time of every decision; required where a rule under test reads time, prices change or budgets have windows."""
    coverage: (
        _Percent
        | Annotated[
            dict[Measure, _Percent], Field(min_length=1, examples=[{"rules": 100, "conditions": 100, "mcdc": 90}])
        ]
        | None
    ) = None
    """Lowest share of the covered policies' rules, in percent, or the lowest share of several measures."""
    covers: tuple[str, ...] = ()
    """Policies (by name) whose rules count for coverage; absent means all of the set."""
    fixtures: dict[Identifier, RequestFields] = Field(default_factory=dict)
    """Requests, or parts of them, to be used by name."""
    defaults: SuiteDefaults = SuiteDefaults()
    """What every case starts from."""
    cases: tuple[Case, ...] = ()
    """Single tests."""
    matrix: tuple[Matrix, ...] = ()
    """Tests for every combination of some values."""


def _opened(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Let a placeholder stand for a value, and for each value within it."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return _opened(target | {key: value for key, value in schema.items() if key != "$ref"}, definitions)
    described = {key: schema[key] for key in ("description", "default", "title", "examples") if key in schema}
    bare = {key: value for key, value in schema.items() if key not in described}
    if not bare or _takes_any_text(bare):
        return schema
    if "anyOf" in bare:
        branches = [_opened_section(branch, definitions) for branch in bare["anyOf"]]
    else:
        branches = [_opened_section(bare, definitions)]
    if any(_takes_any_text(branch) for branch in branches):
        return described | {"anyOf": branches}
    return described | {"anyOf": [*branches, _PLACEHOLDER]}


def _opened_section(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> JsonSchemaValue:
    """Open the values within a schema, not the schema itself."""
    if "$ref" in schema:
        return _opened_section(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    opened = dict(schema)
    if "properties" in opened:
        opened["properties"] = {key: _opened(value, definitions) for key, value in opened["properties"].items()}
    for word in ("items", "additionalProperties"):
        if isinstance(opened.get(word), dict):
            opened[word] = _opened(opened[word], definitions)
    return opened


def _takes_any_text(schema: JsonSchemaValue) -> bool:
    return schema.get("type") == "string" and not {"pattern", "format", "enum", "const"} & schema.keys()
