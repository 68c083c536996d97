"""Resolve catalogue documents: imports, overrides, inheritance and names become one catalogue of models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from costlens_policy.catalogue import price_list, problems
from costlens_policy.catalogue.catalogue import Catalogue
from costlens_policy.catalogue.drafts import Draft, Place
from costlens_policy.catalogue.entries import read_entries
from costlens_policy.catalogue.finish import examine, finish
from costlens_policy.catalogue.imports import read_imports
from costlens_policy.catalogue.inheritance import inherit_facts, take_prices
from costlens_policy.catalogue.lock import DIGEST_LABEL, digest_label
from costlens_policy.catalogue.names import Names
from costlens_policy.diagnostics.model import Diagnostic, in_order
from costlens_policy.documents.catalogue import CatalogueDocument
from costlens_policy.source.located import LocatedDocument

__all__ = ["Resolved", "resolve"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """The catalogue, as much of it as can be made out, and every problem found."""

    catalogue: Catalogue
    diagnostics: tuple[Diagnostic, ...]


def resolve(documents: Sequence[tuple[LocatedDocument, CatalogueDocument]]) -> Resolved:
    """Resolve documents in order; a later one overrides models of an earlier one. Nothing is raised.

    A locked document whose content is not what its digest says is a problem, too.
    """
    resolved = _resolve(documents)
    changed: list[Diagnostic] = []
    for pair in documents:
        if DIGEST_LABEL in pair[1].metadata.labels:
            alone = resolved if len(documents) == 1 else _resolve([pair])
            changed.extend(_changed(pair, alone))
    return Resolved(resolved.catalogue, in_order([*resolved.diagnostics, *changed]))


def _resolve(documents: Sequence[tuple[LocatedDocument, CatalogueDocument]]) -> Resolved:
    imports = read_imports(documents)
    names = Names(imports.drafts)
    drafts = {}
    for full, draft in imports.drafts.items():
        draft.name = names.find(full) or full
        drafts[draft.name] = draft
    diagnostics = list(imports.diagnostics)
    for located, document in documents:
        diagnostics.extend(read_entries(located, document, drafts, names))
    diagnostics.extend(_claim_aliases(drafts, names))
    diagnostics.extend(inherit_facts(drafts, names))
    diagnostics.extend(take_prices(drafts, names))
    for draft in drafts.values():
        diagnostics.extend(examine(draft))
    names.recall({draft.name: price_list.other_dates(full) for full, draft in imports.drafts.items()})
    names.imply({name: draft.facts["provider"] for name, draft in drafts.items() if "provider" in draft.facts})
    return Resolved(_catalogue(drafts, names), in_order(diagnostics))


def _claim_aliases(drafts: Mapping[str, Draft], names: Names) -> Iterator[Diagnostic]:
    for draft in drafts.values():
        for alias, place in draft.aliases.items():
            if problem := names.claim(alias, draft.name, place):
                yield problem


def _catalogue(drafts: Mapping[str, Draft], names: Names) -> Catalogue:
    aliases = names.aliases_of()
    return Catalogue.of(finish(draft, aliases.get(name, ()), names) for name, draft in drafts.items())


def _changed(pair: tuple[LocatedDocument, CatalogueDocument], alone: Resolved) -> Iterator[Diagnostic]:
    expected = pair[1].metadata.labels[DIGEST_LABEL]
    actual = digest_label(alone.catalogue)
    if expected != actual and not any(problem.is_error for problem in alone.diagnostics):
        place = Place(pair[0], ("metadata", "labels", DIGEST_LABEL))
        yield problems.lock_changed(expected, actual, place.span)
