"""CL486: a rule that goes by what is warm of a session, for requests that may have none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.attributes import LIKELY_COST, WARM_TOKENS
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.checker.reads import implied_by_variables
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import TypedExpr
from costlens_policy.expressions.checking.presence import Implied, present_when_true
from costlens_policy.source.located import Path

__all__ = ["check_cold_sessions"]

_FOUND: Final = Finding("CL486")
_WARM: Final = frozenset({("request", WARM_TOKENS), ("estimate", LIKELY_COST)})
_KNOWN: Final = frozenset({("request", "session"), ("request", WARM_TOKENS)})
"""A request that has one of these is about a session, or shows by itself what is warm."""


def check_cold_sessions(subject: Subject) -> Iterator[Diagnostic]:
    """Report rules that read what is warm without a condition that asks for a session."""
    if subject.bundle.attributes["session"].always_there:
        return
    for policy in subject.bundle.policies:
        expressions = subject.expressions[policy]
        implied, reported = implied_by_variables(expressions), set[Path]()
        for path, typed in expressions.items():
            rule = path[:2]
            if path[0] == "variables" or rule in reported or _WARM.isdisjoint(typed.references):
                continue
            if not _asks_for_session(path, expressions, implied):
                reported.add(rule)
                yield _FOUND.warning(
                    "this reads what is warm of a session, and the request may have none",
                    Place(policy, path).span,
                    "nothing is warm without a session",
                    "add `has(request.session)` to the condition, or make `session` a required attribute",
                )


def _asks_for_session(path: Path, expressions: Mapping[Path, TypedExpr], implied: Implied) -> bool:
    """Say whether the rule of an expression is only about requests with a session."""
    for guard in ((*path[:2], "when"), (*path[:-1], "among")):
        if guard in expressions:
            present = present_when_true(expressions[guard], implied)
            if any(known[:2] in _KNOWN for known in present):
                return True
    return False
