"""Comments that suppress a diagnostic, each with the reason for it.

``# costlens-policy: ignore[CL445] ids of this gateway always end so``

In place of a code, ``mutant`` explains mutants that no case of a suite kills.

At the end of a line it speaks of that line; on a line of its own, of the next line and all that is indented under it,
such as a whole rule.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import yaml

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Severity, Span, in_order
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.frozen import frozen
from costlens_policy.source.located import SourceText, span_between

__all__ = ["MUTANT", "Suppression", "suppress", "suppressions_of", "unused_suppressions"]

MUTANT: Final = "mutant"
"""In place of a code: mutants that no case kills, and that ``test --mutate`` would report."""

_COMMENT: Final = re.compile(r"(?:^|(?<=[ \t]))#[ \t]*costlens-policy[ \t]*:[ \t]*(?P<text>[^\r\n]*)", re.MULTILINE)
_IGNORE: Final = re.compile(r"ignore[ \t]*\[(?P<codes>[^\]]*)\][ \t]*(?:--|:|,)?[ \t]*(?P<reason>.*)")
_CONTENT: Final = re.compile(r"[ \t]*(?![ \t#]|$)")
_FORM: Final = "write `# costlens-policy: ignore[CL445] reason`, on the line or above the rule"


@frozen
class Suppression:
    """A code that a comment suppresses in the lines ``first`` to ``last``, which count from 1, and why."""

    code: str
    reason: str
    span: Span
    first: int
    last: int

    def covers(self, item: Diagnostic) -> bool:
        place = item.span
        return (
            place is not None
            and item.code == self.code
            and place.file == self.span.file
            and self.first <= place.start.line <= self.last
        )


def suppress(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceText]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics in order; those that a comment of their file suppresses have its reason.

    Comments that cannot be obeyed are diagnostics, too (CL226). What prevents loading cannot be suppressed.
    """
    found = {name: suppressions_of(source) for name, source in sources.items()}
    given = [item for suppressions, _ in found.values() for item in suppressions]
    problems = [item for _, items in found.values() for item in items]
    if not given:
        return in_order([*diagnostics, *problems])
    return in_order([*(_suppressed(item, given) for item in diagnostics), *problems])


def unused_suppressions(diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceText]) -> Iterator[Diagnostic]:
    """Yield a warning for each suppression that none of all diagnostics meets (CL225)."""
    for source in sources.values():
        for item in suppressions_of(source)[0]:
            if item.code != MUTANT and not any(item.covers(diagnostic) for diagnostic in diagnostics):
                yield Diagnostic(
                    "CL225",
                    Severity.WARNING,
                    f"nothing to suppress: `{item.code}` is not reported here",
                    item.span,
                    help="remove the comment, or move it above what it speaks of",
                )


def suppressions_of(source: SourceText) -> tuple[tuple[Suppression, ...], tuple[Diagnostic, ...]]:
    """Return what the comments of a file suppress, and the comments that cannot be obeyed (CL226)."""
    found: list[Suppression] = []
    problems: list[Diagnostic] = []
    for comment in _comments(source):
        item = _IGNORE.fullmatch(comment["text"].rstrip())
        span = span_between(source, comment.start(), comment.start() + len(comment[0].rstrip()))
        codes = [code.strip() for code in item["codes"].split(",")] if item is not None else []
        if problem := _problem(codes, item["reason"] if item is not None else "", understood=item is not None):
            message, help = problem
            problems.append(Diagnostic("CL226", Severity.ERROR, message, span, help=help, stops=False))
        elif item is not None:
            first, last = _lines(source, comment.start())
            found += (Suppression(code, item["reason"], span, first, last) for code in codes)
    return tuple(found), tuple(problems)


def _suppressed(item: Diagnostic, given: Sequence[Suppression]) -> Diagnostic:
    if item.is_error and item.stops:
        return item
    reason = next((suppression.reason for suppression in given if suppression.covers(item)), "")
    return replace(item, suppressed=reason)


def _problem(codes: Sequence[str], reason: str, *, understood: bool) -> tuple[str, str] | None:
    """Return what is wrong with a comment, and what to do; None if it can be obeyed."""
    if not understood:
        return "a comment to costlens-policy must be `ignore[CODE] reason`", _FORM
    for code in codes:
        if code not in CODES and code != MUTANT:
            message = f"unknown code `{code}`" if code else "a suppression must name a code"
            return message, did_you_mean(code, CODES) or _FORM
    if not re.search(r"\w", reason):
        return "a suppression must give a reason", _FORM
    return None


def _comments(source: SourceText) -> Iterator[re.Match[str]]:
    """Yield the comments to this program; what looks like one inside a text is none."""
    found = list(_COMMENT.finditer(source.text))
    if not found:
        return
    try:
        tokens = [token for token in yaml.scan(source.text) if isinstance(token, yaml.ScalarToken)]
    except yaml.YAMLError:
        return  # reported where the file is read
    starts = [token.start_mark.index for token in tokens]
    for comment in found:
        at = bisect_right(starts, comment.start()) - 1
        if at < 0 or comment.start() >= tokens[at].end_mark.index:
            yield comment


def _lines(source: SourceText, offset: int) -> tuple[int, int]:
    """Return the first and last line that a comment at an offset speaks of."""
    lines = source.lines()
    number = bisect_right(source.line_starts, offset)
    if lines[number - 1][: offset - source.line_starts[number - 1]].strip():
        return number, number
    rest = ((at, match.end()) for at, line in enumerate(lines[number:], number + 1) if (match := _CONTENT.match(line)))
    first, indent = next(rest, (number, 0))
    last = first
    for at, deeper in rest:
        if deeper <= indent:
            break
        last = at
    return first, last
