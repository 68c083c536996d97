"""CL426: policies set, bound or remove a parameter that steers the call, which no request may carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.parameters import Steering, advice, steering, steering_inside

__all__ = ["check_steering_parameters"]

_FOUND: Final = Finding("CL426")


def check_steering_parameters(subject: Subject) -> Iterator[Diagnostic]:
    """Report parameters that override what the policies decide, unless the policy set admits them."""
    admitted = subject.bundle.policy_set.document.admit.params
    yield from _default(subject, admitted)
    for operation, place in operations_of(subject):
        for name, step, value in operation.parameters:
            at = place.at(operation.name, step)
            yield from _given(name, value, at, admitted)
            if operation.effect == "replaces" and name in admitted:
                yield from _uncounted(name, at)


def _default(subject: Subject, admitted: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Examine the parameters that requests without any get."""
    policy_set = subject.bundle.policy_set
    attribute = policy_set.document.attributes.get("params")
    if attribute is None or not isinstance(attribute.default, dict):
        return
    place = Place(policy_set, ("attributes", "params", "default"))
    for name, value in attribute.default.items():
        yield from _given(str(name), value, place.at(name), admitted)


def _given(name: str, value: Any, at: Place, admitted: tuple[str, ...]) -> Iterator[Diagnostic]:
    own = steering(name)
    if own is not None and name not in admitted:
        yield _report(name, own, at)
        return
    for path, row in steering_inside(name, value, admitted):
        yield _report(path, row, at)


def _uncounted(name: str, at: Place) -> Iterator[Diagnostic]:
    own = steering(name)
    if own is not None and own.uncounted:
        message = f"a rewrite must not set `{name}`, which needs the caller's `prompt_tokens` with it"
        yield _FOUND.error(message, at.name_span, "adds text that cannot be counted")


def _report(path: str, row: Steering, at: Place) -> Diagnostic:
    message = f"a policy must not change the parameter `{path}`, which steers the call"
    instead = "remove tools with `remove_tools`; a policy cannot add any" if path == "tools" else advice(path, row)
    return _FOUND.error(message, at.name_span, "not allowed in any request", instead)
