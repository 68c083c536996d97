"""Names that expressions use: variables and budgets must exist, and must not read one another in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.checker.expressions.analyse import Analysis, budget_reads, variable_reads
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import PolicyDocument
from costlens_policy.expressions import Extent, TypedExpr
from costlens_policy.source.located import Path, part_span

__all__ = ["check_budget_names", "check_variables"]

_ALL: Final = ("variables",)


def check_variables(policy: LinkedDocument[PolicyDocument], analysis: Analysis) -> Iterator[Diagnostic]:
    """Report variables that are read before they are there, and those that nothing reads."""
    typed = analysis.expressions[policy]
    order = {name: index for index, name in enumerate(policy.document.variables)}
    for path, expression in typed.items():
        if path[0] == "variables":
            for name, extent in variable_reads(expression):
                if order.get(name, -1) >= order[str(path[1])]:
                    yield _too_early(policy, path, name, extent)
    if policy not in analysis.failed:
        yield from _unused(policy, typed)


def _too_early(policy: LinkedDocument[PolicyDocument], path: Path, name: str, extent: Extent) -> Diagnostic:
    own = path[1] == name
    root = policy.located.root
    declared = root.key_span(("variables", name))
    related = () if own or declared is None else (Related(declared, "declared here"),)
    return Diagnostic(
        "CL214",
        Severity.ERROR,
        f"`variables.{path[1]}` reads itself"
        if own
        else f"`variables.{path[1]}` reads `{name}`, which is defined below it",
        _span(policy, path, extent),
        "not defined yet",
        "a variable can only read those above it" if own else f"move `{name}` above `{path[1]}`",
        related,
    )


def _unused(policy: LinkedDocument[PolicyDocument], typed: Mapping[Path, TypedExpr]) -> Iterator[Diagnostic]:
    read = {reference for expression in typed.values() for reference in expression.references}
    if _ALL in read:
        return
    for name in policy.document.variables:
        if ("variables", name) not in read:
            message = f"unused variable `{name}`"
            span = policy.located.root.key_span(("variables", name))
            advice = f"use it as `variables.{name}`, or remove it"
            yield Diagnostic("CL213", Severity.WARNING, message, span, "unused", advice)


def check_budget_names(bundle: LinkedBundle, analysis: Analysis) -> Iterator[Diagnostic]:
    """Report ``budgets["id"]`` where no budget of the set, or more than one, has the id."""
    owners: dict[str, list[str]] = {}
    for policy in bundle.policies:
        for budget in policy.document.budgets:
            owners.setdefault(budget.id, []).append(f"{policy.name}/{budget.id}")
            owners.setdefault(f"{policy.name}/{budget.id}", []).append(f"{policy.name}/{budget.id}")
    for policy in bundle.policies:
        for path, expression in analysis.expressions[policy].items():
            for name, extent in budget_reads(expression):
                if len(owners.get(name, ())) != 1:
                    yield _wrong_budget(_span(policy, path, extent), name, owners)


def _wrong_budget(span: Span, name: str, owners: Mapping[str, list[str]]) -> Diagnostic:
    if several := owners.get(name):
        message, label = f"several policies have a budget `{name}`", "which one?"
        advice = f"write {listed(several, 'or')}"
    else:
        message, label = f"no policy of the set has a budget `{name}`", "unknown budget"
        known = [item for item in owners if "/" not in item]
        advice = did_you_mean(name, owners) or (
            f"the budgets are {listed(known)}" if known else "the set has no budgets"
        )
    return Diagnostic("CL209", Severity.ERROR, message, span, label, advice)


def _span(policy: LinkedDocument[PolicyDocument], path: Path, extent: Extent) -> Span:
    value = policy.located.root.find(path)
    assert value is not None
    return part_span(policy.located.source, value, extent.start, extent.end)
