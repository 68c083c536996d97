"""Budgets that are set aside in other ones: which ones, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TypeAlias

from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.checker.overflows import overflow_of
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import PolicyDocument
from costlens_policy.documents.budget import Budget, CallWindow, FirstUseWindow, RollingWindow
from costlens_policy.units import base_of

__all__ = ["check_reserved", "reserved_from"]

_Owner: TypeAlias = tuple[LinkedDocument[PolicyDocument], int]
"""A policy, and the place of a budget in it."""


def reserved_from(policy: PolicyDocument, budget: Budget) -> str | None:
    """Return the budget in which one of a policy is set aside, as ``policy/budget``; None where it is in none."""
    name = budget.reserved_from
    return name if name is None or "/" in name else f"{policy.metadata.name}/{name}"


def check_reserved(bundle: LinkedBundle) -> Iterator[Diagnostic]:
    """Report budgets that are reserved from one that does not exist, or in which nothing of theirs can be held."""
    owners = {
        f"{policy.name}/{budget.id}": (policy, index)
        for policy in bundle.policies
        for index, budget in enumerate(policy.document.budgets)
    }
    above = {name: of for name, owner in owners.items() if (of := reserved_from(owner[0].document, _budget(owner)))}
    full = {overflow_of(policy.document, policy.document.budgets[index]) for policy, index in owners.values()}
    for name, of in above.items():
        span = _place(owners[name], "reserved_from")
        if of not in owners:
            yield _unknown(span, of, name.partition("/")[0], owners)
        elif problem := _circle(name, above) or _unfit(name, of, owners, full):
            advice = (
                "take two of the same unit to which calls add up, without an overflow, the reserved one with the lower "
            )
            advice += "lower limit and a calendar, fixed or lifetime window"
            related = (Related(_place(owners[of], "id"), "cannot hold it"),)
            yield Diagnostic("CL233", Severity.ERROR, problem, span, "reserved from here", advice, related)


def _unfit(name: str, of: str, owners: Mapping[str, _Owner], full: Iterable[str | None]) -> str:
    """Return why nothing of a budget can be held in another one; an empty text where it can."""
    share, whole = _budget(owners[name]), _budget(owners[of])
    if isinstance(whole.window, CallWindow):
        return f"the budget `{of}` limits each call by itself, so that nothing can be set aside in it"
    if isinstance(share.window, RollingWindow | FirstUseWindow):
        return f"the budget `{name}` frees room at times that are its own, while what is set aside stays what it was"
    if share.unit != whole.unit:
        return f"the budget `{name}` counts another unit than `{of}`"
    if (limit := _limit(share)) is not None and (room := _limit(whole)) is not None and limit > room:
        return f"the budget `{name}` has a higher limit than `{of}`, which can never hold all of it"
    if whole.overflow is not None or of in full or name in full:
        part = name if name in full else of
        return f"the budget `{part}` counts calls only where there is room, since it has an overflow or is one"
    return ""


def _limit(budget: Budget) -> Decimal | None:
    """Return a limit that is the same for all requests."""
    limit = getattr(budget, f"hard_limit_{base_of(budget.unit)}")
    return None if isinstance(limit, str) else Decimal(limit)


def _circle(name: str, above: Mapping[str, str]) -> str:
    chain = [name]
    while (of := above.get(chain[-1])) is not None:
        if of == name:
            if len(chain) == 1:
                return f"the budget `{name}` cannot be reserved from itself"
            return f"the budgets {listed(chain)} are reserved from each other in a circle"
        if of in chain:
            return ""  # reported at the budgets of the circle
        chain.append(of)
    return ""


def _budget(owner: _Owner) -> Budget:
    policy, index = owner
    return policy.document.budgets[index]


def _place(owner: _Owner, key: str) -> Span:
    policy, index = owner
    return policy.located.root.span_of(("budgets", index, key))


def _unknown(span: Span, name: str, policy: str, known: Iterable[str]) -> Diagnostic:
    own = [item.removeprefix(f"{policy}/") for item in known]
    advice = did_you_mean(name.removeprefix(f"{policy}/"), own) or f"the budgets are {listed(own)}"
    return Diagnostic("CL209", Severity.ERROR, f"there is no budget `{name}`", span, "unknown budget", advice)
