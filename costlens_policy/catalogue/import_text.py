"""Price lists as the text of a catalogue, to be kept, reviewed and changed in a repository of policies."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue.litellm_models import litellm_model
from costlens_policy.catalogue.lock import document_text
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.names import Names
from costlens_policy.catalogue.price_list import listed_model, matching, nearest_pattern
from costlens_policy.catalogue.wildcards import matches
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.errors import InputError
from costlens_policy.source.located import SourceText

__all__ = ["import_genai_prices", "import_litellm"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+~-]{0,199}")
_EXAMPLE_ENTRY: Final = "sample_spec"


def import_genai_prices(patterns: Iterable[str], on: date) -> str:
    """Return a catalogue of the installed price list's models that match, with their prices from a day on.

    Raises ``InputError`` where a pattern matches nothing.
    """
    full_names: dict[str, None] = {}
    for pattern in patterns:
        found = matching(pattern)
        if not found:
            meant = nearest_pattern(pattern)
            raise InputError(
                f"`{pattern}` matches no model of the price list" + (f"; did you mean `{meant}`?" if meant else "")
            )
        full_names.update(dict.fromkeys(found))
    names = Names(full_names)
    models = [replace(_from(listed_model(full), on), name=names.find(full) or full) for full in full_names]
    head = {"name": "genai-prices", "version": f"{on:%Y.%m.%d}", "description": f"Prices of genai-prices from {on} on."}
    return document_text(head, sorted(models, key=lambda model: model.name))


def _from(model: Model, on: date) -> Model:
    """Leave out the prices that ended before a day."""
    current = model.period_on(on)
    return replace(
        model,
        periods=tuple(
            period
            for period in model.periods
            if period is current or (period.effective is not None and period.effective > on)
        ),
    )


def import_litellm(source: SourceText, patterns: Sequence[str] = ("*",)) -> str:
    """Return a catalogue of the models in LiteLLM's ``model_prices_and_context_window.json`` that match.

    Prices that a catalogue cannot hold, such as those of searches, keys that may be prices, and models that are not
    priced by tokens are named in comments, with how many models have them. Raises ``InputError`` where the file, or a
    cost key of such a model, cannot be read.
    """
    entries = _entries(source)
    for pattern in patterns:
        if not any(matches(pattern, name) for name in entries):
            raise InputError(f"`{pattern}` matches no model of `{source.name}`")
    models: list[Model] = []
    unpriced: list[str] = []
    unnamed: list[str] = []
    unheld: Counter[str] = Counter()
    for name, entry in sorted(entries.items()):
        if not any(matches(pattern, name) for pattern in patterns):
            continue
        model, keys = _read(name, entry, source.name)
        if _NAME.fullmatch(name) is None:
            unnamed.append(name)
        elif not model.periods:
            unpriced.append(name)
        else:
            models.append(model)
            unheld.update(keys)
    head = {"name": "litellm", "version": "1", "description": "Prices of LiteLLM's model_prices_and_context_window."}
    return document_text(head, models, _left_out(unpriced, unnamed, unheld))


def _left_out(unpriced: Sequence[str], unnamed: Sequence[str], unheld: Mapping[str, int]) -> Iterator[str]:
    if unheld:
        keys = ", ".join(f"{key} ({count})" for key, count in sorted(unheld.items()))
        yield f"not held, with the number of models that have it: {keys}"
    if unpriced:
        yield f"left out, since they are not priced by input and output tokens: {listed(unpriced, most=50)}"
    if unnamed:
        yield f"left out, since their names cannot be names of models here: {listed(unnamed, most=50)}"


def _read(name: str, entry: Any, file: str) -> tuple[Model, tuple[str, ...]]:
    if not isinstance(entry, dict):
        raise InputError(f"`{file}`: the entry of `{name}` is no object")
    try:
        return litellm_model(name, entry, "LiteLLM")
    except ValueError as error:
        raise InputError(f"`{file}`: the price of `{name}` cannot be read, at {error}") from None


def _entries(source: SourceText) -> dict[str, Any]:
    try:
        content = json.loads(source.text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_unique)
    except RecursionError:
        raise InputError(f"`{source.name}` is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"`{source.name}` is no JSON that can be read: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"`{source.name}` is no JSON object with an entry for each model")
    content.pop(_EXAMPLE_ENTRY, None)
    return content


def _no_number(text: str) -> Any:
    raise ValueError(f"`{text}` is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key `{key}` appears twice")
        found[key] = value
    return found
