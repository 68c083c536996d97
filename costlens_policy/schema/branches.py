"""Which of several alternatives of a schema an author had in mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from costlens_policy.source.located import Plain

__all__ = ["best_branch", "type_of"]


def type_of(value: Plain) -> str:
    """Return JSON Schema's name for the type of a value; dates are ``string``, as in JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | Decimal():
            return "number"
        case str() | date():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"


def best_branch(value: Plain, branches: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the index of the branch that a value comes nearest to; None where it resembles none of several."""
    kind = type_of(value)
    fitting = [index for index, branch in enumerate(branches) if _takes(branch, kind)]
    if not isinstance(value, dict) or len(fitting) == 1:
        return fitting[0] if fitting else None
    likeness = {index: _likeness(value, branches[index]) for index in fitting}
    best = max(likeness, key=lambda index: likeness[index], default=None)
    return best if best is not None and likeness[best] > (0, 0) else None


def _takes(branch: Mapping[str, Any], kind: str) -> bool:
    wanted = branch.get("type", kind)
    return bool(wanted == kind or (wanted == "integer" and kind == "number"))


def _likeness(value: dict[str, Plain], branch: Mapping[str, Any]) -> tuple[int, int]:
    """Count the keys that are required by the branch, then those that it knows."""
    return (
        sum(key in value for key in branch.get("required", ())),
        sum(key in value for key in branch.get("properties", ())),
    )
