"""A model while documents are read one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from costlens_policy.catalogue.rates import Period
from costlens_policy.diagnostics.model import Span
from costlens_policy.documents.catalogue import CatalogueModel, Latency, ModelFacts
from costlens_policy.source.located import LocatedDocument, Path

__all__ = ["Draft", "Place", "Reference"]

_FACTS: Final = tuple(ModelFacts.model_fields)
_MERGED: Final = frozenset({"quality", "labels"})


@dataclass(frozen=True, slots=True)
class Place:
    """A value of a document, or the spot where it would stand."""

    document: LocatedDocument
    path: Path = ()

    def at(self, *steps: str | int) -> Place:
        return Place(self.document, (*self.path, *steps))

    @property
    def file(self) -> str:
        return self.document.source.name

    @property
    def span(self) -> Span:
        """Where the value is written."""
        return self.document.root.span_of(self.path)

    @property
    def key_span(self) -> Span:
        """Where the key is written; of an item without a key, the item."""
        return self.document.root.key_span(self.path) or self.span


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of another model, and where it is written."""

    name: str
    place: Place


@dataclass(slots=True)
class Draft:
    """What the documents read so far say of one model.

    ``place`` is the key of its latest entry, or the pattern that imported it. ``places`` tells of facts that a document
    gives for this model where it does. ``prices_settled`` keeps the model from being called unpriced: it has been told
    to be so, or there is a problem with its prices already.
    """

    name: str
    place: Place
    imported: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    aliases: dict[str, Place] = field(default_factory=dict)
    base: Reference | None = None
    trained_for: tuple[str, ...] = ()
    price_as: Reference | None = None
    periods: tuple[Period, ...] = ()
    price_source: str = ""
    prices_settled: bool = False

    def learn(self, facts: ModelFacts, place: Place) -> None:
        """Take over the facts that are given; of measured quality and labels, key by key."""
        for name in _FACTS:
            value = getattr(facts, name)
            if value is None:
                continue
            if name in _MERGED:
                value = {**self.facts.get(name, {}), **value}
            self.facts[name] = value
            self.places[name] = place.at(name)

    def override(self, entry: CatalogueModel, place: Place) -> None:
        """Take over an entry, prices aside: what it gives wins, the rest stays."""
        self.place = place
        self.learn(entry, place)
        self.aliases.update({alias: place.at("aliases", index) for index, alias in enumerate(entry.aliases)})
        if entry.other_versions is not None:
            self.facts["other_versions"] = entry.other_versions
        if entry.fine_tuned is not None:
            self.base = Reference(entry.fine_tuned.base, place.at("fine_tuned", "base"))
            self.trained_for = entry.fine_tuned.tasks

    def inherit(self, base: Draft) -> None:
        """Take over each fact that is not given here; prices never."""
        self.facts = base.facts | self.facts

    @property
    def provider(self) -> str | None:
        return self.facts.get("provider")

    @property
    def other_versions(self) -> tuple[str, ...]:
        return tuple(self.facts.get("other_versions", ()))

    @property
    def latency(self) -> Latency | None:
        found = self.facts.get("latency_ms")
        assert found is None or isinstance(found, Latency)
        return found
