"""Names that expressions use: variables and budgets must exist, and must not read one another in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.checker.bundle import LinkedBundle, LinkedDocument
from costlens_policy.checker.expressions.analyse import Analysis, budget_reads, variable_reads, variables_of
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import Document, PolicyDocument, PolicySetDocument
from costlens_policy.expressions import Extent
from costlens_policy.source.located import Path, part_span

__all__ = ["check_budget_names", "check_variables"]

_ALL: Final = ("variables",)


def check_variables(bundle: LinkedBundle, analysis: Analysis) -> Iterator[Diagnostic]:
    """Report variables that are read before they are there, that hide others, and that nothing reads."""
    for document in (bundle.policy_set, *bundle.policies):
        yield from _misordered(document, analysis)
    for policy in bundle.policies:
        yield from _hiding(policy, bundle.policy_set)
        if policy not in analysis.failed:
            yield from _unused(policy, _read(policy, analysis))
    if not analysis.failed:
        yield from _unused(bundle.policy_set, _read_of_set(bundle, analysis))


def _misordered(document: LinkedDocument[Document], analysis: Analysis) -> Iterator[Diagnostic]:
    order = {name: index for index, name in enumerate(variables_of(document.document))}
    for path, expression in analysis.expressions[document].items():
        if path[0] == "variables":
            for name, extent in variable_reads(expression):
                if order.get(name, -1) >= order[str(path[1])]:
                    yield _too_early(document, path, name, extent)


def _too_early(document: LinkedDocument[Document], path: Path, name: str, extent: Extent) -> Diagnostic:
    own = path[1] == name
    root = document.located.root
    declared = root.key_span(("variables", name))
    related = () if own or declared is None else (Related(declared, "declared here"),)
    return Diagnostic(
        "CL214",
        Severity.ERROR,
        f"`variables.{path[1]}` reads itself"
        if own
        else f"`variables.{path[1]}` reads `{name}`, which is defined below it",
        _span(document, path, extent),
        "not defined yet",
        "a variable can only read those above it" if own else f"move `{name}` above `{path[1]}`",
        related,
    )


def _hiding(
    policy: LinkedDocument[PolicyDocument], policy_set: LinkedDocument[PolicySetDocument]
) -> Iterator[Diagnostic]:
    shared = policy_set.document.variables
    for name in policy.document.variables:
        if name in shared:
            own, other = (item.located.root.key_span(("variables", name)) for item in (policy, policy_set))
            assert own is not None
            assert other is not None
            message = f"the variable `{name}` hides the one that the policy set declares"
            advice = "rename one of the two, or remove this one to read that of the policy set"
            yield Diagnostic(
                "CL220", Severity.WARNING, message, own, "hides it here", advice, (Related(other, "hidden"),)
            )


def _read(document: LinkedDocument[Document], analysis: Analysis) -> frozenset[str]:
    """Return the variables that the expressions of a document read: all where one reads the record as a whole."""
    references = {path for typed in analysis.expressions[document].values() for path in typed.references}
    if _ALL in references:
        return frozenset(variables_of(document.document))
    return frozenset(path[1] for path in references if path[0] == "variables")


def _read_of_set(bundle: LinkedBundle, analysis: Analysis) -> frozenset[str]:
    """Return the variables of the policy set that anything reads."""
    shared = frozenset(bundle.policy_set.document.variables)
    read = _read(bundle.policy_set, analysis)
    for policy in bundle.policies:
        references = {path for typed in analysis.expressions[policy].values() for path in typed.references}
        read |= shared if _ALL in references else _read(policy, analysis) - frozenset(policy.document.variables)
    return read


def _unused(document: LinkedDocument[Document], read: frozenset[str]) -> Iterator[Diagnostic]:
    for name in variables_of(document.document):
        if name not in read:
            message = f"unused variable `{name}`"
            span = document.located.root.key_span(("variables", name))
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


def _span(document: LinkedDocument[Document], path: Path, extent: Extent) -> Span:
    value = document.located.root.find(path)
    assert value is not None
    return part_span(document.located.source, value, extent.start, extent.end)
