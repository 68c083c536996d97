"""What expressions may read: the standard request attributes and the records of the stages, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from costlens_policy.expressions import (
    ANY_LIST,
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Field,
    Record,
    Type,
    list_of,
    map_of,
)

__all__ = [
    "BUDGET", "ESTIMATE", "MODEL", "ROOT_TYPES", "STANDARD_ATTRIBUTES", "DeclaredAttribute", "request_record",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeclaredAttribute:
    """A request attribute. ``default`` is a plain Python value, None where there is none."""

    name: str
    type: Type
    required: bool = False
    default: Any = None
    values: tuple[str, ...] = ()
    description: str = ""

    @property
    def always_there(self) -> bool:
        return self.required or self.default is not None


_TEXTS: Final = list_of(STRING)
_ANY_OBJECT: Final = map_of(STRING, DYN)

_STANDARD: Final = (
    ("task", STRING, "what the call is for, such as `summarization`"),
    ("prompt", STRING, "text of a call without messages"),
    ("messages", ANY_LIST, "messages in the shape of OpenAI or Anthropic"),
    ("model", STRING, "model that the caller asked for"),
    ("prompt_tokens", INT, "tokens of the prompt"),
    ("max_output_tokens", INT, "output limit of the call"),
    ("params", _ANY_OBJECT, "parameters of the call, such as `temperature`"),
    ("tools", ANY_LIST, "tools that the model may call"),
    ("modalities", _TEXTS, "kinds of content, such as `text` or `image`"),
    ("response_format", DYN, "format that the answer must have"),
    ("stream", BOOL, "whether the answer is streamed"),
    ("user", STRING, "who calls"),
    ("team", STRING, "team of the caller"),
    ("organization", STRING, "organization of the caller"),
    ("project", STRING, "project that the call belongs to"),
    ("feature", STRING, "feature of the product that the call serves"),
    ("environment", STRING, "environment, such as `production`"),
    ("region", STRING, "region that the request comes from"),
    ("tags", _TEXTS, "free marks"),
    ("session", STRING, "conversation that the call belongs to"),
    ("cost_budget", DOUBLE, "highest cost of the call in US dollars"),
    ("latency_budget_ms", DOUBLE, "longest time to the answer in milliseconds"),
    ("metadata", _ANY_OBJECT, "free keys and values"),
)

STANDARD_ATTRIBUTES: Final[Mapping[str, DeclaredAttribute]] = {
    name: DeclaredAttribute(name, type_, description=description) for name, type_, description in _STANDARD
}
"""Request attributes that every policy set knows; all are optional unless the set says otherwise."""


def request_record(attributes: Mapping[str, DeclaredAttribute]) -> Record:
    """Return the record ``request`` of a policy set with these attributes."""
    fields = {
        name: Field(item.type, not item.always_there, item.values, item.description)
        for name, item in attributes.items()
    }
    return Record("request", fields)


MODEL: Final = Record(
    "model",
    {
        "name": Field(STRING),
        "provider": Field(STRING, optional=True),
        "family": Field(STRING, optional=True),
        "base": Field(STRING, optional=True, description="model it was trained from"),
        "trained_for": Field(_TEXTS, description="tasks it was trained for"),
        "context_window": Field(INT, optional=True),
        "max_output_tokens": Field(INT, optional=True),
        "capabilities": Field(_TEXTS, optional=True),
        "latency_p50_ms": Field(DOUBLE, optional=True),
        "latency_p95_ms": Field(DOUBLE, optional=True),
        "quality": Field(map_of(STRING, DOUBLE), description="measured quality by task, from 0 to 1"),
        "regions": Field(_TEXTS, optional=True),
        "external": Field(BOOL, description="whether prompts leave the company"),
        "fine_tuned": Field(BOOL),
        "deprecated": Field(BOOL, description="whether the provider no longer recommends it on the day of the call"),
        "labels": Field(map_of(STRING, STRING)),
        "input_usd_per_million_tokens": Field(DOUBLE, optional=True),
        "output_usd_per_million_tokens": Field(DOUBLE, optional=True),
    },
)
"""A candidate. What the catalogue does not know is absent."""

ESTIMATE: Final = Record(
    "estimate",
    {
        "cost_usd": Field(DOUBLE, optional=True, description="absent where the candidate has no price"),
        "prompt_tokens": Field(INT),
        "output_tokens": Field(INT),
    },
)
"""What a call to the candidate will probably take."""

BUDGET: Final = Record(
    "budget",
    {
        "used": Field(DOUBLE, description="spent in the window, in the budget's unit"),
        "held": Field(DOUBLE, description="held for calls that are under way"),
        "limit": Field(DOUBLE),
        "left": Field(DOUBLE),
        "used_ratio": Field(DOUBLE, description="used and held, as a ratio of the limit"),
    },
)
"""State of one budget, for the scope key of the request."""

ROOT_TYPES: Final[Mapping[str, Type]] = {
    "request": Type("request"),
    "model": Type("model"),
    "estimate": Type("estimate"),
    "budgets": map_of(STRING, Type("budget")),
    "variables": Type("variables"),
    "now": TIMESTAMP,
}
"""Every name that an expression can start from; which of them it may, its field says."""
