"""What can go wrong while an expression is evaluated.

A message names functions, types and limits, and never a value: values come from requests, messages go to logs.
"""

from __future__ import annotations

from typing import Final

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.expressions.tree import Extent

__all__ = [
    "BAD_ARGUMENT", "BAD_CONVERSION", "BAD_KEY", "BAD_REGEX", "DIVISION_BY_ZERO", "INDEX_OUT_OF_RANGE",
    "NO_OPTIONAL_VALUE", "NO_OVERLOAD", "NO_SUCH_KEY", "NUMBER_OUT_OF_RANGE", "TIME_OUT_OF_RANGE", "TOO_DEEP",
    "TOO_LARGE", "TOO_MANY_ITERATIONS", "UNBOUND_NAME", "UNKNOWN_ZONE", "CelError", "LimitError",
]  # fmt: skip

NO_OVERLOAD: Final = "CL901"
NO_SUCH_KEY: Final = "CL902"
INDEX_OUT_OF_RANGE: Final = "CL903"
NUMBER_OUT_OF_RANGE: Final = "CL904"
DIVISION_BY_ZERO: Final = "CL905"
BAD_CONVERSION: Final = "CL906"
BAD_KEY: Final = "CL907"
BAD_ARGUMENT: Final = "CL908"
BAD_REGEX: Final = "CL909"
TIME_OUT_OF_RANGE: Final = "CL910"
UNKNOWN_ZONE: Final = "CL911"
NO_OPTIONAL_VALUE: Final = "CL912"
UNBOUND_NAME: Final = "CL913"
TOO_MANY_ITERATIONS: Final = "CL914"
TOO_LARGE: Final = "CL915"
TOO_DEEP: Final = "CL916"


class CelError(CostlensPolicyError):
    """An expression has no value. ``code`` is a run-time code such as ``CL902``.

    ``extent`` is the part of the expression to blame; functions raise without one, the evaluator adds it. ``origin`` is
    whatever its owner calls the expression that failed, where that is another one: a variable that was read.
    """

    def __init__(self, code: str, message: str, extent: Extent | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extent = extent
        self.origin: object = None

    def __repr__(self) -> str:
        return f"CelError({self.code}, {self.message!r}, {self.extent})"


class LimitError(CelError):
    """A limit was reached: the evaluation ends, and no ``||`` or ``&&`` absorbs that."""
