"""All documents of a fit, and the policy set that puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from costlens_policy.catalogue import Catalogue
from costlens_policy.catalogue.writing import Value, yaml_lines
from costlens_policy.fit.choosing import means_of
from costlens_policy.fit.documents.catalogues import models_document, qualities_of, quality_document
from costlens_policy.fit.documents.origin import Origin, made_by, sealed, version_of
from costlens_policy.fit.documents.routing import OUTPUT_LIMIT, TOLD, policy_document, ranked
from costlens_policy.fit.documents.signals import signal_documents
from costlens_policy.fit.documents.suite import suite_document
from costlens_policy.fit.fitting import Fitted
from costlens_policy.source.formatting import format_text

__all__ = ["documents_of"]


def documents_of(fitted: Fitted, catalogue: Catalogue, origin: Origin) -> dict[str, str]:
    """Return the text of each document, by the name of its file; of a signal only where the data supports it."""
    fitted = _without_idle_signal(fitted)
    qualities = qualities_of(fitted.inside)
    by_task = fitted.inside if fitted.told is None or fitted.told.by_task is None else fitted.told.by_task
    quality = ("quality.yaml",) if set(by_task.tasks) != {None} else ()
    own = () if origin.catalogues else ("models.yaml",)
    found = {
        "policy-set.yaml": _policy_set(fitted, (*origin.catalogues, *own, *quality), origin),
        "routing.yaml": policy_document(fitted, qualities, origin),
        "routing_test.yaml": suite_document(fitted, origin),
    }
    if quality:
        found["quality.yaml"] = quality_document(by_task, origin)
    if own:
        found["models.yaml"] = models_document(fitted, catalogue, origin)
    if fitted.told is None:
        return {name: sealed(format_text(text, name)) for name, text in found.items()}
    texts = {name: sealed(format_text(text, name)) for name, text in found.items()}
    return texts | signal_documents(fitted.told.signal.model, origin)


def _without_idle_signal(fitted: Fitted) -> Fitted:
    """Return a fit without its signal, and by tasks in place of its bands, where the policy is to go without it."""
    if fitted.told is None or not fitted.against_signal:
        return fitted
    by_task = fitted.told.by_task
    if by_task is None:
        return replace(fitted, told=None)
    return replace(fitted, inside=by_task, means=means_of(by_task), told=None)


def _policy_set(fitted: Fitted, catalogues: Sequence[str], origin: Origin) -> str:
    default = ranked(fitted, range(len(fitted.inside.tasks)))
    head: dict[str, Value] = {
        "apiVersion": "costlens-policy/v1",
        "kind": "PolicySet",
        "metadata": {
            "name": "fitted",
            "version": version_of(origin),
            "description": "Models by task, as fitted to recorded outcomes.",
        },
        "policies": ["routing.yaml"],
        "catalogues": list(catalogues),
        **({} if fitted.told is None else {"signals": ["signals.yaml"]}),
        "defaults": {
            "access": "allow",
            "route": {"model": default[0], "fallbacks": default[1:2]},
            "max_output_tokens": OUTPUT_LIMIT,
        },
    }
    told = [f"  task: {TOLD}"] if fitted.told is not None and not fitted.told.edges else []
    return "\n".join([*made_by(origin), *yaml_lines(head), *told]) + "\n"
