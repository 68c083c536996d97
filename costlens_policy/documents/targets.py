"""What an operation sets: two rules that set the same target need a declared ``merge``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from costlens_policy.documents.parameters import canonical_parameter

if TYPE_CHECKING:
    from costlens_policy.documents.rewrites import Operation

__all__ = ["targets"]

_TARGETS: Final = {
    "system": ("system",),
    "prefix": ("prefix",),
    "suffix": ("suffix",),
    "template": ("prompt",),
    "drop_examples": ("examples",),
    "trim_history": ("history",),
    "shorten_tool_output": ("tool_output",),
    # Replacements add up: each works on what the one before left, and none sets a text.
    "replace": (),
    "redact": (),
}


def targets(operation: Operation) -> tuple[str, ...]:
    """Return what an operation sets, such as ``prefix`` or ``params.temperature``; each name once, in order."""
    key = next(key for key in operation.exactly_one if getattr(operation, key) is not None)
    known = _TARGETS.get(key)
    if known is not None:
        return known
    return tuple(dict.fromkeys(f"params.{canonical_parameter(name)}" for name in getattr(operation, key)))
