"""Names that have to be unique, and names that have to exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.targets import NamedModel, admitted_models, named_models
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.documents import Document, PolicyDocument
from costlens_policy.documents.policy_set import Admission

__all__ = ["check_models", "check_policy_names", "check_rule_ids"]

_SECTIONS: Final = ("access", "routes", "rewrites", "budgets")


def check_policy_names(policies: Sequence[LinkedDocument[PolicyDocument]]) -> Iterator[Diagnostic]:
    """Report policies of one set with the same name: decisions name rules as ``policy/rule``."""
    first: dict[str, Span] = {}
    for policy in policies:
        span = policy.located.root.span_of(("metadata", "name"))
        if (before := first.setdefault(policy.name, span)) != span:
            message = f"two policies of the set are called `{policy.name}`"
            yield _twice("CL206", message, span, before, "rename one of them; decisions name rules as `policy/rule`")


def check_rule_ids(policy: LinkedDocument[PolicyDocument]) -> Iterator[Diagnostic]:
    """Report rules of one policy with the same id, whatever their sections."""
    first: dict[str, Span] = {}
    for section in _SECTIONS:
        for index, rule in enumerate(getattr(policy.document, section)):
            span = policy.located.root.span_of((section, index, "id"))
            if (before := first.setdefault(rule.id, span)) != span:
                message = f"two rules of the policy `{policy.name}` have the id `{rule.id}`"
                yield _twice("CL207", message, span, before, "give one of them another id")


def _twice(code: str, message: str, span: Span, first: Span, advice: str) -> Diagnostic:
    return Diagnostic(code, Severity.ERROR, message, span, "again here", advice, (Related(first, "first here"),))


def check_models(document: LinkedDocument[Document], catalogue: Catalogue, admit: Admission) -> Iterator[Diagnostic]:
    """Report models that the catalogue does not know; where the set admits those, only likely slips of the pen.

    A version of a model that it knows is one, but would be asked for under the catalogue's name. An access rule that
    admits a model by a name that nothing has is a slip, too, but one that lets nothing through.
    """
    for named in named_models(document.document):
        known = catalogue.find(named.name)
        if known is not None and not catalogue.calls_it(named.name):
            yield _version(document, named, known.name)
        if known is None:
            meant = catalogue.suggest(named.name)
            # A choice compares what the catalogue knows, so that nothing unknown can take part in it.
            admitted = admit.unknown_models and "choose" not in named.path
            if meant is not None or not admitted:
                yield _unknown(document, named, meant, Severity.WARNING if admitted else Severity.ERROR)
    for named in admitted_models(document.document):
        if catalogue.find(named.name) is None:
            meant = catalogue.suggest(named.name)
            if meant is not None or not admit.unknown_models:
                yield _unknown(document, named, meant, Severity.WARNING)


def _version(document: LinkedDocument[Document], named: NamedModel, own: str) -> Diagnostic:
    return Diagnostic(
        "CL217",
        Severity.WARNING,
        f"`{named.name}` is served as `{own}`, the model of the catalogue that it is a version of",
        document.located.root.span_of(named.path),
        "not a name in the catalogue",
        f"write `{own}`, or import or declare `{named.name}` to send this name",
    )


def _unknown(
    document: LinkedDocument[Document], named: NamedModel, meant: str | None, severity: Severity
) -> Diagnostic:
    return Diagnostic(
        "CL208",
        severity,
        f"the catalogue has no model `{named.name}`",
        document.located.root.span_of(named.path),
        "unknown model",
        f"did you mean `{meant}`?" if meant else "declare it in a catalogue of the policy set, or import it there",
    )
