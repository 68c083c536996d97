"""What catalogues import from the price list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from costlens_policy.catalogue import price_list, problems
from costlens_policy.catalogue.drafts import Draft, Place
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.catalogue import CatalogueDocument
from costlens_policy.source.located import LocatedDocument

__all__ = ["Imports", "read_imports"]


@dataclass(frozen=True, slots=True)
class Imports:
    """Imported models by ``provider/name``, and the patterns that match nothing."""

    drafts: dict[str, Draft]
    diagnostics: tuple[Diagnostic, ...]


def read_imports(documents: Iterable[tuple[LocatedDocument, CatalogueDocument]]) -> Imports:
    """Look up every import. Facts of an import win over the price list's, those of a later import over earlier ones."""
    drafts: dict[str, Draft] = {}
    diagnostics: list[Diagnostic] = []
    for located, document in documents:
        for index, section in enumerate(document.imports):
            place = Place(located, ("imports", index))
            for full, pattern in _matched(section.models, place.at("models"), diagnostics):
                if full not in drafts:
                    drafts[full] = _draft(full, pattern)
                drafts[full].learn(section.facts, place.at("facts"))
    return Imports(drafts, tuple(diagnostics))


def _matched(patterns: Iterable[str], place: Place, diagnostics: list[Diagnostic]) -> Iterator[tuple[str, Place]]:
    """Yield each model that one of the patterns matches, once, with the place of the first such pattern."""
    seen: set[str] = set()
    for index, pattern in enumerate(patterns):
        here = place.at(index)
        found = price_list.matching(pattern)
        if not found:
            meant = price_list.nearest_pattern(pattern)
            diagnostics.append(problems.unknown_import(pattern, meant, here.span))
        for full in found:
            if full not in seen:
                seen.add(full)
                yield full, here


def _draft(full: str, place: Place) -> Draft:
    model = price_list.listed_model(full)
    known = {
        "provider": model.provider,
        "context_window": model.context_window,
        "deprecated": model.deprecated,
        "other_versions": model.other_versions or None,
    }
    return Draft(
        name=full,
        place=place,
        imported=True,
        facts={name: value for name, value in known.items() if value is not None},
        periods=model.periods,
        price_source=model.price_source,
    )
