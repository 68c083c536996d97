"""What a running evaluation holds, and the shape of every evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.runtime.errors import CelError
from costlens_policy.expressions.tree import Extent
from costlens_policy.expressions.values import Value

__all__ = ["FIRST", "PARTS", "WORK", "Evaluate", "Frame", "placed"]

Frame: TypeAlias = list[Any]
"""A list of slots: the work left, the parts of a trace, then the parameters and the local variables."""

Evaluate: TypeAlias = Callable[[Frame], Value]
"""Evaluates one node in a frame. Raises CelError."""

WORK: Final = 0
PARTS: Final = 1
FIRST: Final = 2


def placed(error: CelError, extent: Extent) -> CelError:
    """Give an error the place of the node that raised it, unless a node below gave it one."""
    if error.extent is None:
        error.extent = extent
    return error
