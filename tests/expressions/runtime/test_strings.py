"""Strings, patterns and formats."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.expressions.runtime.regex import compile_pattern, matcher, plain_pattern
from tests.expressions.runtime.evaluating import evaluate, failure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size(s)", 4),
        ("s.charAt(3) + s.charAt(4)", "😀"),
        ("s.indexOf('')", 0),
        ("s.indexOf('é', 1)", 1),
        ("s.indexOf('a', 4)", -1),
        ("s.lastIndexOf('')", 4),
        ("'abcabc'.lastIndexOf('abc', 2)", 0),
        ("s.substring(2)", "a😀"),
        ("s.substring(4, 4)", ""),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("'abc'.split('', 2)", ["a", "bc"]),
        ("'abc'.split('', 0)", []),
        ("''.split(',')", [""]),
        ("'abc'.replace('', '-')", "-a-b-c-"),
        ("'abc'.replace('', '-', 2)", "-a-bc"),
        ("'aaa'.replace('a', 'b', -5)", "bbb"),
        ("[].join('-') + ['a', 'b'].join()", "ab"),
        ("'TaÉ'.lowerAscii() + 'TaÉ'.upperAscii()", "taÉTAÉ"),
        (r"'\u001cx\u0085\u2003'.trim()", "\u001cx"),
        (r"strings.quote('a\"\\\n\x07é')", '"a\\"\\\\\\n\\aé"'),
        ("s.reverse()", "😀aéa"),
        (r"'a\nb'.matches('a.b')", False),
        (r"'a\n'.matches('a$')", False),
        ("'xaby'.matches('ab')", True),
        ("regex.extract('team-42', '-([0-9]+)').value()", "42"),
        ("regex.extract('team', '[0-9]').hasValue()", False),
        ("regex.extractAll('a1b22', '[0-9]+')", ["1", "22"]),
        (r"regex.replace('John Smith', r'(\w+) (\w+)', r'\2, \1')", "Smith, John"),
        (r"regex.replace('aaa', 'a', r'\\', 2)", "\\\\a"),
        ("[hash('user-1'), hash('user-1', 'salt')]", [7032, 2642]),
        ("'gpt-5-mini'.glob('gpt-*-mini') && !'gpt-5'.glob('gpt')", True),
        ("'a'.glob('[a-c]') && !'d'.glob('[a-c]') && 'd'.glob('[!a-c]') && ']'.glob('[]]')", True),
        (r"'a\nb'.glob('a*') && 'x.y'.glob('x.y') && !'xzy'.glob('x.y')", True),
        ("base64.encode(b'hi!') + string(base64.decode('aGk'))", "aGkhhi"),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert evaluate(text, s="aéa😀") == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("s.charAt(5)", "CL908"),
        ("s.charAt(-1)", "CL908"),
        ("s.indexOf('a', 5)", "CL908"),
        ("s.lastIndexOf('a', -1)", "CL908"),
        ("s.substring(3, 2)", "CL908"),
        ("dyn([1]).join()", "CL901"),
        ("s.matches('[' + s)", "CL909"),
        ("s.matches('(?=a)' + s)", "CL909"),
        ("s.matches('a' + s.replace(s, '{1001}'))", "CL909"),
        ("regex.extract(s, '(a)(b)')", "CL908"),
        (r"regex.replace(s, 'a', r'\1')", "CL908"),
        (r"regex.replace(s, 'a', r'\x')", "CL908"),
        ("s.glob('[a' + s)", "CL908"),
        ("base64.decode('a' + 'GVs bG8=')", "CL906"),
        ("base64.decode('a' + 'Q=')", "CL906"),
        (r"string(dyn(b'\xff'))", "CL906"),
        ("lone.matches('a.')", "CL906"),
        ("bytes(lone)", "CL906"),
        ("hash(lone)", "CL906"),
    ],
)
def test_errors(text: str, code: str) -> None:
    assert failure(text, s="aéa😀", lone="\ud800") == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'%d%%'.format([5])", "5%"),
        ("'%s %s'.format([1.0, 1e21])", "1 1000000000000000000000"),
        ("'%s'.format([[1, 'a', null, true, b'x', {'b': 1, 'a': 2u}]])", "[1, a, null, true, x, {a: 2, b: 1}]"),
        (r"'%s'.format([b'a\xff\xffb'])", "a\ufffdb"),
        ("'%s %s'.format([type(1), type(timestamp(0))])", "int google.protobuf.Timestamp"),
        ("'%s %s'.format([duration('1.50s'), timestamp(0)])", "1.5s 1970-01-01T00:00:00Z"),
        ("'%d %d'.format([3.14, -2])", "3.14 -2"),
        ("'%.2f %.0f %.0f %f'.format([0.125, 0.5, 1.5, 2])", "0.12 0 2 2.000000"),
        ("'%.1e'.format([-31.4])", "-3.1e+01"),
        ("'%b %b %o %x %X'.format([-5, true, -8, 255, -255])", "-101 1 -10 ff -FF"),
        ("'%x %X'.format(['é', b'\\xab'])", "c3a9 AB"),
        ("'%d %f %e'.format([double('NaN'), double('-Infinity'), 1.0 / 0.0])", "NaN -Infinity Infinity"),
        ("'%s'.format(['a', 'b'])", "a"),
    ],
)
def test_format(text: str, expected: str) -> None:
    assert evaluate(text) == expected


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("%", "[1]"),
        ("%a", "[1]"),
        ("%5d", "[1]"),
        ("%.d", "[1]"),
        ("%E", "[1]"),
        ("%d %d", "[1]"),
        ("%d", "['1']"),
        ("%d", "[true]"),
        ("%b", "[1.5]"),
        ("%f", "['1']"),
        ("%s", "[optional.of(1)]"),
        ("%999999999f", "[1]"),
        ("%.9999f", "[1]"),
    ],
)
def test_wrong_format(template: str, arguments: str) -> None:
    assert failure(f"template.format({arguments})", template=template) == "CL908"


@given(
    st.sampled_from(("^", "")),
    st.text("ab.\\-", max_size=4),
    st.sampled_from(("$", "")),
    st.lists(st.text("ab.\\-x\n", max_size=6), min_size=1, max_size=8),
)
def test_plain_patterns_match_as_re2(start: str, literal: str, end: str, texts: list[str]) -> None:
    """A pattern without operators is not given to RE2, and still means the same."""
    pattern = start + "".join(f"\\{sign}" if sign in ".\\" else sign for sign in literal) + end
    assert plain_pattern(pattern) == (bool(start), literal, bool(end))
    matches, compiled = matcher(pattern), compile_pattern(pattern)
    for text in (*texts, *(text + literal for text in texts), literal):
        assert matches(text, None) is (compiled.search(text.encode()) is not None)


@given(st.text("ab(|)*+?.^$[]{}\\w-", max_size=6), st.text("ab\n.", max_size=6))
def test_patterns_match_as_re2(pattern: str, text: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except Exception:
        return
    assert matcher(pattern)(text, None) is (compiled.search(text.encode()) is not None)
