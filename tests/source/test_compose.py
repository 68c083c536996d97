"""What a text composes to, where everything in it stands, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.diagnostics.model import Diagnostic, Severity, Span
from costlens_policy.source import compose as compose_module
from costlens_policy.source.compose import Composed, compose
from costlens_policy.source.located import LocatedValue, part_span
from costlens_policy.source.read import source_of


def _compose(text: str) -> Composed:
    composed = compose(source_of(text, "f.yaml"))
    for item in composed.diagnostics:
        assert item.code in CODES
        assert item.span is not None
        assert 0 <= item.span.start.offset <= item.span.end.offset <= len(text)
    return composed


def _plain(text: str) -> Any:
    composed = _compose(text)
    assert not [item for item in composed.diagnostics if item.is_error]
    return composed.documents[0].root.to_plain()


def _problem(text: str) -> Diagnostic:
    (diagnostic,) = _compose(text).diagnostics
    return diagnostic


def _written(text: str, span: Span | None) -> str:
    assert span is not None
    return text[span.start.offset : span.end.offset]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("TRUE", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-17", -17), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("123456789012345678901", 123456789012345678901),
        ("1.10", Decimal("1.10")), ("1e3", Decimal("1e3")), (".5", Decimal("0.5")), ("-2.5E-7", Decimal("-2.5E-7")),
        ("0.1", Decimal("0.1")), ("1.", Decimal("1")), ("0.000000025", Decimal("0.000000025")),
        ("2026-11-01", date(2026, 11, 1)),
        ("2026-11-01T12:00:00Z", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("2026-11-01 12:00:00.25", datetime(2026, 11, 1, 12, microsecond=250_000)),
        ("2026-11-01T14:00:00+02:00", datetime(2026, 11, 1, 12, tzinfo=UTC)),
        ("gpt-5-nano", "gpt-5-nano"), ("1.2.3", "1.2.3"), ("2026-1-5", "2026-1-5"), ("12h", "12h"), ("-", None),
        ('"1.10"', "1.10"), ("'true'", "true"), ("0badcafe", "0badcafe"), ("+", "+"), (".", "."), ("e5", "e5"),
    ],
)  # fmt: skip
def test_scalars(written: str, value: object) -> None:
    plain = _plain(f"k: {written}\n" if written != "-" else "k:\n- \n")
    found = plain["k"][0] if written == "-" else plain["k"]
    assert found == value
    assert type(found) is type(value)
    if isinstance(value, Decimal):
        assert str(found) == str(value), "every digit is kept"


@pytest.mark.parametrize("word", ["yes", "No", "ON", "off", "y", "N"])
def test_truth_words_stay_text_with_a_warning(word: str) -> None:
    composed = _compose(f"k: {word}\n")
    assert composed.documents[0].root.to_plain() == {"k": word}
    (warning,) = composed.diagnostics
    assert (warning.code, warning.severity) == ("CL014", Severity.WARNING)
    assert not _compose(f"{word}: '{word}'\n").diagnostics, "keys are always text"


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("k: 010\n", "CL015", "010"), ("k: 1:30\n", "CL015", "1:30"), ("k: 1_000\n", "CL015", "1_000"),
        ("k: 0b11\n", "CL015", "0b11"), ("k: -08\n", "CL015", "-08"),
        ("k: .inf\n", "CL016", ".inf"), ("k: .NaN\n", "CL016", ".NaN"), ("k: 1e999999999\n", "CL016", "1e999999999"),
        ("k: 2026-02-30\n", "CL017", "2026-02-30"), ("k: 2026-02-01T25:00:00Z\n", "CL017", "2026-02-01T25:00:00Z"),
        ("1: a\n", "CL018", "1"), ("true: a\n", "CL018", "true"), ("2026-11-01: a\n", "CL018", "2026-11-01"),
        ("{: a}\n", "CL018", ":"), (": a\n", "CL018", ":"),
        ("[a]: b\n", "CL018", "[a]"), ("? {a: b}\n: c\n", "CL018", "{a: b}"),
        ("a: &x b\n*x : c\n", "CL018", "*x"),
        ("a: !ruby/object 1\n", "CL019", "!ruby/object"), ("a: !!str 1\n", "CL019", "!!str"),
        ("a: &x !t\n  b: 1\n", "CL019", "!t"), ("a: !x!y z\n", "CL019", "!x!y"),
        ("a: 1\nb: 2\na: 3\n", "CL008", "a"), ("{a: 1, 'a': 2}\n", "CL008", "'a'"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n", "CL009", "<<"),
        ("a: *nope\n", "CL010", "*nope"), ("a: &x 1\nb: &x 2\n", "CL011", "&x"), ("a: &x [*x]\n", "CL012", "*x"),
        ("", "CL007", ""), ("# only a comment\n", "CL007", ""), ("---\n---\n", "CL007", ""),
        ("a: x == \"b #c\"\n", "CL023", "#c\""), ("a: x in ['b #c']\n", "CL023", "#c']"),
        ("a:\n\tb: 1\n", "CL006", "\t"), ("a: 1\n\tb: 2\n", "CL006", "\t"),
        ("a: \x00\n", "CL004", "\x00"), ("a: \x1b[31m\n", "CL004", "\x1b"), ("a: \u202eb\n", "CL004", "\u202e"),
        ("a: x\u2028y\n", "CL004", "\u2028"), ("a: \ud800\n", "CL004", "\ud800"), ("a: \ufeffb\n", "CL004", "\ufeff"),
    ],
)  # fmt: skip
def test_refused(text: str, code: str, place: str) -> None:
    diagnostic = _problem(text)
    assert (diagnostic.code, _written(text, diagnostic.span)) == (code, place)
    assert diagnostic.is_error
    assert diagnostic.help


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: foo: bar\n", ":", "contains a colon followed by a space"),
        ("when: a ? b : c\n", ":", "value of `when` contains a colon"),
        ("a: b\n  c: d\n", "c", "the line above already has a value"),
        ("a:1\nb: 2\n", ":", "no space after `a:`"),
        ("-a\n-b: 1\n", "-", "no space after `-`"),
        ("a: @x\n", "@", "cannot start with `@`"),
        ("a: 1\nfoo\nb: 2\n", "foo", "no colon after `foo`"),
        ('a: "foo\nb: 2\n', '"', "never closed"),
        ('when: "a" == b\nx: 1\n', "== b", 'after the closing `"`'),
        ("a: [1, 2\nb: 3\n", "[", "`[` is never closed"),
        ("a: [1, 2", "[", "`[` is never closed"),
        ("a: {x: 1 y: 2}\n", ":", "`,` or `}` is missing before `:`"),
        ("a: [1]]\n", "]", "unmatched bracket `]`"),
        ("a: ]\n", "]", "cannot start a value"),
        ("a:\n    b: 1\n  c: 2\n", "c:", "indentation of this line matches no line above"),
        ("a:\n    - b\n   - c\n", "-", "expected a key, got an item (`-`)"),
        ("a:\n  - x\n  b: 1\n", "b:", "expected an item (`-`), got a key"),
        ("a:\n   - x\n  - y\n", "-", "expected a key, got an item (`-`)"),
        ("a: - b\n", "-", "an item (`-`) cannot start here"),
        ('a: "\\q"\n', "\\q", "is not a YAML escape"),
        ('a: "\\xZZ"\n', "\\xZZ", "is not a YAML escape"),
        ("a: *\n", "*", "needs a name"),
        ("%FOO bar\n---\na: 1\n", "%FOO bar", "directive"),
        ("a: 1\n... b\n", "b", "the document ended"),
        ("a: |x\n  b\n", "x", "may follow `|`"),
    ],
)
def test_syntax_errors_are_explained_in_place(text: str, place: str, message: str) -> None:
    diagnostic = _problem(text)
    assert diagnostic.code == "CL005"
    assert message in diagnostic.message
    assert _written(text, diagnostic.span) == place
    assert diagnostic.help


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 10_000, "CL020"),
        ("{a: " * 10_000, "CL020"),
        ("- " * 10_000, "CL020"),
        ("\n".join(" " * depth + "a:" for depth in range(2_000)), "CL020"),
        ("\n".join(f"a{i}: &a{i} {'[' * 60}{f'*a{i - 1}' if i else ''}{']' * 60}" for i in range(9)), "CL020"),
        ("a0: &a0 [x,x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1},*a{i - 1}]\n" for i in range(1, 60)), "CL013"),
        (f"a: &a '{'x' * 100_000}'\nb: [" + "*a, " * 100 + "]\n", "CL013"),
    ],
)
def test_hostile_files_end_in_one_clean_error(text: str, code: str) -> None:
    assert _problem(text).code == code


@pytest.mark.parametrize("text", ["a: it's cheap # don't\n", 'a: x == "b" # "c"\n', 'a: 5" # "\n', 'a: "b" # "\n'])
def test_comments_after_closed_quotes_are_fine(text: str) -> None:
    assert not _compose(text).diagnostics


def test_too_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costlens_policy.source.compose._MAX_VALUES", 100)
    assert _problem("- a\n" * 200).code == "CL021"
    assert not _compose("- a\n" * 90).diagnostics


def test_an_alias_repeats_its_value_where_it_was_written() -> None:
    text = "a: &x\n  b: c\nd: *x\ne: &y f\ng: [*y]\n"
    root = _compose(text).documents[0].root
    assert root.to_plain() == {"a": {"b": "c"}, "d": {"b": "c"}, "e": "f", "g": ["f"]}
    assert _written(text, root.span_of(("a",))) == "b: c"
    assert _written(text, root.span_of(("e",))) == "f"
    assert _written(text, root.span) == text.rstrip()


def test_several_documents_and_empty_ones() -> None:
    composed = _compose("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n")
    assert [document.root.to_plain() for document in composed.documents] == [{"a": 1}, {"b": 2}]


def test_documents_before_a_syntax_error_are_kept() -> None:
    composed = _compose("a: 1\n---\nb: [\n")
    assert len(composed.documents) == 1
    assert [item.code for item in composed.diagnostics] == ["CL005"]


def test_all_problems_are_collected_in_order() -> None:
    codes = [item.code for item in _compose("a: 010\na: !t 1\n1: yes\nb: *x\n").diagnostics]
    assert codes == ["CL015", "CL008", "CL019", "CL018", "CL014", "CL010"]


_TREE = """\
rules:
  - id: one   # note
    when: >-
      a &&
      b
    cost: {max: 1.50,
      min: 2}
  - [x, 漢字, "😀"]
empty:
"""


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("rules", 0, "id"), "one"),
        (("rules", 0, "when"), ">-\n      a &&\n      b"),
        (("rules", 0, "cost"), "{max: 1.50,\n      min: 2}"),
        (("rules", 0, "cost", "min"), "2"),
        (("rules", 1), '[x, 漢字, "😀"]'),
        (("rules", 1, 1), "漢字"),
        (("rules", 1, 2), '"😀"'),
        (("empty",), ""),
        (("rules", 0, "cost", "unit"), "cost"),
        (("rules", 0, "model"), "id"),
        (("rules", 0, "cost", "unit", "deeper", 3), "cost"),
        (("rules", 7), "rules"),
        (("rules", 1, 9), '[x, 漢字, "😀"]'),
        (("kind",), "rules"),
    ],
)
def test_span_of(path: tuple[str | int, ...], written: str) -> None:
    root = _compose(_TREE).documents[0].root
    assert _written(_TREE, root.span_of(path)) == written


def test_find_and_key_span() -> None:
    root = _compose(_TREE).documents[0].root
    found = root.find(("rules", 0, "cost", "max"))
    assert found is not None
    assert str(found.content) == "1.50"
    for path in [("no",), ("rules", 5), ("rules", "x"), ("rules", 0, 0), ("rules", 0, "id", "x")]:
        assert root.find(path) is None
    assert _written(_TREE, root.key_span(("rules", 0, "when"))) == "when"
    assert root.key_span(("rules", 0)) is None
    assert root.key_span(()) is None


def test_part_span_ends_with_its_word() -> None:
    source = source_of("k: >-\n  ab\n\n  cd\n")
    value = compose(source).documents[0].root.find(("k",))
    assert value is not None
    assert value.content == "ab\ncd"
    assert _written(source.text, part_span(source, value, 0, 2)) == "ab"
    assert _written(source.text, part_span(source, value, 3, 5)) == "cd"
    assert _written(source.text, part_span(source, value, 5, 5)) == ""
    number = LocatedValue(1, value.span, "scalar")
    assert part_span(source, number, 0, 1) == value.span


_FRAGMENTS = st.sampled_from(
    ["a: ", "b:", "- ", "\n", "\n  ", "    ", "x", "'", '"', "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "|\n", ">-\n",
     "# c", "😀", "漢", "---\n", "1", "yes", "010", "\r\n", "\t", "? ", ": ", "<<: ", "%", "\\", "é: 2026-01-01\n"]
)  # fmt: skip


@given(st.lists(_FRAGMENTS, max_size=25).map("".join))
def test_any_text_composes_the_same_with_both_parsers(text: str) -> None:
    first = _compose(text)
    loader = compose_module._LOADER
    compose_module._LOADER = yaml.SafeLoader  # type: ignore[misc]  # the parser that serves where C is absent
    try:
        second = _compose(text)
    finally:
        compose_module._LOADER = loader  # type: ignore[misc]  # restores what was there
    if not first.diagnostics and not second.diagnostics:
        assert [_shape(item.root) for item in first.documents] == [_shape(item.root) for item in second.documents]


def _shape(value: LocatedValue) -> object:
    if value.kind == "mapping":
        return value.span, [(entry.key, entry.key_span, _shape(entry.value)) for entry in value.entries()]
    if value.kind == "sequence":
        return value.span, [_shape(item) for item in value.items()]
    return value.span, value.content, list(value.offsets or ())
