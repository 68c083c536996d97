"""Invariants with the policy sets that make them: found, linked and typed, with what is wrong with any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from costlens_policy.checker import CheckedBundle
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.checker.expressions import Analysis, analyze_beside
from costlens_policy.checker.library import Library
from costlens_policy.checker.owners import Reference, resolve_set
from costlens_policy.checker.whole import check_set, files_of
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, in_order
from costlens_policy.diagnostics.suggestion import did_you_mean, listed, nearest
from costlens_policy.documents.invariants import Invariant, InvariantsDocument
from costlens_policy.documents.parameters import PASSING, steering
from costlens_policy.documents.parameters import advice as advice_on
from costlens_policy.expressions import TypedExpr
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path as Place
from costlens_policy.source.located import SourceText

__all__ = ["Found", "Promises", "find_promises"]

_KIND: Final = re.compile(r"""(?:^|[{,\s])["']?kind["']?\s*:\s*["']?Invariants\b""", re.MULTILINE)
_OF_DECISIONS: Final = frozenset({"effect", "routed_by"})
"""Claims about a request as a whole."""


@frozen(eq=False)
class Promises:
    """A document of invariants without errors, and the policy set that makes these promises."""

    document: LinkedDocument[InvariantsDocument]
    bundle: CheckedBundle
    expressions: Mapping[Place, TypedExpr]

    @property
    def file(self) -> str:
        return self.document.located.source.name


@frozen
class Found:
    """``broken`` says that some invariants, or the policy set of some, have errors, and are not among ``promises``."""

    promises: tuple[Promises, ...]
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[SourceText, ...]

    @property
    def broken(self) -> bool:
        return any(item.is_error for item in self.diagnostics)


def find_promises(paths: Iterable[Path], checked: Mapping[Path, CheckedBundle | None] | None = None) -> Found:
    """Read every document of invariants in files and folders.

    ``checked`` are policy sets that have been checked already, by the places of their files, None for those with
    errors.
    """
    search = _Search(tuple(paths), dict(checked or {}))
    search.run()
    diagnostics = in_order(search.diagnostics)
    return Found(tuple(search.promises), diagnostics, tuple(search.library.sources().values()))


class _Search:
    def __init__(self, paths: Sequence[Path], sets: dict[Path, CheckedBundle | None]) -> None:
        self._paths = paths
        self._sets = sets
        self.library = Library()
        self.promises: list[Promises] = []
        self.diagnostics: list[Diagnostic] = []

    def run(self) -> None:
        for file, named in files_of(self.library, self._paths):
            if named:
                self.diagnostics += file.diagnostics
            elif not _KIND.search(file.text):
                continue
            for reading in file.readings:
                if reading.kind != "Invariants":
                    continue
                self.diagnostics += reading.diagnostics
                if isinstance(reading.document, InvariantsDocument):
                    self._link(LinkedDocument(reading.located, reading.document))

    def _link(self, document: LinkedDocument[InvariantsDocument]) -> None:
        span = document.located.root.span_of(("policy_set",))
        reference = Reference(document.document.policy_set, span, document.located.source.name)
        file = resolve_set(reference, self._paths)
        if isinstance(file, Diagnostic):
            self.diagnostics.append(file)
            return
        bundle = self._set(file)
        if bundle is None:
            return
        analysis = analyze_beside(bundle.linked, document)
        found = [
            *analysis.diagnostics,
            *_repeated(document),
            *_rules(document, bundle),
            *_models(document, analysis),
            *_parameters(document, bundle),
        ]
        self.diagnostics += found
        if not any(item.is_error for item in found):
            self.promises.append(Promises(document, bundle, analysis.expressions[document]))

    def _set(self, file: str) -> CheckedBundle | None:
        real = Path(file).resolve()
        if real not in self._sets:
            self._sets[real], problems = check_set(file, self._paths)
            self.diagnostics += [item for item in problems if item.is_error]
        return self._sets[real]


def _repeated(document: LinkedDocument[InvariantsDocument]) -> Iterator[Diagnostic]:
    first: dict[str, Place] = {}
    root = document.located.root
    for index, invariant in enumerate(document.document.invariants):
        path = ("invariants", index, "id")
        if (before := first.setdefault(invariant.id, path)) != path:
            message = f"two invariants have the id `{invariant.id}`"
            related = (Related(root.span_of(before), "first here"),)
            advice = "give one of them another id"
            yield Diagnostic("CL207", Severity.ERROR, message, root.span_of(path), "again here", advice, related)


def _rules(document: LinkedDocument[InvariantsDocument], bundle: CheckedBundle) -> Iterator[Diagnostic]:
    """Report rules that the policy set does not have, or that cannot do what is said of them."""
    policies = [policy.document for policy in bundle.linked.policies]
    routes = {f"{policy.metadata.name}/{rule.id}" for policy in policies for rule in policy.routes}
    rewrites = {f"{policy.metadata.name}/{rule.id}" for policy in policies for rule in policy.rewrites}
    for index, invariant in enumerate(document.document.invariants):
        yield from _unknown(document, index, invariant, "routed_by", {*routes, "default"}, "route")
        for key in ("rewritten_by", "rewritten_in_order"):
            yield from _unknown(document, index, invariant, key, rewrites, "rewrite")


def _unknown(
    document: LinkedDocument[InvariantsDocument], index: int, invariant: Invariant, key: str, known: set[str], what: str
) -> Iterator[Diagnostic]:
    for at, name in enumerate(getattr(invariant, key) or ()):
        if name not in known:
            span = document.located.root.span_of(("invariants", index, key, at))
            advice = did_you_mean(name, known) or (
                f"the policy set has {listed(sorted(known))}" if known else "it has none"
            )
            yield Diagnostic("CL701", Severity.ERROR, f"no {what} `{name}`", span, "not in the policy set", advice)


def _models(document: LinkedDocument[InvariantsDocument], analysis: Analysis) -> Iterator[Diagnostic]:
    """Report conditions on models of claims about requests, which are decided before there is a model."""
    for index, invariant in enumerate(document.document.invariants):
        path = ("invariants", index, "when")
        typed = analysis.expressions[document].get(path)
        reads = typed is not None and any(read[0] == "model" for read in typed.references)
        if reads and invariant.claim in _OF_DECISIONS:
            message = f"`{invariant.claim}` speaks of requests, but `when` reads `model`"
            advice = "write `always` or `never` to speak of the models that serve"
            span = document.located.root.span_of(path)
            yield Diagnostic("CL703", Severity.ERROR, message, span, "there is no model yet", advice)


def _parameters(document: LinkedDocument[InvariantsDocument], bundle: CheckedBundle) -> Iterator[Diagnostic]:
    """Report parameters that no request can have, and names that look like misspelled ones."""
    admitted = bundle.linked.policy_set.document.admit.params
    for index, invariant in enumerate(document.document.invariants):
        for name in invariant.params or ():
            if name in PASSING or name in admitted:
                continue
            refused, near = steering(name), nearest(name, PASSING)
            if refused is None and near is None:
                continue
            message = f"no request can have a parameter `{name}`" if refused else f"no provider takes `{name}`"
            advice = advice_on(name, refused) if refused else f"did you mean `{near}`?"
            at = ("invariants", index, "params", name)
            span = document.located.root.key_span(at) or document.located.root.span_of(at)
            yield Diagnostic("CL704", Severity.ERROR, message, span, "unknown parameter", advice)
