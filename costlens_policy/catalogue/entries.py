"""A catalogue's own models, and overrides of models that are there already."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.catalogue import problems
from costlens_policy.catalogue.document_prices import compare_prices, examine_prices, periods_from
from costlens_policy.catalogue.drafts import Draft, Place, Reference
from costlens_policy.catalogue.lock import DIGEST_LABEL
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.names import Names
from costlens_policy.catalogue.price_list import priced_alike
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.catalogue import CatalogueDocument, CatalogueModel
from costlens_policy.source.located import LocatedDocument

__all__ = ["read_entries"]


def read_entries(
    located: LocatedDocument, document: CatalogueDocument, drafts: dict[str, Draft], names: Names
) -> Iterator[Diagnostic]:
    """Add the models of one document to ``drafts``, by their own names, or override those that are there."""
    here: dict[str, Place] = {}
    for name, entry in document.models.items():
        place = Place(located, ("models", name))
        if names.choices(name) and names.find(name) is None:
            yield names.problem_with(name, place.key_span)
            continue
        model = names.declare(name, place)
        if model in here:
            yield problems.name_taken(name, model, place.key_span, here[model].key_span)
            continue
        here[model] = place
        draft = drafts.setdefault(model, Draft(model, place))
        draft.override(entry, place)
        yield from _examine(entry, place)
        yield from _prices(draft, entry, place, locked=DIGEST_LABEL in document.metadata.labels)


def _prices(draft: Draft, entry: CatalogueModel, place: Place, *, locked: bool) -> Iterator[Diagnostic]:
    """Let prices of a later document replace those of an earlier one, whichever way they are given."""
    if entry.prices is not None and entry.price_as is not None:
        yield problems.two_price_sources(place.at("price_as").key_span, place.at("prices").key_span)
    if entry.price_as is not None:
        draft.price_as, draft.periods = Reference(entry.price_as, place.at("price_as")), ()
    elif entry.prices is not None:
        found = list(examine_prices(entry.prices, place.at("prices")))
        # The prices of a lock have been reviewed, and are many.
        if not found and not locked and (listed := _listed(draft)) is not None:
            found = list(compare_prices(entry.prices, listed, place.at("prices")))
        yield from found
        faulty = any(problem.is_error for problem in found)
        draft.price_as, draft.prices_settled = None, faulty or not entry.prices
        draft.periods = () if faulty else periods_from(entry.prices)
        draft.price_source = place.file


def _listed(draft: Draft) -> Model | None:
    """Return the model of the price list that an entry is about by any of its names."""
    found = (priced_alike(name, draft.provider) for name in (draft.name, *draft.aliases))
    return next(filter(None, found), None)


def _examine(entry: CatalogueModel, place: Place) -> Iterator[Diagnostic]:
    """Find what is wrong with the facts of one entry alone."""
    latency = entry.latency_ms
    if latency is not None and latency.p95 is not None and latency.p95 < latency.p50:
        yield problems.latency_order(latency.p50, latency.p95, place.at("latency_ms", "p95").span)
    if entry.quality is not None and not entry.quality:
        yield problems.empty_quality(place.at("quality").key_span)
