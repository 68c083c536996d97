"""What to do about a value of the wrong type: nearly always a quote or a bracket is too many or missing."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any, Final

from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.schema.repairs import plain_number
from costlens_policy.schema.violations import Violation

__all__ = ["advice_on_type"]

_NUMBER: Final = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
_PERCENT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_MONEY: Final = re.compile(r"(?:\$|usd)\s*([0-9]+(?:\.[0-9]+)?)|([0-9]+(?:\.[0-9]+)?)\s*(?:\$|usd)", re.IGNORECASE)


def advice_on_type(broken: Violation, text: str) -> str:
    """Return how to write the value, or an empty text. ``text`` is the value as it stands in the file."""
    schemas = broken.schema.get("anyOf") or [broken.schema]
    for schema in schemas:
        if advice := _ADVICE.get(schema.get("type", ""), _none)(schema, broken, text):
            return advice
    return ""


def _none(schema: Any, broken: Violation, text: str) -> str:
    return ""


def _to_text(schema: Any, broken: Violation, text: str) -> str:
    value = broken.value
    if isinstance(value, bool | int | Decimal | date):
        reads = {bool: "a truth value", int: "a number", Decimal: "a number"}.get(type(value), "a date")
        return f'YAML reads {text} as {reads}; quote it: {_pair(broken)}"{text}"`'
    if schema.get("format") == "cel" and isinstance(value, dict) and len(value) == 1:
        return "quote the expression, or write it on lines of its own after `|`"
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return "write the text without the list"
    return ""


def _to_number(schema: Any, broken: Violation, text: str) -> str:
    if not isinstance(broken.value, str):
        return "write it without a fraction" if isinstance(broken.value, Decimal) else ""
    content = broken.value.strip()
    if _NUMBER.fullmatch(content):
        return f"take the quotes away: {_pair(broken)}{content}`"
    if digits := plain_number(content):
        return f"write {_pair(broken)}{digits}`"
    if match := _PERCENT.fullmatch(content):
        return f"write {_pair(broken)}{Decimal(match[1]) / 100 if schema.get('maximum') == 1 else match[1]}`"
    if match := _MONEY.fullmatch(content):
        return f"write the number alone, in US dollars: {_pair(broken)}{match[1] or match[2]}`"
    return ""


def _to_truth(schema: Any, broken: Violation, text: str) -> str:
    word = str(broken.value).casefold()
    if word in ("true", "yes", "on", "y", "1"):
        return f"write {_pair(broken)}true`"
    return f"write {_pair(broken)}false`" if word in ("false", "no", "off", "n", "0") else ""


def _to_list(schema: Any, broken: Violation, text: str) -> str:
    if isinstance(broken.value, str | int | Decimal) and len(text) < 40:
        return f"write a list: {_pair(broken)}[{text}]`"
    return "put `- ` before each item" if isinstance(broken.value, dict) else ""


def _to_mapping(schema: Any, broken: Violation, text: str) -> str:
    keys = list(schema.get("properties", ()))
    needed = schema.get("required", ())
    if isinstance(broken.value, list):
        return f"take the `- ` away; its keys are {listed(keys)}" if keys else "write `name: value` pairs, without `- `"
    if isinstance(broken.value, str) and len(needed) == 1 and len(text) < 40:
        value = text if re.fullmatch(r"[\w./-]+", text) else json.dumps(broken.value, ensure_ascii=False)
        return f"write {_pair(broken)}{{{needed[0]}: {value}}}`"
    return f"its keys are {listed(keys)}" if keys else ""


def _pair(broken: Violation) -> str:
    """Return the start of an example: an opening backtick and, outside lists, the key."""
    step = broken.path[-1] if broken.path else 0
    return f"`{step}: " if isinstance(step, str) else "`"


_ADVICE: Final = {
    "string": _to_text,
    "number": _to_number,
    "integer": _to_number,
    "boolean": _to_truth,
    "array": _to_list,
    "object": _to_mapping,
}
