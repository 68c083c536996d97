"""What a running evaluation holds, and the shape of every evaluator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from costlens_policy.expressions.values import Value

__all__ = ["FIRST", "PARTS", "WORK", "Evaluate", "Frame"]

Frame: TypeAlias = list[Any]
"""A list of slots: the work left, the parts of a trace, then the parameters and the local variables."""

Evaluate: TypeAlias = Callable[[Frame], Value]
"""Evaluates one node in a frame. Raises CelError."""

WORK: Final = 0
PARTS: Final = 1
FIRST: Final = 2
