"""Budgets that stand in where others are full: which ones, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import PolicyDocument
from costlens_policy.documents.budget import Budget

__all__ = ["LONGEST_CHAIN", "check_overflows", "overflow_of"]

LONGEST_CHAIN: Final = 4
"""Budgets that may stand in for each other in a row, the first among them."""

_Owner: TypeAlias = tuple[LinkedDocument[PolicyDocument], int]
"""A policy, and the place of a budget in it."""


def overflow_of(policy: PolicyDocument, budget: Budget) -> str | None:
    """Return the budget that stands in for one of a policy, as ``policy/budget``; None where none does."""
    name = budget.overflow
    return name if name is None or "/" in name else f"{policy.metadata.name}/{name}"


def check_overflows(bundle: LinkedBundle) -> Iterator[Diagnostic]:
    """Report overflows that do not exist, that stand in for each other, or that other policies take out of force.

    A budget that stands in for another has no effect by itself. So a policy decides that about its own budgets alone:
    else a team could lift the limit of its company.
    """
    owners = {
        f"{policy.name}/{budget.id}": (policy, index)
        for policy in bundle.policies
        for index, budget in enumerate(policy.document.budgets)
    }
    following = {name: overflow for name, owner in owners.items() if (overflow := _named_by(owner)) is not None}
    at_home = {overflow for name, overflow in following.items() if _policy(name) == _policy(overflow)}
    for name, overflow in following.items():
        span = _place(owners[name])
        if overflow not in owners:
            yield _unknown(span, overflow, _policy(name), owners)
        elif overflow not in at_home:
            yield _of_another_policy(span, overflow, owners[overflow])
        elif problem := _chain(name, following):
            advice = "remove one `overflow` of the chain"
            yield Diagnostic("CL227", Severity.ERROR, problem, span, "stands in here", advice)


def _named_by(owner: _Owner) -> str | None:
    policy, index = owner
    return overflow_of(policy.document, policy.document.budgets[index])


def _policy(budget: str) -> str:
    return budget.partition("/")[0]


def _place(owner: _Owner) -> Span:
    policy, index = owner
    return policy.located.root.span_of(("budgets", index, "overflow"))


def _unknown(span: Span, name: str, policy: str, known: Iterable[str]) -> Diagnostic:
    own = [item.removeprefix(f"{policy}/") for item in known]
    advice = did_you_mean(name.removeprefix(f"{policy}/"), own) or f"the budgets are {listed(own)}"
    return Diagnostic("CL209", Severity.ERROR, f"there is no budget `{name}`", span, "unknown budget", advice)


def _of_another_policy(span: Span, name: str, owner: _Owner) -> Diagnostic:
    policy, index = owner
    message = f"`overflow` would take the budget `{name}` of another policy out of force"
    advice = "name a budget of this policy, or one that is an overflow in its own policy"
    related = (Related(policy.located.root.span_of(("budgets", index, "id")), "limits calls by itself"),)
    return Diagnostic("CL228", Severity.ERROR, message, span, "counts every call by itself", advice, related)


def _chain(name: str, following: Mapping[str, str]) -> str:
    """Return what is wrong with the budgets that stand in one after the other; an empty text where nothing is."""
    chain = [name]
    while len(chain) <= LONGEST_CHAIN:
        after = following.get(chain[-1])
        if after is None:
            return ""
        if after == name:
            if len(chain) == 1:
                return f"the budget `{name}` cannot stand in for itself"
            return f"the budgets {listed(chain)} stand in for each other in a circle"
        if after in chain:
            return ""  # reported at the budgets of the circle
        chain.append(after)
    return f"more than {LONGEST_CHAIN} budgets stand in for each other in a row, from `{name}` on"
