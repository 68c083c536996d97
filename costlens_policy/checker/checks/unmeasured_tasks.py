"""CL484: a choice by the quality of a task that was not measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.catalogue import Model
from costlens_policy.checker.checks.quality import Leaning, leanings, some_of
from costlens_policy.checker.checks.subject import Finding, Subject
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.policy import Choice

__all__ = ["check_unmeasured_tasks"]

_FOUND: Final = Finding("CL484")


def check_unmeasured_tasks(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of tasks that come to a choice and that nobody measured, and of listed models that were not measured."""
    for leaning in leanings(subject):
        missing = [] if leaning.guarded or leaning.choice is None else list(_missing(leaning, leaning.choice))
        if missing:
            yield _FOUND.warning(
                f"`{leaning.key}` asks for a quality that was not measured: {some_of(missing)}",
                leaning.place.span,
                "never serves there",
                "measure it, or exclude the task from the condition",
            )


def _missing(leaning: Leaning, choice: Choice) -> Iterator[str]:
    for task in leaning.tasks:
        known = [model for model in leaning.models if _is_known(leaning, model, task)]
        if not known:
            if leaning.told and choice.on_none == "refuse":
                yield f"of no model for `{task}`"
        elif choice.models:
            yield from (_told(model, task) for model in leaning.models if model not in known)


def _told(model: Model, task: str) -> str:
    base = model.base_measured.get(task)
    return f"of `{model.name}` for `{task}`" + (f", only of its base `{base}`" if base else "")


def _is_known(leaning: Leaning, model: Model, task: str) -> bool:
    if not leaning.low:
        return task in model.quality
    evidence = model.evidence.get(task)
    return evidence is not None and evidence.low is not None
