"""What documents are made of: scalar types with their JSON Schema keywords, sections, and the head that all share.

A scalar type is a name for a text or a number of one form; a section is an object of known keys; a document is a
section with ``apiVersion``, ``kind`` and ``metadata``.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from costlens_policy.units import MAX_WEIGHT

__all__ = [
    "API_VERSIONS", "AttributeName", "Capability", "Count", "Date", "Document", "DocumentName", "DurationText",
    "Expression", "FilePath", "Identifier", "IsExpression", "Metadata", "Milliseconds", "ModelName", "Multiple",
    "Number", "ParameterName", "Pattern", "Quantile", "Ratio", "RuleReference", "Section", "ServiceTier", "TimeOfDay",
    "Timestamp", "Usd", "Version", "Weight", "described_schema",
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


def _with_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a timestamp needs a time and a zone, such as `2026-11-01T12:00:00Z`")
    return value


def _exact(value: Any) -> Any:
    """Let whole numbers and exact fractions through as decimals; refuse floats and booleans."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


def _name(pattern: str, longest: int, rule: str, *examples: str) -> Any:
    return Field(
        pattern=pattern,
        max_length=longest,
        examples=list(examples),
        json_schema_extra={"patternErrorMessage": rule},
    )


_INNER: Final = "lower-case letters, digits and inner `-`, `_` and `.`, with a letter first"

Expression = Annotated[str, Field(min_length=1, json_schema_extra={"format": "cel"})]
"""A CEL expression. Each field adds an ``IsExpression`` that says its type and its roots."""

Identifier = Annotated[str, _name(r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$", 100, _INNER, "premium-for-code-review")]
"""Id of a rule, route, rewrite, budget or fixture: lower case, digits, inner ``-``, ``_`` and ``.``"""

RuleReference = Annotated[
    str,
    _name(
        r"^([a-z][a-z0-9]*([-_.][a-z0-9]+)*/)?[a-z][a-z0-9]*([-_.][a-z0-9]+)*$",
        201,
        "the id of a rule, or `policy/id` for a rule of another policy",
        "shared-pool",
        "company/shared-pool",
    ),
]
"""Id of a rule of the same policy, or ``policy/id``."""

DocumentName = Annotated[str, _name(r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$", 100, _INNER, "task-routing")]
AttributeName = Annotated[
    str, _name(r"^[a-z][a-z0-9_]*$", 60, "lower-case letters, digits and `_`, with a letter first", "customer_tier")
]
ServiceTier = Annotated[
    str, _name(r"^[a-z][a-z0-9_]*$", 40, "lower-case letters, digits and `_`, with a letter first", "flex")
]
ModelName = Annotated[
    str,
    _name(
        r"^[A-Za-z0-9][A-Za-z0-9._:/@+~-]*$",
        200,
        "letters, digits and `. _ : / @ + ~ -`, with a letter or digit first",
        "gpt-5-nano",
        "openai/gpt-5",
    ),
]
"""Name of a model as the catalogue lists it: its own name, an alias, or ``provider/name``."""

Version = Annotated[
    str,
    _name(
        r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$",
        60,
        "letters, digits and `. + _ -`, with a letter or digit first",
        "1.0.0",
        "2026.11.1",
    ),
]
ParameterName = Annotated[
    str,
    _name(r"^[A-Za-z_][A-Za-z0-9_.-]*$", 100, "letters, digits and `_ . -`, with a letter or `_` first", "temperature"),
]
"""Name of a parameter of calls, in a provider's spelling."""
Pattern = Annotated[str, Field(min_length=1, max_length=4000, json_schema_extra={"format": "re2"})]
"""A regular expression in RE2 syntax."""

DurationText = Annotated[
    str,
    _name(
        r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$",
        60,
        "numbers with the units `ms`, `s`, `m`, `h`, `d` and `w`, such as `30m` or `1h30m`",
        "30m",
        "24h",
        "7d",
        "1h30m",
    ),
]
"""A length of time: numbers with units ``ms s m h d w``; a day is 24 hours."""

FilePath = Annotated[str, Field(min_length=1, max_length=500, examples=["policies/routing.yaml"])]
"""Path relative to the document's own folder; it may not leave the repository."""

Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0})]
"""US dollars, exact to the last digit written."""
Milliseconds = Annotated[
    Decimal, BeforeValidator(_exact), Field(ge=0), WithJsonSchema({"type": "number", "minimum": 0, "examples": [800]})
]
Number = Annotated[Decimal, BeforeValidator(_exact), WithJsonSchema({"type": "number"})]
Ratio = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=1),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1}),
]
Multiple = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(gt=0, le=1000),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1000}),
]
"""How many times as much: above 0, and above 1 where more is meant."""
Quantile = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=Decimal("0.5"), le=Decimal("0.999")),
    WithJsonSchema({"type": "number", "minimum": 0.5, "maximum": 0.999}),
]
Weight = Annotated[
    Decimal,
    BeforeValidator(_exact),
    Field(ge=0, le=MAX_WEIGHT),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_WEIGHT}),
]
"""What one token counts as; at most ``MAX_WEIGHT_DIGITS`` digits after the point."""
Count = Annotated[int, Field(ge=0, le=2**53)]
TimeOfDay = Annotated[
    str, _name(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", 5, 'hours and minutes in quotes, such as `"16:30"`', "16:30")
]
Date = Annotated[date, WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-01"]})]
Timestamp = Annotated[
    datetime,
    AfterValidator(_with_zone),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-01T12:00:00Z"]}),
]

Capability = Literal[
    "tools", "parallel_tools", "vision", "audio_input", "audio_output", "file_input", "json_mode", "json_schema",
    "reasoning", "prompt_caching", "web_search",
]  # fmt: skip
"""What a model can do beyond answering in text."""

API_VERSIONS: Final = ("costlens-policy/v1",)


def _alternatives(schema: dict[str, Any], section: type[Section]) -> None:
    if section.exactly_one:
        schema["oneOf"] = [{"required": [key]} for key in section.exactly_one]
    if section.at_least_one:
        schema["required"] = [key for key in schema.get("required", ()) if key not in section.at_least_one]
        schema["anyOf"] = [{"required": [key]} for key in section.at_least_one]


class Section(BaseModel):
    """A part of a document: frozen, and closed to keys it does not know. The JSON Schema has seen the types first."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        json_schema_extra=_alternatives,
    )

    exactly_one: ClassVar[tuple[str, ...]] = ()
    """Keys that exclude each other, and of which one must be there."""
    at_least_one: ClassVar[tuple[str, ...]] = ()
    """Keys of which one must be there, or several."""

    @model_validator(mode="after")
    def _keep_to_alternatives(self) -> Self:
        if self.exactly_one and self._count(self.exactly_one) != 1:
            raise ValueError(f"set exactly one of {_listed(self.exactly_one)}")
        if self.at_least_one and not self._count(self.at_least_one):
            raise ValueError(f"set at least one of {_listed(self.at_least_one)}")
        return self

    def _count(self, keys: tuple[str, ...]) -> int:
        return sum(getattr(self, key) not in (None, ()) for key in keys)


def described_schema(section: type[Section]) -> dict[str, Any]:
    """Return the JSON Schema of a section with the docstrings of its keys, which only people read.

    pydantic would read them whenever a class is made, which takes as long as all the rest of importing the documents.
    """
    schema = section.model_json_schema()
    sections = {item.__name__: item for item in _sections(Section)}
    for name, part in ((section.__name__, schema), *schema.get("$defs", {}).items()):
        if name in sections:
            _describe(part["properties"], sections[name])
    return schema


def _sections(above: type[Section]) -> Iterator[type[Section]]:
    for section in above.__subclasses__():
        yield section
        yield from _sections(section)


def _describe(properties: dict[str, Any], section: type[Section]) -> None:
    texts: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if issubclass(base, Section):
            texts |= _docstrings(base.__module__).get(base.__name__, {})
    for name, field in section.model_fields.items():
        if name in texts:
            properties[field.alias or name]["description"] = texts[name]


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings of the attributes of a module's classes, by class and attribute; none without source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:  # installed as byte code alone
        return {}
    return {
        node.name: {
            one.target.id: inspect.cleandoc(other.value.value)
            for one, other in pairwise(node.body)
            if isinstance(one, ast.AnnAssign)
            and isinstance(one.target, ast.Name)
            and isinstance(other, ast.Expr)
            and isinstance(other.value, ast.Constant)
            and isinstance(other.value.value, str)
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def _listed(keys: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in keys[:-1]) + f" and `{keys[-1]}`"


class Metadata(Section):
    """Which document this is."""

    name: DocumentName
    """Name of the document, unique within a repository of policies."""
    version: Version
    """Version of the document. Quote it, or YAML reads ``1.10`` as the number 1.1."""
    description: Annotated[str, Field(examples=["Who may call which model, and at what price."])] = ""
    """What the document is for, in a sentence or two."""
    owners: tuple[Annotated[str, Field(examples=["platform-team"])], ...] = ()
    """People or teams responsible for it."""
    labels: dict[str, str] = Field(default_factory=dict, examples=[{"ticket": "PLAT-231"}])
    """Custom keys and values for your own tooling; they do not affect decisions."""


class Document(Section):
    """The head of every document."""

    api_version: Literal["costlens-policy/v1"] = Field(alias="apiVersion")
    """Version of the document format."""
    metadata: Metadata
    """Name and version of the document, and who is responsible for it."""
