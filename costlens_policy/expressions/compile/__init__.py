"""From typed expressions to Python functions.

Each expression has two forms: a fast one, which is plain Python wherever static types make that right, and an exact
one, which takes over where the fast one raises and which a trace runs.
"""

from costlens_policy.expressions.compile.expression import compile_expression
from costlens_policy.expressions.compile.first_match import RuleError, compile_first_match
from costlens_policy.expressions.compile.trace import NOT_EVALUATED, Part, Trace, compile_traced

__all__ = [
    "NOT_EVALUATED",
    "Part",
    "RuleError",
    "Trace",
    "compile_expression",
    "compile_first_match",
    "compile_traced",
]
