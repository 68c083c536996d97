"""CL470: a text of the caller that a rewrite adds behind a redaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.assurance.domain import Every, Goal, Nothing
from costlens_policy.assurance.subject import Rule, Subject
from costlens_policy.checker.checks.subject import Finding, Place
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.rewrites import Rewrite

__all__ = ["find_late_texts"]

_FOUND: Final = Finding("CL470")


def find_late_texts(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of values that a template takes from the request after personal data was redacted: they are sent as is."""
    redactions: list[tuple[Goal, Place]] = []
    for rule in subject.rules["rewrites"]:
        for at, operation in enumerate(_rewrite(rule).apply):
            place = rule.place.at("apply", at, operation.name)
            if operation.redact is not None:
                redactions.append((rule.goal, place))
            if operation.template is None:
                continue
            for name in operation.template.values:
                value = place.at("values", name)
                text = _text_read(subject, value)
                met = ((goal, where) for goal, where in redactions if _meets(subject, goal, rule.goal))
                goal, before = next(met, (rule.goal, None))
                if text and before is not None:
                    yield _FOUND.mistake(
                        f"`{rule.id}` adds `request.{text}` after personal data was redacted",
                        value.span,
                        "is sent as the caller wrote it",
                        "put the redaction last",
                        [Related(before.key_span, "redacts before")],
                        witnesses=subject.shown(Every([goal, rule.goal])),
                    )


def _rewrite(rule: Rule) -> Rewrite:
    document = rule.place.document.document
    return document.rewrites[int(rule.place.path[1])]  # type: ignore[attr-defined,no-any-return]  # rules stand in policies


def _text_read(subject: Subject, place: Place) -> str:
    """Return a text of the request that an expression reads and that may be anything; empty for none."""
    typed = subject.documents.typed(place)
    for reference in sorted(typed.references) if typed is not None else ():
        attribute = subject.plan.attributes.get(reference[1]) if reference[0] == "request" and reference[1:] else None
        if attribute is not None and not attribute.values and attribute.type.name in ("string", "map", "list"):
            return ".".join(reference[1:])
    return ""


def _meets(subject: Subject, earlier: Goal, later: Goal) -> bool:
    """Say whether both rewrites may apply to one request."""
    return not isinstance(subject.domain.find(Every([earlier, later])), Nothing)
