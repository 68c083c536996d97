"""CL426: a policy sets, bounds or removes a parameter that no request may carry, since it would steer the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.operations import operations_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.parameters import Steering, steering, steering_inside
from costlens_policy.documents.rewrites import Operation

__all__ = ["check_steering_parameters"]

_FOUND: Final = Finding("CL426")


def check_steering_parameters(subject: Subject) -> Iterator[Diagnostic]:
    """Report parameters that decide again what the policies decide, unless the policy set admits them."""
    admitted = subject.bundle.policy_set.document.admit.params
    for operation, place in operations_of(subject):
        yield from _set(operation, place, admitted)
        for name in operation.clamp_params or ():
            yield from _named(name, place.at("clamp_params", name), admitted)
        for index, name in enumerate(operation.remove_params or ()):
            yield from _named(name, place.at("remove_params", index), admitted)


def _set(operation: Operation, place: Place, admitted: tuple[str, ...]) -> Iterator[Diagnostic]:
    for name, value in (operation.set_params or {}).items():
        at = place.at("set_params", name)
        yield from _named(name, at, admitted)
        for path, row in steering_inside(name, value, admitted):
            yield _report(path, row, at)
        own = steering(name)
        if own is not None and own.uncounted and name in admitted:
            message = f"only a request can give `{name}`: it needs `prompt_tokens` with it, and a rewrite has none"
            yield _FOUND.error(message, at.name_span, "adds text that nobody can count")


def _named(name: str, at: Place, admitted: tuple[str, ...]) -> Iterator[Diagnostic]:
    row = steering(name)
    if row is not None and name not in admitted:
        yield _report(name, row, at)


def _report(path: str, row: Steering, at: Place) -> Diagnostic:
    name = path.partition(".")[0]
    admit = f", or name it under `admit: {{params: [{name}]}}` of the policy set" if row.admissible else ""
    message = f"a rewrite must not touch the parameter `{path}`: it would steer the call"
    return _FOUND.error(message, at.name_span, "no request may carry this", f"{row.instead}{admit}")
