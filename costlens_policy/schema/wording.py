"""Words for values, types and sections, as messages use them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.source.located import LocatedDocument, LocatedValue, Path, Plain

__all__ = ["expected", "found", "section_name", "shown", "subject", "written"]

_LONGEST: Final = 60
_FORMATS: Final = {
    "cel": "an expression",
    "re2": "a regular expression",
    "date": "a date",
    "date-time": "a moment in time",
}
_TYPES: Final = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "`true` or `false`",
    "array": "a list",
    "object": "a mapping",
}


def expected(schema: Mapping[str, Any]) -> str:
    """Return what a schema wants, such as ``a whole number or an expression``."""
    branches = schema.get("anyOf", ()) if "type" not in schema else ()
    if branches:
        return " or ".join(dict.fromkeys(expected(branch) for branch in branches))
    return _FORMATS.get(schema.get("format", "")) or _TYPES.get(schema.get("type", ""), "something else")


def found(value: Plain) -> str:
    """Return what kind of value stands there."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a truth value"
        case int() | Decimal():
            return "a number"
        case datetime():
            return "a moment in time"
        case date():
            return "a date"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case str():
            return "text"


def written(document: LocatedDocument, value: LocatedValue) -> str:
    """Return the text of a value as the author wrote it, shortened to one line."""
    return shown(document.source.text[value.span.start.offset : value.span.end.offset])


def shown(text: str) -> str:
    """Return a text fit for a message: one line, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def subject(path: Path) -> str:
    """Return what a path leads to: `` `key` ``, ``item 2 of `key` `` or ``the document``."""
    if not path:
        return "the document"
    step = path[-1]
    if isinstance(step, str):
        return f"`{shown(step)}`"
    return f"item {step + 1} of {subject(path[:-1])}"


def section_name(schema: Mapping[str, Any], value: Plain, path: Path) -> str:
    """Return a section as an author would call it: ``route `cheap-first` ``, `` `defaults` `` or ``operation``."""
    title = str(schema.get("title", "mapping"))
    if isinstance(value, dict):
        for key in ("id", "name"):
            if isinstance(name := value.get(key), str):
                return f"{title} `{shown(name)}`"
    if path and isinstance(path[-1], str):
        return subject(path)
    return f"this {title}"
