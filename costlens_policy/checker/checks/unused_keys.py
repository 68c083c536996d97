"""CL417: a valid key without effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.rewrite_conflicts import Setting, settings_of
from costlens_policy.checker.checks.subject import Finding, Place, Subject, applied, operations_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents.budget import CalendarWindow
from costlens_policy.documents.policy import Choice
from costlens_policy.documents.rewrites import Template
from costlens_policy.rewrites.template import placeholders

__all__ = ["check_unused_keys"]

_FOUND: Final = Finding("CL417")
_PERIODS: Final = {
    "week_start": ("week",),
    "month_start_day": ("month", "quarter", "year"),
    "year_start_month": ("quarter", "year"),
}


def check_unused_keys(subject: Subject) -> Iterator[Diagnostic]:
    """Warn about keys without effect in windows, choices, rewrites, templates and attributes."""
    yield from _windows(subject)
    yield from _ways_out(subject)
    yield from _merges(subject)
    yield from _template_values(subject)
    yield from _defaults(subject)


def _windows(subject: Subject) -> Iterator[Diagnostic]:
    for policy in subject.bundle.policies:
        for index, budget in enumerate(policy.document.budgets):
            window = budget.window
            if not isinstance(window, CalendarWindow):
                continue
            for key, periods in _PERIODS.items():
                place = Place(policy, ("budgets", index, "window", key))
                if window.calendar not in periods and place.exists:
                    advice = f"it is for {listed((f'calendar: {period}' for period in periods), 'or')}"
                    message = f"`{key}` has no effect in a window of a {window.calendar}"
                    yield _FOUND.warning(message, place.key_span, "without effect", advice)


def _ways_out(subject: Subject) -> Iterator[Diagnostic]:
    """The best of a choice without its limits is the best of the same choice where there are none. What counts as the
    quality of a model matters only where a limit asks for it.
    """
    for document in subject.documents():
        for path, target in all_targets_of(document.document):
            choice, place = target.choose, Place(document, (*path, "choose", "on_none"))
            if choice is not None and choice.on_none == "best" and _bounds_nothing(choice):
                message = "`on_none: best` has no effect: the choice has no limit on cost, latency or quality"
                advice = "add a limit, or remove `on_none`; `cheapest` also takes models that the choice cannot judge"
                yield _FOUND.warning(message, place.key_span, "nothing to put aside", advice)
            if choice is not None and choice.quality != "value" and _ignores_quality(choice):
                place = Place(document, (*path, "choose", "quality"))
                message = f"`quality: {choice.quality}` has no effect: the choice has no limit on quality"
                advice = "add `within` or `limits.min_quality`; expressions read `model.quality_low`"
                yield _FOUND.warning(message, place.key_span, "without effect", advice)


def _bounds_nothing(choice: Choice) -> bool:
    return choice.within is None and choice.limits == choice.without_bounds().limits


def _ignores_quality(choice: Choice) -> bool:
    return choice.within is None and choice.limits.min_quality is None


def _merges(subject: Subject) -> Iterator[Diagnostic]:
    """A merge needs another rewrite, before or after, with a target in common."""
    settings: dict[str, list[Setting]] = {}
    declared = []
    for rule in applied(subject):
        own = list(settings_of(rule))
        for setting in own:
            settings.setdefault(setting.target, []).append(setting)
        if rule.merge is not None:
            declared.append((rule, own))
    for rule, own in declared:
        if all(len(settings[setting.target]) == 1 for setting in own):
            place = rule.place.at("merge")
            message = f"`{rule.name}` has nothing to merge with"
            yield _FOUND.warning(message, place.key_span, "nothing else sets the same target", "remove `merge`")


def _template_values(subject: Subject) -> Iterator[Diagnostic]:
    for operation, place in operations_of(subject):
        section = operation.section
        if not isinstance(section, Template):
            continue
        read = {found.name for found in placeholders(section.text)}
        for name in section.values:
            if name not in read:
                span = place.at(operation.name, "values", name).key_span
                advice = f"write `{{{{ {name} }}}}` where it belongs, or remove it"
                yield _FOUND.warning(f"the template does not use `{name}`", span, "without effect", advice)


def _defaults(subject: Subject) -> Iterator[Diagnostic]:
    for name, attribute in subject.bundle.policy_set.document.attributes.items():
        if attribute.required and attribute.default is not None:
            place = Place(subject.bundle.policy_set, ("attributes", name, "default"))
            message = f"the default of `{name}` is never used"
            advice = "remove `default` or `required`"
            yield _FOUND.warning(message, place.key_span, "a request without it is refused", advice)
