"""Doubles as text, and back."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from costlens_policy.expressions.runtime.errors import BAD_CONVERSION, CelError

__all__ = ["double_text", "fixed_text", "parse_double", "special_text"]

_EXPONENT_FROM: Final = 6
"""``string()`` writes an exponent from here on, and below -4, as ``%g`` does in Go and C++."""

_NUMERAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL: Final = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_LONGEST_TEXT: Final = 1_000


def double_text(value: float) -> str:
    """Write a double with the fewest digits that read back as it: ``0.1``, ``1e+06``."""
    special = special_text(value)
    if special:
        return special
    _, digits, scale = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(scale, int)  # it is text for the special values only
    exponent = len(digits) + scale - 1 if value else 0
    if -4 <= exponent < _EXPONENT_FROM:
        return fixed_text(value)
    mantissa = "".join(map(str, digits))
    point = "." if len(mantissa) > 1 else ""
    sign = "-" if value < 0 else ""
    return f"{sign}{mantissa[0]}{point}{mantissa[1:]}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def fixed_text(value: float) -> str:
    """Write a double without an exponent: ``100000000``, ``0.000001``."""
    return special_text(value) or f"{Decimal(repr(value)):f}".removesuffix(".0")


def special_text(value: float) -> str:
    """Return ``NaN``, ``Infinity`` or ``-Infinity``, and nothing for a finite number."""
    if math.isfinite(value):
        return ""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def parse_double(text: str) -> float:
    """Read a decimal numeral, ``NaN`` or ``Infinity``. Raises CelError."""
    if len(text) <= _LONGEST_TEXT:
        if _NUMERAL.fullmatch(text):
            return float(text)
        special = _SPECIAL.get(text.lstrip("+-").lower())
        if special is not None and len(text) - len(text.lstrip("+-")) <= 1:
            return -special if text.startswith("-") else special
    raise CelError(BAD_CONVERSION, "the text is not a number")
