"""CL456: an allow that rests on signals alone, which whoever writes the prompt can steer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.checker.checks.subject import Finding, Subject, access_rules
from costlens_policy.checker.reads import request_reads, signal_reads, variable_reads
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.expressions import TypedExpr
from costlens_policy.signals.given import External

__all__ = ["check_steered_access"]

_FOUND: Final = Finding("CL456")

_WRITTEN: Final = frozenset({SIGNALS, "prompt", "messages", "prompt_tokens"})
"""What whoever writes the prompt determines. All else says who asks, and what for."""


def check_steered_access(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of rules that allow by signals of a text, and ask for nothing that the text does not determine."""
    declared = subject.bundle.signals.by_name
    for rule in access_rules(subject) if declared else ():
        when = rule.place.at("when")
        typed = subject.typed(when)
        if rule.rule.effect != "allow" or typed is None:
            continue
        parts = list(_with_variables(typed, subject.variables(rule.policy)))
        named = [(name, extent) for part in parts for name, extent in signal_reads(part)]
        steered = [name for name, _ in named if name in declared and not isinstance(declared[name].kind, External)]
        if steered and _WRITTEN.issuperset(name for part in parts for name in request_reads(part)):
            extent = next((extent for name, extent in signal_reads(typed) if name in steered), typed.root.extent)
            yield _FOUND.warning(
                f"`{rule.name}` allows by the signal `{steered[0]}` alone",
                when.part(extent),
                "worked out from what the caller writes",
                "ask for an attribute of who asks as well, such as `request.team`, or choose a model by the signal",
            )


def _with_variables(typed: TypedExpr, variables: Mapping[str, TypedExpr]) -> Iterator[TypedExpr]:
    """Yield an expression, and those of the variables that it reads, however far away."""
    waiting, seen = [typed], set[str]()
    while waiting:
        part = waiting.pop()
        yield part
        for name, _ in variable_reads(part):
            if name in variables and name not in seen:
                seen.add(name)
                waiting.append(variables[name])
