"""CL421: a parameter that looks like a misspelling of a known one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import nearest
from costlens_policy.documents.parameters import NUMBERS, PASSING, steering

__all__ = ["check_parameters"]

_FOUND: Final = Finding("CL421")
_OTHERS: Final = PASSING - NUMBERS


def check_parameters(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about unknown parameters that resemble a known one, and about bounds for ones that are not numbers."""
    for operation, place in operations_of(subject):
        for name, step, _ in operation.parameters:
            at = place.at(operation.name, step).name_span
            near = None if name in PASSING or steering(name) else nearest(name, PASSING)
            if near is not None:
                message = f"no known provider takes a parameter `{name}`"
                yield _FOUND.warning(message, at, "unknown parameter", f"did you mean `{near}`?")
            elif operation.effect == "narrows" and name in _OTHERS:
                message = f"the parameter `{name}` is not a number"
                yield _FOUND.warning(message, at, "has no bounds", "set or remove it instead")
