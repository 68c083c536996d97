"""Every expression of a document: where it stands, what it may read and what it must give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

from costlens_policy.documents.document import Section
from costlens_policy.documents.scalars import IsExpression
from costlens_policy.source.located import Path

__all__ = ["ExpressionField", "expressions_of", "marks_of"]


@dataclass(frozen=True, slots=True)
class ExpressionField:
    """``text`` is the expression; ``rule`` says which roots it may name and which type it must have."""

    path: Path
    text: str
    rule: IsExpression


def expressions_of(section: Section, path: Path = ()) -> Iterator[ExpressionField]:
    """Yield every expression below a section, in the order of its fields."""
    rules = marks_of(type(section))
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value is not None:
            yield from _inside(value, (*path, field.alias or name), rules[name])


def _inside(value: Any, path: Path, rule: IsExpression | None) -> Iterator[ExpressionField]:
    if isinstance(value, Section):
        yield from expressions_of(value, path)
    elif isinstance(value, str):
        if rule is not None:
            yield ExpressionField(path, value, rule)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _inside(item, (*path, index), rule)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _inside(item, (*path, key), rule)


@cache
def marks_of(section: type[Section]) -> Mapping[str, IsExpression | None]:
    """Return the mark of each field that has one, however deep in its annotation."""
    return {
        name: next(_marks((field.annotation, *field.metadata)), None) for name, field in section.model_fields.items()
    }


def _marks(parts: Any) -> Iterator[IsExpression]:
    for part in parts:
        if isinstance(part, IsExpression):
            yield part
        else:
            yield from _marks(getattr(part, "__metadata__", ()))
            yield from _marks(get_args(part))
