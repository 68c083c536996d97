"""The one door to the engine of regular expressions: what matches, what an empty match is, and what a pattern costs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.patterns import LARGEST, Pattern, PatternError, compile_pattern
from costlens_policy.rewrites.content import RewriteError
from tests.expressions.runtime.evaluating import evaluate, failure
from tests.rewrites.making import chat, prompt, rewritten, user

atoms = st.sampled_from(
    ["a", "b", "é", "日", "x", ".", "[ab]", "(?:ab)", "(a)", "(b|é)", r"\b", r"\B", "^", "(?m:^)", "(?m:$)"]
)
quantified = st.builds("{}{}".format, atoms, st.sampled_from(["", "*", "+", "?", "*?", "{0,2}"]))
branches = st.lists(quantified, max_size=3).map("".join)
some_patterns = st.lists(branches, min_size=1, max_size=3).map("|".join)
texts = st.text("abé日x \n", max_size=10)


def longhand(pattern: str, text: str) -> list[tuple[int, int]]:
    """Find all matches by another engine's first match, one after the other, as Go's documentation tells it."""
    # Python's `(?m:$)` and `^` agree with RE2's on these texts, and its `\b` does where only ASCII makes words.
    compiled = re.compile(pattern, re.ASCII)
    found: list[tuple[int, int]] = []
    at = 0
    while at <= len(text):
        match = compiled.search(text, at)
        if match is None:
            break
        start, end = match.span()
        if start < end or not found or found[-1][1] != start:
            found.append((start, end))
        at = end if end > start else end + 1
    return found


def ours(pattern: str, text: str) -> list[tuple[int, int]]:
    data = text.encode()
    spans = [spans[0] for spans in compile_pattern(pattern).matches(data)]
    return [(len(data[:start].decode()), len(data[:end].decode())) for start, end in spans]


def is_python_alone(pattern: str) -> bool:
    """Say whether only Python's engine takes a pattern: repeats of repeats and of empty assertions differ."""
    return re.search(r"\\[bB](?:[*+?{])|\^[)]?[*+?{]|\$\)[*+?{]", pattern) is not None


@given(some_patterns, texts)
def test_all_matches_are_those_of_the_longhand(pattern: str, text: str) -> None:
    if not is_python_alone(pattern):
        assert ours(pattern, text) == longhand(pattern, text)


@given(some_patterns, texts, st.sampled_from(["", "-", "<\\0>", "日"]))
def test_expressions_and_rewrites_replace_alike(pattern: str, text: str, new: str) -> None:
    if is_python_alone(pattern):
        return
    pieces, at = [], 0
    for start, end in longhand(pattern, text):
        pieces += [text[at:start], new.replace("\\0", text[start:end])]
        at = end
    right = "".join((*pieces, text[at:]))
    assert evaluate("regex.replace(t, p, n)", t=text, p=pattern, n=new) == right
    if pattern and text:
        assert rewritten(prompt(text), replace={"pattern": pattern, "text": new}).prompt == right


@given(some_patterns, texts)
def test_matches_that_are_extracted_are_those_found(pattern: str, text: str) -> None:
    if is_python_alone(pattern) or compile_pattern(pattern).groups:
        return
    parts = [text[start:end] for start, end in longhand(pattern, text)]
    assert evaluate("regex.extractAll(t, p)", t=text, p=pattern) == parts
    first = evaluate("regex.extract(t, p).orValue('none')", t=text, p=pattern)
    assert first == (parts[0] if parts else "none")


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        # the same texts and patterns give these values in cel-go and cel-cpp
        (r"regex.replace('abc', '$', '_end')", "abc_end"),
        (r"regex.replace('abc', '^', 'start_')", "start_abc"),
        (r"regex.replace('a-b', r'\b', '|')", "|a|-|b|"),
        (r"regex.replace('banana', '', 'x')", "xbxaxnxaxnxax"),
        (r"regex.replace('banana', 'a', 'x', 2)", "bxnxna"),
        (r"regex.replace('banana', 'a', 'x', 0)", "banana"),
        (r"regex.replace('foo bar', '(fo)o (ba)r', r'\2 \1')", "ba fo"),
        (r"regex.replace('l1\nl2', '(?m)^', '> ')", "> l1\n> l2"),
        (r"regex.replace('éa', 'x*', '-')", "-é-a-"),
        (r"regex.replace('', 'a*', 'x')", "x"),
        (r"regex.extract('hello world', 'hello(.*)').value()", " world"),
        (r"regex.extract('item-A, item-B', r'item-(\w+)').value()", "A"),
        (r"regex.extract('HELLO', 'hello').hasValue()", False),
        # the first match decides, also where its group took no part
        (r"regex.extract('b ab', '(a)?b').hasValue()", False),
        (r"regex.extract('ab b', '(a)?b').value()", "a"),
        (r"regex.extractAll('id:1 id:2', r'id:(\d)')", ["1", "2"]),
        (r"regex.extractAll('none', r'\d')", []),
        (r"regex.extractAll('b ab', '(a)?b')", ["a"]),
        # cel-go keeps empty matches, cel-cpp leaves them out: we keep them
        (r"regex.extractAll('abc', 'a|b*')", ["a", "b", ""]),
        (r"regex.extractAll('ab cd', r'\b')", [""] * 4),
        # cel-go takes a group that is empty for one that took no part: here it took part
        (r"regex.extract('b', '(a*)b').hasValue()", True),
        (r"regex.extractAll('b ab', '(a*)b')", ["", "a"]),
    ],
)
def test_values_that_other_engines_give(expression: str, right: object) -> None:
    assert evaluate(expression) == right


@pytest.mark.parametrize("pattern", ["", "a*", "$", r"\b", "(?m)^", "(x)?"])
def test_an_empty_match_moves_on_by_whole_characters(pattern: str) -> None:
    text = "a日é\U0001f600x"
    starts = {start for start, _ in ours(pattern, text)}
    assert starts <= set(range(len(text) + 1))


def test_the_size_of_a_pattern_is_what_it_repeats() -> None:
    sizes = [compile_pattern(pattern).size for pattern in ("x.{0,5}y", "x.{0,50}y", "x" + ".?" * 50 + "y")]
    assert sizes[0] * 5 < sizes[1] == sizes[2]
    words = "|".join(f"word{number}" for number in range(500))
    assert compile_pattern(rf"(?i)\b({words})\b").size < 20, "a list of words is read in one pass"
    assert compile_pattern(r"[\p{L}\p{N}_]+@\p{Han}+").size < 20


@pytest.mark.parametrize(
    "pattern",
    [
        "x.{0,1000}y", "(?:x.{0,50}y){0,20}", "(?:a.{0,30}b){0,33}", "[a-z]{1000}[0-9]{1000}[a-f]{1000}",
        "(?s).{1,900}x.{1,900}", ".?" * 1_100, "(a|b|c|d){0,1000}", r"\w{10,1000}\d{10,1000}",
        "[日本]{0,1000}x{0,1000}", r"\x{1F600}{0,900}x{0,900}",
    ],
)  # fmt: skip
def test_patterns_that_repeat_too_much_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="steps when compiled, and the limit is 3,000"):
        compile_pattern(pattern)
    assert failure("t.matches(p)", t="x", p=pattern) == "CL909"
    assert failure("regex.extract(t, p)", t="x", p=pattern) == "CL909"


WORDS = [f"{first}{second}{number}" for number, first in enumerate("abcdefghij") for second in "klmnopqrstuvwxyzabcd"]


@pytest.mark.parametrize(
    "pattern",
    [
        rf"(?i)\b({'|'.join(WORDS)})\b", f"^(?:{'|'.join(WORDS)})$", rf"\b(?:{'|'.join(WORDS)})(?:s|ed|ing)?\b",
        "|".join(f"(?i:{word})" for word in WORDS), r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){1,8}",
        r"https?://(www\.)?[-a-zA-Z0-9@:%._+~#=]{1,256}\.[a-z]{1,6}\b([-a-zA-Z0-9()@:%_+.~#?&/=]*)", "^.{1,200}$",
        r"(?s)^.{1,900}$", r"^\p{L}{1,64}$", r"(?i)^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,63}$",
        r"(?i)-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY-----[\s\S-]{64,}?KEY-----", r"pypi-AgEIcHlwaS5vcmc[\w-]{50,1000}",
        "(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,7}:|([0-9a-fA-F]{1,4}:){1,4}(:[0-9a-fA-F]{1,4}){1,3}"
        "|[0-9a-fA-F]{1,4}:((:[0-9a-fA-F]{1,4}){1,6})|fe80:(:[0-9a-fA-F]{0,4}){0,4}%[0-9a-zA-Z]+)",
        r"[a-f0-9]{128}", r"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}", r"(?i)secret.{0,100}key", r"\pL(|a)(?i:A)",
    ],
)  # fmt: skip
def test_patterns_of_every_day_are_taken(pattern: str) -> None:
    assert compile_pattern(pattern).size <= LARGEST


@pytest.mark.parametrize("group", ["(", "(?:", "(?i:", "(?-i:", "(?P<name>", "(?<name>"])
def test_the_kind_of_a_group_does_not_change_the_size(group: str) -> None:
    assert compile_pattern(rf"\pL{group}{'|'.join(WORDS)})x").size < 20


@pytest.mark.parametrize("pattern", [r"\C", r"a\Cb|c", r"(?i)\C", r"\\\C"])
def test_a_pattern_that_takes_characters_apart_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="byte out of a character"):
        compile_pattern(pattern)
    assert compile_pattern(r"\Q\C\E|\\C").found(rb"\C")


@pytest.mark.parametrize(
    ("pattern", "text", "right"),
    # as Go's regexp finds them
    [(r"\B", "aéa", []), (r"\B", "é", [(0, 0), (1, 1)]), (r"\B|x", "aé", [(2, 2)]), (r"\B\w", "éab", [(2, 3)]),
     (r"(\B)x*", "\U0001f600é", [(0, 0), (1, 1), (2, 2)])],
)  # fmt: skip
def test_nothing_is_found_inside_a_character(pattern: str, text: str, right: list[tuple[int, int]]) -> None:
    assert ours(pattern, text) == right
    assert compile_pattern(pattern).found(text.encode()) is bool(right)
    assert (compile_pattern(pattern).first(text.encode()) is not None) is bool(right)


def test_a_pattern_that_unicode_makes_huge_is_refused() -> None:
    with pytest.raises(PatternError, match="pattern"):
        compile_pattern(r"(?i)[\p{L}\p{N}]{1,64}@[\p{L}\p{N}]{1,64}")


@given(st.text("a()[]{}|*+?.^$\\pLQEx0,1-:=<é日", max_size=12))
def test_whatever_the_pattern_it_has_a_size_or_is_refused(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError:
        return
    assert 0 <= compiled.size <= LARGEST


def test_searches_are_paid_by_the_evaluation_and_not_by_the_call() -> None:
    text = "ab " * 60_000
    pattern = "a.{0,60}b"
    one = "t.matches(p + 'q')"
    assert evaluate(one, t=text[:60_000], p=pattern) is False
    assert failure(" && ".join([f"!{one}"] * 15), t=text[:60_000], p=pattern) == "CL914"
    assert failure(f"!{one}", t=text * 10, p=pattern) == "CL914"


def test_matches_are_paid_by_the_evaluation() -> None:
    assert len(evaluate("regex.extractAll(t, 'a')", t="a" * 60_000)) == 60_000
    assert failure("regex.extractAll(t, 'a').size() + regex.extractAll(t, 'a').size()", t="a" * 60_000) == "CL914"
    assert failure("regex.replace(t, '', 'x')", t="a" * 120_000) == "CL914"
    assert failure("[1, 2, 3].map(n, regex.extractAll(t, 'a').size())", t="a" * 60_000) == "CL914"


def test_a_long_text_is_not_rewritten_by_a_large_pattern() -> None:
    large = {"pattern": "x.{0,100}y", "text": ""}
    assert rewritten(prompt("x y" * 1000), replace=large).prompt == ""
    with pytest.raises(Exception, match="too long for the pattern"):
        rewritten(prompt("x" * 1_000_000), replace=large)


def test_what_a_replacement_takes_adds_up_over_texts_and_matches() -> None:
    large = {"pattern": "x.{0,900}y", "text": ""}
    few, many = ([user("x" * 1_000)] * count for count in (10, 100))
    assert len(rewritten(chat(*few), replace=large).messages or ()) == 10
    with pytest.raises(RewriteError, match="too long for the pattern"):
        rewritten(chat(*many), replace=large)
    with pytest.raises(RewriteError, match="matches too often"):
        rewritten(prompt("x" * 1_100_000), replace={"pattern": "x", "text": "y"})


def test_patterns_are_equal_by_their_text() -> None:
    assert compile_pattern("a") == compile_pattern("a")
    assert {compile_pattern("a"): 1}[compile_pattern("a")] == 1
    assert compile_pattern("a") != compile_pattern("b")
    assert isinstance(compile_pattern("a"), Pattern)
