"""The scalar types of documents, each with its own JSON Schema keywords."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

__all__ = [
    "AttributeName", "Count", "Date", "DocumentName", "DurationText", "Expression", "Identifier", "Instant",
    "IsExpression", "ModelName", "Number", "Pattern", "Ratio", "Usd", "Version",
]  # fmt: skip


class IsExpression:
    """Marks a string field as a CEL expression and says what type it must have.

    ``result`` is the CEL type's name (``bool``, ``double``, ``string``; ``number`` takes int and double), ``roots`` the
    variables that the expression may name.
    """

    __slots__ = ("result", "roots")

    def __init__(self, result: str, *roots: str) -> None:
        self.result: Final = result
        self.roots: Final = roots


def _exact(value: Any) -> Any:
    """Let whole numbers and exact fractions through as decimals; refuse floats and booleans."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


Expression = Annotated[str, Field(min_length=1, json_schema_extra={"format": "cel"})]
"""A CEL expression. Each field adds an ``IsExpression`` that says its type and its roots."""

Identifier = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$", max_length=100, examples=["premium-for-code-review"])
]
"""Id of a rule, route, rewrite, budget or fixture: lower case, digits, inner ``-``, ``_`` and ``.``"""

DocumentName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$", max_length=100, examples=["task-routing"])
]
AttributeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60, examples=["customer_tier"])]
ModelName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$", max_length=200, examples=["gpt-5-nano", "openai/gpt-5"])
]
"""Name of a model as the catalogue lists it: its own name, an alias, or ``provider/name``."""

Version = Annotated[
    str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$", max_length=60, examples=["1.0.0", "2026.11.1"])
]
Pattern = Annotated[str, Field(min_length=1, max_length=4000, json_schema_extra={"format": "re2"})]
"""A regular expression in RE2 syntax."""

DurationText = Annotated[
    str,
    Field(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$", max_length=60, examples=["30m", "24h", "7d", "1h30m"]),
]
"""A length of time: numbers with units ``ms s m h d w``; a day is 24 hours."""

Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
"""US dollars, exact to the last digit written."""
Number = Annotated[Decimal, BeforeValidator(_exact), WithJsonSchema({"type": "number"})]
Ratio = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Count = Annotated[int, Field(ge=0, le=2**53)]
Date = Annotated[date, WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-01"]})]
Instant = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-01T12:00:00Z"]})
]
