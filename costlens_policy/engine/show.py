"""Values as short texts for people."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from costlens_policy.expressions import Value
from costlens_policy.expressions.runtime import CelError, to_python
from costlens_policy.money import format_usd

__all__ = ["show", "show_amount"]

_LONGEST: Final = 80


def show(value: Value | CelError) -> str:
    """Return a value as one short line: strings quoted, long ones cut in the middle, errors by their message."""
    if isinstance(value, CelError):
        return f"error: {value}"
    text = _text(to_python(value)).replace("\n", "\\n")
    if len(text) <= _LONGEST:
        return text
    half = (_LONGEST - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def show_amount(amount: Decimal, unit: str) -> str:
    """Return an amount of a budget: ``$12.50``, ``1,200 tokens``, ``3 requests``."""
    return format_usd(amount) if unit == "usd" else f"{amount:,f} {unit}"


def _text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)
