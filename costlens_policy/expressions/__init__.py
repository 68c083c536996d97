"""CEL: from text to a typed expression, and from there (``expressions.compile``) to a Python function.

``analyze`` is the whole front end. Neither lark nor cel-python is imported to use it, and what reads and checks texts
is imported when it is used: expressions that were saved need it no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.tree import Extent, Invocation, Node, Resolution, ResolutionKind, TypedExpr
from costlens_policy.expressions.types import (
    ANY_LIST,
    ANY_MAP,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Environment,
    Field,
    Function,
    Overload,
    Record,
    Type,
    list_of,
    map_of,
    optional_of,
)
from costlens_policy.expressions.values import Duration, Timestamp, Uint, Value
from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.expressions.analysis import Analyzed, analyze
    from costlens_policy.expressions.checking.checker import check, unchecked
    from costlens_policy.expressions.checking.presence import Paths, present_when_true
    from costlens_policy.expressions.functions.rows import parse_type
    from costlens_policy.expressions.problems import ExpressionError, Problem, did_you_mean
    from costlens_policy.expressions.syntax.parser import parse

__all__ = [
    "ANY_LIST", "ANY_MAP", "BOOL", "BYTES", "DEFAULT_LIMITS", "DOUBLE", "DURATION", "DYN", "INT", "NULL", "STRING",
    "TIMESTAMP", "UINT", "Analyzed", "Duration", "Environment", "ExpressionError", "Extent", "Field", "Function",
    "Invocation", "Limits", "Node", "Overload", "Paths", "Problem", "Record", "Resolution", "ResolutionKind",
    "Timestamp", "Type", "TypedExpr", "Uint", "Value", "analyze", "check", "did_you_mean", "list_of", "map_of",
    "optional_of", "parse", "parse_type", "present_when_true", "unchecked",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "Analyzed": "costlens_policy.expressions.analysis",
        "ExpressionError": "costlens_policy.expressions.problems",
        "Paths": "costlens_policy.expressions.checking.presence",
        "Problem": "costlens_policy.expressions.problems",
        "analyze": "costlens_policy.expressions.analysis",
        "check": "costlens_policy.expressions.checking.checker",
        "did_you_mean": "costlens_policy.expressions.problems",
        "parse": "costlens_policy.expressions.syntax.parser",
        "parse_type": "costlens_policy.expressions.functions.rows",
        "present_when_true": "costlens_policy.expressions.checking.presence",
        "unchecked": "costlens_policy.expressions.checking.checker",
    },
)
