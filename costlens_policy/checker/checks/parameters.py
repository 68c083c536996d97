"""CL421: a parameter that looks like a misspelling of a known one, or a value that no provider takes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from costlens_policy.checker.checks.subject import Finding, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import nearest
from costlens_policy.documents.parameters import NUMBERS, PASSING, canonical_parameter, steering
from costlens_policy.documents.rewrites import Clamp

__all__ = ["check_parameters"]

_FOUND: Final = Finding("CL421")
_OTHERS: Final = PASSING - NUMBERS
_TAKEN: Final = {
    "temperature": (0, 2), "top_p": (0, 1), "min_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2),
    "max_output_tokens": (1, 2_000_000), "n": (1, 128),
}  # fmt: skip
"""What any known provider takes, by the documentation of their APIs."""


def check_parameters(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about unknown parameters that resemble a known one, bounds for ones that are not numbers, and odd values."""
    for operation, place in operations_of(subject):
        for name, step, value in operation.parameters:
            at = place.at(operation.name, step).name_span
            near = None if name in PASSING or steering(name) else nearest(name, PASSING)
            if near is not None:
                message = f"no known provider takes a parameter `{name}`"
                yield _FOUND.warning(message, at, "unknown parameter", f"did you mean `{near}`?")
            elif operation.effect == "narrows" and name in _OTHERS:
                message = f"the parameter `{name}` is not a number"
                yield _FOUND.warning(message, at, "has no bounds", "set or remove it instead")
            elif (known := _TAKEN.get(canonical_parameter(name))) and (odd := _odd(value, *known)) is not None:
                low, high = known
                message = f"no known provider takes {odd} as `{name}`"
                label = "not a number" if isinstance(odd, str) else "is this the unit?"
                yield _FOUND.warning(message, at, label, f"`{name}` is from {low} to {high}")


def _odd(value: Any, low: float, high: float) -> Decimal | str | None:
    """Return a value, or a bound, that lies outside of a range, or is a truth value instead."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    stated = (value.min, value.max) if isinstance(value, Clamp) else (value,)
    numbers = (Decimal(str(number)) for number in stated if isinstance(number, int | float | Decimal))
    return next((number for number in numbers if number.is_nan() or not low <= number <= high), None)
