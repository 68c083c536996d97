"""CL418: an invalid RE2 pattern, or a replacement that refers to a group that the pattern does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Subject, operations_of
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.documents.rewrites import Replace
from costlens_policy.expressions import Extent
from costlens_policy.patterns import PatternError, compile_pattern
from costlens_policy.rewrites.replacement import group_references

__all__ = ["check_patterns"]

_FOUND: Final = Finding("CL418")
_FOREIGN: Final = {
    "(?=": "lookahead", "(?!": "lookahead", "(?<=": "lookbehind", "(?<!": "lookbehind", "(?>": "atomic groups",
    "(?P=": "references back", "\\1": "references back", "\\2": "references back",
}  # fmt: skip
_LESS: Final = "use fewer repetitions, such as `.*` for `.{0,1000}`, or `{10,}` for `{10,1000}`"


def check_patterns(subject: Subject) -> Iterator[Diagnostic]:
    """Report the patterns of ``replace`` that do not compile, and groups that do not exist."""
    for operation, place in operations_of(subject):
        if isinstance(operation.section, Replace):
            yield from _replace(operation.section, place.at(operation.name))


def _replace(replace: Replace, place: Place) -> Iterator[Diagnostic]:
    pattern = place.at("pattern")
    try:
        compiled = compile_pattern(replace.pattern)
    except PatternError as error:
        foreign = next((name for text, name in _FOREIGN.items() if text in replace.pattern), "")
        advice = f"RE2 has no {foreign}, which keeps every match linear in time" if foreign else ""
        if error.reason == str(error):
            yield _FOUND.error("the pattern is too large", pattern.span, error.reason, _LESS)
        else:
            yield _FOUND.error("the pattern must be valid RE2 syntax", pattern.span, error.reason, advice)
        return
    if "\b" in replace.pattern:
        yield _FOUND.warning(
            "the pattern contains a backspace",
            pattern.span,
            "double quotes read `\\b` as a backspace",
            "write the pattern in single quotes, or `\\\\b` for the end of a word",
        )
    for group, start, end in group_references(replace.text):
        if group > compiled.groups:
            has = {0: "no groups", 1: "one group"}.get(compiled.groups, f"{compiled.groups} groups")
            yield _FOUND.error(
                f"the pattern has no group {group}",
                place.at("text").part(Extent(start, end)),
                f"the pattern has {has}",
                "put parentheses around what the group should capture, or write `\\\\` for a backslash",
                [Related(pattern.span, "this pattern")],
            )
