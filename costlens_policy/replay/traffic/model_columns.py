"""Columns by model, outcomes and answers, under the names that a catalogue has for their models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from costlens_policy.catalogue import Model
from costlens_policy.replay.traffic.mapping import ColumnMapping
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["unknown_models", "with_models"]

_Find = Callable[[str], Model | None]


def with_models(mapping: ColumnMapping, find: _Find) -> ColumnMapping:
    """Return the mapping with the catalogue's own names of the models whose outcomes and answers it has.

    Raises ``TrafficError`` where two names mean one model.
    """
    if not mapping.outcomes and not mapping.answers:
        return mapping
    outcomes = _renamed(mapping.outcomes, "outcomes", find)
    return replace(mapping, outcomes=outcomes, answers=_renamed(mapping.answers, "answers", find))


def _renamed(columns: Mapping[str, str], what: str, find: _Find) -> dict[str, str]:
    renamed: dict[str, str] = {}
    meant: dict[str, str] = {}
    for name, column in columns.items():
        known = find(name)
        own = name if known is None else known.name
        if own in renamed:
            raise TrafficError(f"`{meant[own]}` and `{name}` in `{what}` are the same model; name one of them")
        renamed[own], meant[own] = column, name
    return renamed


def unknown_models(
    mapping: ColumnMapping, find: _Find, suggest: Callable[[str], str | None], source: str = "the catalogue"
) -> Iterator[str]:
    """Yield a note for each model of outcomes and answers that has no price, since it is not known or has none."""
    for name in dict.fromkeys((*mapping.outcomes, *mapping.answers)):
        known = find(name)
        if known is not None and known.periods:
            continue
        near = suggest(name) if known is None else None
        hint = f", did you mean `{near}`?" if near else ""
        what = f"no model `{name}`" if known is None else f"no price for `{name}`"
        yield f"{source} has {what}, which the mapping has a column for{hint}; what it costs is not known"
