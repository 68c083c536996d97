"""Comments suppress what they name, where they stand, with a reason; everything else about them is reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.source.located import SourceText, span_between
from costlens_policy.source.read import source_of
from costlens_policy.source.suppressions import suppress, suppressions_of, unused_suppressions

_TEXT = """\
budgets:
  # costlens-policy: ignore[CL431] the gateway sets the team
  # and never leaves it out
  - id: a
    scope: request.team  # one
    note: |
      # costlens-policy: ignore[CL431] a text
  - id: b
    scope: request.team  # costlens-policy: ignore[CL431, CL437] as above
    # costlens-policy: ignore[CL438]
    limit: 0
"""


def _warning(source: SourceText, part: str, code: str, severity: Severity = Severity.WARNING) -> Diagnostic:
    start = source.text.index(part)
    return Diagnostic(code, severity, "wrong", span_between(source, start, start + len(part)))


def _reasons(*found: Diagnostic, source: SourceText) -> dict[tuple[str, int], str]:
    items = suppress(found, {source.name: source})
    return {
        (item.code, item.span.start.line): item.suppressed for item in items if item.span and item.message == "wrong"
    }


def test_a_comment_speaks_of_its_line_or_of_what_is_under_it() -> None:
    source = source_of(_TEXT, "a.yaml")
    found = [
        _warning(source, "id: a", "CL431"), _warning(source, "request.team  # one", "CL431"),
        _warning(source, "id: b", "CL431"), _warning(source, "request.team  # cost", "CL431"),
        _warning(source, "request.team  # cost", "CL437"), _warning(source, "limit", "CL438"),
    ]  # fmt: skip
    assert _reasons(*found, source=source) == {
        ("CL431", 4): "the gateway sets the team", ("CL431", 5): "the gateway sets the team", ("CL431", 8): "",
        ("CL431", 9): "as above", ("CL437", 9): "as above", ("CL438", 11): "",
    }  # fmt: skip


def test_what_cannot_be_obeyed_is_an_error_and_what_meets_nothing_a_warning() -> None:
    source = source_of(_TEXT, "a.yaml")
    (problem,) = suppress((), {"a.yaml": source})
    assert (problem.code, problem.is_error, problem.stops) == ("CL226", True, False)
    assert problem.span is not None
    assert problem.span.start.line == 10
    unused = unused_suppressions((_warning(source, "id: a", "CL431"),), {"a.yaml": source})
    assert [(item.code, item.message) for item in unused] == [
        ("CL225", "nothing to suppress: `CL431` is not reported here"),
        ("CL225", "nothing to suppress: `CL437` is not reported here"),
    ]


def test_what_prevents_loading_is_not_suppressed() -> None:
    source = source_of("a: b  # costlens-policy: ignore[CL208, CL441] whatever\n")
    stopping = _warning(source, "b", "CL208", Severity.ERROR)
    hole = Diagnostic("CL441", Severity.ERROR, "wrong", stopping.span, stops=False)
    items = suppress((stopping, hole), {source.name: source})
    assert [(item.code, item.is_error) for item in items] == [("CL208", True), ("CL441", False)]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("ignor[CL444] x", "a comment to costlens-policy must be `ignore[CODE] reason`"),
        ("ignore CL444 x", "a comment to costlens-policy must be `ignore[CODE] reason`"),
        ("", "a comment to costlens-policy must be `ignore[CODE] reason`"),
        ("ignore[] x", "a suppression must name a code"),
        ("ignore[CL44] x", "unknown code `CL44`"),
        ("ignore[CL444,] x", "a suppression must name a code"),
        ("ignore[CL444]", "a suppression must give a reason"),
        ("ignore[CL444] --", "a suppression must give a reason"),
    ],
)
def test_a_comment_that_cannot_be_obeyed(comment: str, message: str) -> None:
    source = source_of(f"a: 1\n# costlens-policy: {comment}\nb: 2\r\n")
    found, (problem,) = suppressions_of(source)
    assert not found
    assert problem.message == message


@given(
    st.lists(st.sampled_from(("a: 1", "- x", "  b: |", "", "# c", "  # costlens-policy: ignore[CL444] r", "   't'")))
)
def test_no_text_makes_it_fail(lines: list[str]) -> None:
    source = source_of("\n".join(lines))
    for item in suppressions_of(source)[0]:
        assert 1 <= item.span.start.line <= item.first <= item.last <= len(source.line_starts)
