"""The environment of the front end's tests: a request as policies declare it."""

from __future__ import annotations

from costlens_policy.expressions import (
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Environment,
    Field,
    Record,
    Type,
    list_of,
    map_of,
)
from costlens_policy.expressions.types import BOOL

__all__ = ["ENVIRONMENT"]

_REQUEST = Record(
    "request",
    {
        "model": Field(STRING),
        "task": Field(STRING),
        "tier": Field(STRING, values=("free", "pro")),
        "response_format": Field(STRING, values=("text", "json")),
        "modalities": Field(list_of(STRING), values=("text", "image")),
        "tags": Field(list_of(STRING)),
        "metadata": Field(map_of(STRING, DYN)),
        "prompt_tokens": Field(INT),
        "temperature": Field(DOUBLE),
        "stream": Field(BOOL),
        "team": Field(STRING, optional=True),
        "cost_budget": Field(DOUBLE, optional=True),
        "session": Field(Type("session"), optional=True),
        "messages": Field(list_of(Type("message"))),
    },
)
_MESSAGE = Record("message", {"role": Field(STRING), "content": Field(STRING, optional=True)})
_SESSION = Record("session", {"id": Field(STRING), "parent": Field(STRING, optional=True)})
_VARIABLES = Record("variables", {"is_long": Field(BOOL), "is_cheap": Field(BOOL)})

ENVIRONMENT = Environment(
    variables={"request": Type("request"), "variables": Type("variables"), "now": TIMESTAMP, "limit": INT},
    records={record.name: record for record in (_REQUEST, _MESSAGE, _SESSION, _VARIABLES)},
)
