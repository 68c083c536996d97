"""What expressions can read: the standard request attributes and the records of the stages, declared once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.catalogue import Catalogue, Model, Period
from costlens_policy.expressions import (
    ANY_LIST,
    BOOL,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Field,
    Record,
    Type,
    Value,
    list_of,
    map_of,
)
from costlens_policy.frozen import frozen
from costlens_policy.runs import RUN

if TYPE_CHECKING:
    from costlens_policy.documents.policy_set import Admission
    from costlens_policy.expressions.functions.costs import Sizes
    from costlens_policy.expressions.types import Shape
    from costlens_policy.signals import Signal

__all__ = [
    "ASKED_MODEL", "BUDGET", "ESTIMATE", "LIKELY_COST", "MODEL_FACTS", "REPORT_LABELS", "ROOT_TYPES", "SIGNALS",
    "STANDARD_ATTRIBUTES", "WARM_TOKENS", "DeclaredAttribute", "model_record", "model_values", "request_record",
    "signals_attribute", "signals_record", "unknown_facts",
]  # fmt: skip


@frozen
class DeclaredAttribute:
    """A request attribute: one row for everything that the checker, the engine, ledgers, replay and reports need.

    ``default`` is a plain Python value, None where there is none. ``max_size`` is the most characters, elements or
    entries that it may have, where that is declared.
    """

    name: str
    type: Type
    description: str = ""
    required: bool = False
    default: Any = None
    values: tuple[str, ...] = ()
    max_size: int | None = None
    label: bool = False
    """A label of the request, not part of its text: it stays in a record without texts."""
    recorded: bool = False
    """Kept in the ledger with each call, so that reports can group by it."""
    grouped: bool = False
    """A report groups by it unless other labels are named."""
    engine_reads: bool = False
    """The engine itself looks at it, whether or not a rule does."""
    holds_messages: bool = False
    """Its elements are messages, each of which counts as a whole in what an expression may cost."""
    never_negative: bool = False
    """A request is refused where it is below zero."""
    signals: tuple[Signal, ...] = ()
    """What its entries may be, where it holds the values of signals."""

    @property
    def always_there(self) -> bool:
        return self.required or self.default is not None

    @property
    def largest(self) -> int | None:
        """The maximum number of characters, elements or entries; None without a limit."""
        return max(map(len, self.values)) if self.values else self.max_size


WARM_TOKENS: Final = "warm_tokens"
"""The attribute of ``request`` with what is known of prompt caches, which expressions read as ``model.warm_tokens``."""

_TEXTS: Final = list_of(STRING)
_ANY_OBJECT: Final = map_of(STRING, DYN)

_STANDARD: Final = (
    DeclaredAttribute(
        "task", STRING, "what the call is for, such as `summarization`",
        label=True, recorded=True, engine_reads=True,
    ),
    DeclaredAttribute("prompt", STRING, "text of a call without messages", engine_reads=True),
    DeclaredAttribute(
        "messages", ANY_LIST, description="messages in the shape of OpenAI or Anthropic",
        engine_reads=True, holds_messages=True,
    ),
    DeclaredAttribute("model", STRING, "model that the caller asked for, as the caller spelled it"),
    DeclaredAttribute("prompt_tokens", INT, "tokens of the prompt", engine_reads=True, never_negative=True),
    DeclaredAttribute(
        "max_output_tokens", INT, "limit on output tokens of the call",
        engine_reads=True, never_negative=True,
    ),
    DeclaredAttribute("params", _ANY_OBJECT, "parameters of the call, such as `temperature`", engine_reads=True),
    DeclaredAttribute("tools", ANY_LIST, "tools that the model may call", engine_reads=True),
    DeclaredAttribute(
        "modalities", _TEXTS, "kinds of content, such as `text` or `image`",
        label=True, engine_reads=True,
    ),
    DeclaredAttribute("response_format", DYN, "required format of the answer", engine_reads=True),
    DeclaredAttribute("stream", BOOL, "whether the answer is streamed", label=True),
    DeclaredAttribute("team", STRING, "team of the caller", label=True, recorded=True, grouped=True),
    DeclaredAttribute("organization", STRING, "organization of the caller", label=True, recorded=True),
    DeclaredAttribute("project", STRING, "project that the call belongs to", label=True, recorded=True),
    DeclaredAttribute(
        "feature", STRING, "feature of the product that the call serves",
        label=True, recorded=True, grouped=True,
    ),
    DeclaredAttribute("id", STRING, "id of the call, which no other call has", label=True),
    DeclaredAttribute("user", STRING, "end user of the call", label=True, recorded=True, grouped=True),
    DeclaredAttribute("environment", STRING, "environment, such as `production`", label=True, recorded=True),
    DeclaredAttribute("region", STRING, "region that the request comes from", label=True),
    DeclaredAttribute("tags", _TEXTS, "free-form labels", label=True),
    DeclaredAttribute("session", STRING, "conversation that the call belongs to", label=True),
    DeclaredAttribute(
        RUN, STRING, "path of the run that the call belongs to, such as `nightly/search`",
        label=True, recorded=True,
    ),
    DeclaredAttribute(
        "cost_budget", DOUBLE, "maximum cost of the call, in US dollars",
        engine_reads=True, never_negative=True,
    ),
    DeclaredAttribute(
        "latency_budget_ms", DOUBLE, "longest acceptable time to the answer, in milliseconds",
        engine_reads=True, never_negative=True,
    ),
    DeclaredAttribute("metadata", _ANY_OBJECT, "custom keys and values"),
    DeclaredAttribute(
        WARM_TOKENS, map_of(STRING, INT),
        "tokens of the session's prompt that are likely in the provider's cache, by the catalogue's names of models",
        label=True, engine_reads=True,
    ),
)  # fmt: skip

STANDARD_ATTRIBUTES: Final[Mapping[str, DeclaredAttribute]] = {attribute.name: attribute for attribute in _STANDARD}
"""Request attributes of every policy set; all are optional unless the set makes them required."""

REPORT_LABELS: Final = ("provider", "model", *(item.name for item in _STANDARD if item.grouped), "rule")
"""The labels of a call by which a report groups, unless others are named."""

ASKED_MODEL: Final = "asked_model"
"""The one attribute of ``request`` that no caller gives: the model of the catalogue that ``request.model`` means."""


SIGNALS: Final = "signals"
"""The attribute of ``request`` with the values of signals, which expressions read as ``signals``."""


def signals_attribute(signals: Iterable[Signal]) -> DeclaredAttribute:
    """Return the attribute by which a request comes with the values of signals, so that they are not worked out."""
    text = "values of signals that are known already; `null` where a signal is absent"
    return DeclaredAttribute(SIGNALS, _ANY_OBJECT, text, label=True, signals=tuple(signals))


def signals_record(signals: Iterable[Signal]) -> Record:
    """Return the record ``signals``: what is worked out from the texts of a request."""
    fields = {
        item.name: Field(_SIGNAL_TYPES[item.type], item.may_be_absent, item.labels, item.description)
        for item in signals
    }
    return Record(SIGNALS, fields)


_SIGNAL_TYPES: Final[Mapping[str, Type]] = {"string": STRING, "int": INT, "double": DOUBLE, "bool": BOOL}


def request_record(attributes: Mapping[str, DeclaredAttribute], sizes: Sizes) -> Record:
    """Return the record ``request`` of a policy set with these attributes."""
    fields = {
        name: Field(item.type, not item.always_there, item.values, item.description, _shape(item, sizes))
        for name, item in attributes.items()
    }
    if SIGNALS in fields:
        fields[SIGNALS] = Field(Type(SIGNALS), description="what is worked out from the texts of the request")
    fields[ASKED_MODEL] = Field(
        Type("model"), optional=True, description="catalogue model that `request.model` identifies, in any spelling"
    )
    return Record("request", fields)


def _shape(item: DeclaredAttribute, sizes: Sizes) -> Shape:
    return sizes.messages(item.largest) if item.holds_messages else sizes.of(item.type, item.largest)


_MODEL: Final[Mapping[str, tuple[Type, str]]] = {
    "name": (STRING, "name in the catalogue"),
    "provider": (STRING, "who serves it"),
    "family": (STRING, "model family, regardless of size"),
    "base": (STRING, "model it was trained from"),
    "trained_for": (_TEXTS, "tasks it was trained for"),
    "context_window": (INT, "maximum tokens of prompt and output together"),
    "max_output_tokens": (INT, "maximum output, in tokens"),
    "capabilities": (_TEXTS, "what it can do"),
    "latency_p50_ms": (DOUBLE, "median time to the complete answer"),
    "latency_p95_ms": (DOUBLE, "95th percentile of the time to the complete answer"),
    "quality": (map_of(STRING, DOUBLE), "measured quality by task, from 0 to 1"),
    "quality_low": (map_of(STRING, DOUBLE), "lower end of the interval of the quality by task, where it is known"),
    "quality_high": (map_of(STRING, DOUBLE), "upper end of the interval of the quality by task, where it is known"),
    "quality_cases": (map_of(STRING, INT), "how many cases the quality was measured on by task, where it is known"),
    "quality_measured": (map_of(STRING, TIMESTAMP), "day of the measurement by task, where it is known"),
    "regions": (_TEXTS, "where the data is processed"),
    "external": (BOOL, "whether prompts leave the company"),
    "fine_tuned": (BOOL, "whether it was trained from another model"),
    "deprecated": (BOOL, "whether its provider no longer recommends it on the day of the call"),
    "labels": (map_of(STRING, STRING), "custom keys and values"),
    "input_usd_per_million_tokens": (DOUBLE, "price of the prompt"),
    "output_usd_per_million_tokens": (DOUBLE, "price of the output"),
    WARM_TOKENS: (INT, "tokens of the session's prompt that are likely in the provider's cache"),
}
MODEL_FACTS: Final = frozenset({
    "provider", "family", "base", "context_window", "max_output_tokens", "capabilities", "latency_p50_ms",
    "latency_p95_ms", "regions", "input_usd_per_million_tokens", "output_usd_per_million_tokens", WARM_TOKENS,
})  # fmt: skip
"""Attributes of ``model`` that can be unknown, and are then absent."""


def model_record(unknown: Collection[str] = MODEL_FACTS) -> Record:
    """Return the record ``model``: a candidate. ``unknown`` are the attributes that some models lack."""
    return Record("model", {name: Field(type_, name in unknown, (), text) for name, (type_, text) in _MODEL.items()})


LIKELY_COST: Final = "likely_cost_usd"

ESTIMATE: Final = Record(
    "estimate",
    {
        "cost_usd": Field(DOUBLE, optional=True, description="cost in US dollars, absent without a price"),
        LIKELY_COST: Field(DOUBLE, optional=True, description="the same with what prompt caches likely save and cost"),
        "prompt_tokens": Field(INT, description="prompt tokens after the rewrites"),
        "output_tokens": Field(INT, description="limit on output tokens"),
    },
)
"""The expected tokens and cost of a call to the candidate."""

BUDGET: Final = Record(
    "budget",
    {
        "used": Field(DOUBLE, description="spent in the window, in the budget's unit"),
        "held": Field(DOUBLE, description="held for calls in progress"),
        "limit": Field(DOUBLE, description="hard limit in force"),
        "carried": Field(DOUBLE, description="what earlier periods left unused, as a part of the limit"),
        "left": Field(DOUBLE, description="what may still be spent or held"),
        "used_ratio": Field(DOUBLE, description="used and held, as a ratio of the limit"),
        "used_per_day": Field(DOUBLE, optional=True, description="spent on average in a day of the window so far"),
        "projected_ratio": Field(DOUBLE, optional=True, description="used when the window ends, at that rate"),
        "exhausted_in": Field(DURATION, optional=True, description="how long the remainder lasts at that rate"),
    },
)
"""State of one budget, for the scope key of the request."""

ROOT_TYPES: Final[Mapping[str, Type]] = {
    "request": Type("request"),
    "signals": Type("signals"),
    "model": Type("model"),
    "estimate": Type("estimate"),
    "budgets": map_of(STRING, Type("budget")),
    "variables": Type("variables"),
    "now": TIMESTAMP,
    "data": Type("data"),
}
"""Every variable that expressions can read; each field restricts them further."""


def model_values(model: Model, period: Period | None, day: date) -> dict[str, Value]:
    """Return the record ``model`` of expressions on a day, with the prices of ``period``. What is unknown is absent."""
    known: dict[str, Value | None] = {
        "name": model.name,
        "provider": model.provider,
        "family": model.family,
        "base": model.base,
        "trained_for": list(model.trained_for),
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": None if model.capabilities is None else sorted(model.capabilities),
        "latency_p50_ms": model.latency_p50_ms,
        "latency_p95_ms": model.latency_p95_ms,
        "quality": dict(model.quality),
        **_evidence(model),
        "regions": None if model.regions is None else list(model.regions),
        "external": model.external,
        "fine_tuned": model.base is not None,
        "deprecated": model.deprecated_on(day),
        "labels": dict(model.labels),
    }
    if period is not None:
        prices = period.rates.usd_per_million_tokens
        known["input_usd_per_million_tokens"] = float(prices["input"])
        known["output_usd_per_million_tokens"] = float(prices["output"])
    return {name: value for name, value in known.items() if value is not None}


def _evidence(model: Model) -> dict[str, Value]:
    known = model.evidence.items()
    return {
        "quality_low": {task: item.low for task, item in known if item.low is not None},
        "quality_high": {task: item.high for task, item in known if item.high is not None},
        "quality_cases": {task: item.cases for task, item in known if item.cases is not None},
        "quality_measured": {
            task: datetime.combine(item.measured, time(), UTC) for task, item in known if item.measured is not None
        },
    }


def unknown_facts(catalogue: Catalogue, admit: Admission) -> frozenset[str]:
    """Return the attributes of ``model`` that some candidate may lack, on whatever day."""
    if admit.unknown_models:
        return MODEL_FACTS
    always = [set(model_values(model, _first_period(model), date.min)) for model in catalogue]
    return frozenset(name for name in MODEL_FACTS if not all(name in known for known in always))


def _first_period(model: Model) -> Period | None:
    """Return the prices that hold from the beginning; where there are none, the model has days without a price."""
    return model.periods[0] if model.periods and model.periods[0].effective is None else None
