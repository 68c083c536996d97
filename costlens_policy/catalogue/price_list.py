"""The price list of the installed ``genai-prices`` package, as models.

Semantics taken over from the package, and held by a differential test: the last condition that is active wins; a tier
applies to **all** tokens of a call whose whole prompt is longer than its start; a kind of token without a price costs
as the kind that it belongs to. Three things cannot be said in a catalogue. Where prices change by the time of day, the
highest counts. What is not billed by tokens or by request (searches, pages, hours of audio) is left out. A model that
has no price for both input and output tokens is unpriced.

The package is imported when the first name is looked up, and read once per process.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from costlens_policy.catalogue.list_prices import periods_of
from costlens_policy.catalogue.model import LONG_AGO, Model
from costlens_policy.catalogue.wildcards import matches

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo

__all__ = ["listed_model", "matching", "meant_by", "nearest_pattern"]

_PACKAGE: Final = "genai-prices"


@cache
def _entries() -> Mapping[str, tuple[str, ModelInfo]]:
    """Return (provider, entry) by ``provider/name``. The bundled data are read, never a snapshot set at run time."""
    from genai_prices.data import providers  # it takes a quarter of a second, and only imports need it

    return {f"{provider.id}/{entry.id}": (provider.id, entry) for provider in providers for entry in provider.models}


def matching(pattern: str) -> tuple[str, ...]:
    """Return every ``provider/name`` that fits the pattern, in order."""
    if "*" not in pattern:
        return (pattern,) if pattern in _entries() else ()
    return tuple(sorted(name for name in _entries() if matches(pattern, name)))


@cache
def meant_by(name: str, provider: str | None = None) -> str | None:
    """Return the ``provider/name`` that a provider's own name of a model means, by the patterns of the list.

    None where the list knows no such model.
    """
    if name in _entries():
        return name
    from genai_prices.data import providers
    from genai_prices.data_snapshot import DataSnapshot

    before, slash, rest = name.partition("/")
    snapshot = DataSnapshot(providers, False)
    for reference, whose in ([(rest, before)] if slash else []) + [(name, provider), (name, None)]:
        try:
            found, entry = snapshot.find_provider_model(reference, None, whose or None, None)
        except LookupError:
            continue
        return f"{found.id}/{entry.id}"
    return None


@cache
def listed_model(full_name: str) -> Model:
    """Return the model that the list calls ``provider/name``; ``KeyError`` where it has none.

    A model that the list marks as deprecated, without a day, is deprecated from ``LONG_AGO`` on.
    """
    provider, entry = _entries()[full_name]
    periods, remarks = periods_of(entry.prices)
    return Model(
        name=full_name,
        provider=provider,
        periods=periods,
        context_window=entry.context_window,
        deprecated=LONG_AGO if entry.deprecated else None,
        price_source=_source(remarks),
    )


def nearest_pattern(pattern: str) -> str | None:
    """Return what a pattern that matches nothing may have meant, or None."""
    provider, slash, name = pattern.partition("/")
    if not slash:
        return _with_provider(pattern)
    providers = sorted({owner for owner, _ in _entries().values()})
    if provider not in providers:
        closest = get_close_matches(provider, providers, n=3, cutoff=0.6)
        return next((f"{owner}/{name}" for owner in closest if matching(f"{owner}/{name}")), None)
    names = [full.partition("/")[2] for full in _entries() if full.startswith(f"{provider}/")]
    found = get_close_matches(name.replace("*", ""), names, n=1, cutoff=0.7)
    return f"{provider}/{found[0]}" if found else _with_provider(name)


def _with_provider(pattern: str) -> str | None:
    """Complete a pattern without a provider; the maker of a model comes before those who resell it."""
    from genai_prices.data import providers

    text = pattern.replace("*", "")
    makers = [provider.id for provider in providers if provider.model_match and provider.model_match.is_match(text)]
    owners = dict.fromkeys([*makers, *sorted({owner for owner, _ in _entries().values()})])
    return next((f"{owner}/{pattern}" for owner in owners if matching(f"{owner}/{pattern}")), None)


@cache
def _package() -> str:
    return f"{_PACKAGE} {version(_PACKAGE)}"


def _source(remarks: tuple[str, ...]) -> str:
    return _package() + (f" ({'; '.join(remarks)})" if remarks else "")
