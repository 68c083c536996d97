"""Many conditions as one function that says which is the first to hold.

A few are tried in their order, in one generated function. Many are indexed: the function looks up, by what the
request's attributes are equal to or start with, the few conditions that can hold at all, and tries those in order.
"""

from costlens_policy.expressions.compile.first_match.compile import RuleError, compile_first_match

__all__ = ["RuleError", "compile_first_match"]
