"""The account of the work that one evaluation may do."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from costlens_policy.expressions.compile.fast.names import WORK
from costlens_policy.expressions.compile.fast.python import assign, const
from costlens_policy.expressions.runtime.limits import Work

if TYPE_CHECKING:
    from costlens_policy.expressions.compile.fast.emitter import Emitter

__all__ = ["account"]


def account(emitter: Emitter) -> list[ast.stmt]:
    """Return the statement that opens the account, where an expression counts its work."""
    if not emitter.uses_work:
        return []
    return [assign(WORK, emitter.call(Work, const(emitter.limits.iterations)))]
