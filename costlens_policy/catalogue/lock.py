"""A catalogue with everything written out, so that decisions can be repeated on the same prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from costlens_policy.catalogue.catalogue import Catalogue
from costlens_policy.catalogue.explicit import explicit_entry
from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.yaml_text import Value, comment, yaml_lines

__all__ = ["DIGEST_LABEL", "digest_label", "document_text", "lock"]

DIGEST_LABEL: Final = "costlens-policy/digest"
"""Label of a locked catalogue; its value is checked when the document is read."""


def digest_label(catalogue: Catalogue) -> str:
    """Return the value of ``DIGEST_LABEL`` for a catalogue."""
    return f"sha256:{catalogue.digest}"


def lock(catalogue: Catalogue, on: date | None = None) -> str:
    """Return the text of a Catalogue document that alone resolves to an equal catalogue, with an equal digest.

    It has every model with all its facts, names and periods. ``on`` is the day of the lock; it becomes the document's
    version, and changes nothing else.
    """
    head: dict[str, Value] = {
        "name": "catalogue-lock",
        "version": f"{on:%Y.%m.%d}" if on is not None else "1",
        "description": "Every model with all facts and prices. Do not edit: change the sources, and lock again.",
        "labels": {DIGEST_LABEL: digest_label(catalogue)},
    }
    return document_text(head, catalogue)


def document_text(head: Mapping[str, Value], models: Iterable[Model], notes: Iterable[str] = ()) -> str:
    """Return the text of a Catalogue document with this ``metadata``; ``notes`` become comments under it."""
    lines = [
        *yaml_lines({"apiVersion": "costlens-policy/v1", "kind": "Catalogue", "metadata": head}),
        *map(comment, notes),
        *_models(list(models)),
    ]
    return "\n".join(lines) + "\n"


def _models(models: list[Model]) -> Iterator[str]:
    if not models:
        yield "models: {}"
        return
    yield "models:"
    for model in models:
        if model.price_source:
            yield comment(f"prices: {model.price_source}", 2)
        yield from yaml_lines({model.name: explicit_entry(model)}, 2)
