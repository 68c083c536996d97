"""Say in plain words why a text is not YAML, at the place to be changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import yaml

from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.source.located import SourceText
from costlens_policy.source.syntax import layout, signs
from costlens_policy.source.syntax.failure import Failure, Words

__all__ = ["syntax_problem"]

_Explanation = Callable[[Failure], Words | None]


def syntax_problem(source: SourceText, error: yaml.YAMLError) -> Diagnostic:
    """Return the diagnostic (CL005, CL006 for tabs, CL019 for tags) for an error of the YAML parser."""
    failure = _failure(source, error)
    words = layout.tab(failure) or _explained(failure) or _unexplained(failure)
    return Diagnostic(
        words.code,
        Severity.ERROR,
        words.message,
        failure.span(words.start, words.length),
        label=words.label,
        help=words.help,
        related=words.related,
    )


def _failure(source: SourceText, error: yaml.YAMLError) -> Failure:
    used = len(source.text.rstrip())
    problem, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    at = min(problem.index, used) if problem else used
    since = min(context.index, used) if context else at
    said, doing = getattr(error, "problem", None), getattr(error, "context", None)
    return Failure(source, said or str(error), doing or "", at, since)


def _explained(failure: Failure) -> Words | None:
    for pattern, explain in _EXPLANATIONS:
        if pattern.search(failure.problem):
            return explain(failure)
    return None


def _unexplained(failure: Failure) -> Words:
    return Words(f"this is not valid YAML: {failure.problem}", failure.at, 1, help="check the lines around this place")


_EXPLANATIONS: Final[tuple[tuple[re.Pattern[str], _Explanation], ...]] = tuple(
    (re.compile(pattern), explain)
    for pattern, explain in (
        ("mapping values are not allowed", layout.second_colon),
        ("could not find expected ':'", layout.no_colon),
        ("found unexpected (end of stream|document)", signs.open_quote),
        (r"expected ',' or '[\]}]'", signs.open_bracket),
        ("expected (the )?node content", signs.no_value),
        ("cannot start any token", signs.bad_start),
        ("sequence entries are not allowed", layout.item_here),
        ("mapping keys are not allowed", signs.key_here),
        ("escape|hexdecimal", signs.escape),
        ("directive|incompatible YAML", signs.directive),
        ("<document start>", layout.next_document),
        ("indentation indicator|comment or (a )?line break", signs.block_header),
        ("tag|'>'|'!'|URI", signs.tag),
        ("alphabetic or numeric", signs.no_name),
        ("expected key", layout.no_key),
        ("'-' indicator", layout.no_item),
        (
            "<block end>",
            lambda failure: (layout.no_item if "collection" in failure.context else layout.no_key)(failure),
        ),
    )
)
