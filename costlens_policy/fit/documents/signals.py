"""The documents of a learned signal: its declaration, and its model as data."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from costlens_policy.catalogue.writing import Value, yaml_lines
from costlens_policy.fit.documents.origin import Origin, made_by, sealed, version_of
from costlens_policy.fit.told import MIN_CONFIDENCE
from costlens_policy.signals.learned import LearnedModel, written
from costlens_policy.source.formatting import format_text

__all__ = ["signal_documents"]


def signal_documents(model: LearnedModel, origin: Origin) -> dict[str, str]:
    """Return the document that declares a learned signal, and the file of its model, by the names of their files."""
    name, text = f"{model.tells}.json", written(model)
    document = format_text(_signals(model, name, text, origin), "signals.yaml")
    return {"signals.yaml": sealed(document), name: text}


def _signals(model: LearnedModel, name: str, text: str, origin: Origin) -> str:
    signal: dict[str, Value] = {
        "learned": {"model": name, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"}
    }
    description = "How much better the best model is likely to answer than the cheapest."
    if model.tells == "task":
        signal["min_confidence"] = Decimal(str(MIN_CONFIDENCE))
        description = "The task of a request that names none, recognized by its text."
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "Signals",
        "metadata": {
            "name": "fitted-signals",
            "version": version_of(origin),
            "description": description,
        },
        "signals": {model.tells: signal},
    }
    return "\n".join([*made_by(origin), *yaml_lines(head)]) + "\n"
