"""Text that is made to harm: refused or parsed, always at once and without an exception of another kind."""

from __future__ import annotations

import string
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.expressions import Environment, ExpressionError, Limits, analyze, parse, unchecked
from costlens_policy.expressions.syntax.grammar import tables
from costlens_policy.expressions.syntax.tokens import tokenize

_HUGE = Limits(source=10**7, literal=10**7)
_PIECES = ["'", '"', "'''", '"""', "\\", "r'", "b\"", "\n", "a", "1", ".", "..", "?", "[", "]", "(", ")", "{", "}", ",",
           ":", "&&", "||", "==", "-", "!", " ", "//", "`", "in", "has(", ".all(", "x,", "0x", "u", "e9", "é", "\u2028",
           "\ud800", "\x00", ".map(", "cel.bind(", "for", "\\x4", "\\u12", "\\777"]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + ")" * 10_000,
        "[" * 5_000,
        "{" * 5_000,
        "!" * 10_000 + "a",
        "-" * 10_000 + "1",
        "a" + ".b" * 5_000,
        "a" + "[0]" * 4_000,
        "1" + "+1" * 8_000,
        "true?1:" * 2_000 + "1",
        "f(" * 5_000,
        "a.all(x," * 1_500,
        "[" + "1," * 2_000 + "1]",
        "'" + "a" * 9_000 + "'",
        "a" * 20_000,
    ],
)
def test_what_is_too_large_is_said_to_be(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.problems[0].code in ("CL301", "CL305")


def test_the_deepest_that_is_allowed_can_be_checked_within_the_recursion_limit() -> None:
    limits = Limits()
    texts = [
        "!" * (limits.nesting - 1) + "true",
        "(" * limits.nesting + "1" + ")" * limits.nesting,
        "true?1:" * (limits.nesting - 1) + "1",
        "1" + "+1" * (limits.nesting - 1),
        "[1].map(x," * (limits.nesting - 2) + "1" + ")" * (limits.nesting - 2),
        "[" * (limits.nesting - 1) + "1" + "]" * (limits.nesting - 1),
    ]
    assert sys.getrecursionlimit() >= 1000
    for text in texts:
        assert analyze(text, Environment({})).typed is not None, text[:20]


def test_long_chains_of_logic_are_one_level() -> None:
    assert analyze("true" + "||true" * 2_000, Environment({})).typed is not None


@pytest.mark.parametrize("quotes", ["'", '"', "'''", '"""'])
def test_the_lexer_is_linear_on_an_open_string_of_backslashes(quotes: str) -> None:
    # The grammar's own lexer takes 8 seconds for 37 of them; a million must be nothing.
    for body in ("\\" * 10**6, "a\\'" * 300_000, quotes[0] * 2 + "\\" * 10**6):
        tokens, problems = tokenize(quotes + body, _HUGE, tables())
        assert len(tokens) + len(problems) < 10


def test_the_lexer_is_linear_on_other_long_runs() -> None:
    for run in ("0" * 10**5, "0x" * 10**5, "." * 10**5, "1." * 10**5, "`a" * 10**5, "/" * 10**5, "e" * 10**5):
        tokenize(run, _HUGE, tables())


@given(st.lists(st.sampled_from(_PIECES), max_size=40).map("".join))
def test_pieces_of_syntax_never_crash(text: str) -> None:
    analyzed = analyze(text, Environment({}))
    assert analyzed.typed is not None or analyzed.problems
    for problem in analyzed.problems:
        assert 0 <= problem.extent.start <= problem.extent.end <= len(text)


@given(st.text(max_size=60) | st.text(alphabet=string.printable, max_size=60))
def test_any_text_never_crashes(text: str) -> None:
    with suppress(ExpressionError):
        unchecked(text, parse(text), Environment({}))
