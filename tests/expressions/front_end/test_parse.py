"""Parsing: precedence, extents, the additions to cel-python's grammar, and syntax errors."""

from __future__ import annotations

import pytest

from costlens_policy.expressions import ExpressionError, parse
from costlens_policy.expressions.tree import Call, Logic, Select
from tests.expressions.front_end.shapes import shape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "_+_(1, _*_(2, 3))"),
        ("(1 + 2) * 3", "_*_(_+_(1, 2), 3)"),
        ("1 - 2 - 3", "_-_(_-_(1, 2), 3)"),
        ("1-1", "_-_(1, 1)"),
        ("1 - -1", "_-_(1, -1)"),
        ("a -1", "_-_(a, 1)"),
        ("-a.b", "-_(a.b)"),
        ("!a.b()", "!_(a->b())"),
        ("--5", "-_(-5)"),
        ("a < b == c", "_==_(_<_(a, b), c)"),
        ("a in b && c", "&&(@in(a, b), c)"),
        ("a && b && c || d", "||(&&(a, b, c), d)"),
        ("a && (b && c)", "&&(a, &&(b, c))"),
        ("(a && b) && c", "&&(&&(a, b), c)"),
        ("a ? b : c ? d : e", "if(a, b, if(c, d, e))"),
        ("a.b[0].c(1, 2)", "a.b[0]->c(1, 2)"),
        (".a.b", ".a.b"),
        (".f(1)", ".f(1)"),
        ("a.?b[?0].c", "a.?b[?0].c"),
        ("[1, ?a, 2,]", "[1, ?a, 2]"),
        ("{'a': 1, ?'b': c,}", "{'a': 1, ?'b': c}"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("a.`b-c`.d", "a.b-c.d"),
        ("a.for", "a.for"),
        ("a.?for", "a.?for"),
        ("a // rest\n + b", "_+_(a, b)"),
        ("42.f()", "42->f()"),
    ],
)
def test_expressions_parse_as_the_specification_says(text: str, expected: str) -> None:
    assert shape(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("has(a.b)", "has(a.b)"),
        ("has(a.?b.c)", "has(a.?b.c)"),
        ("x.all(v, v > 0)", "all(x, v, _>_(v, 0), -)"),
        ("x.all(k, v, v > 0)", "all(x, k, v, _>_(v, 0), -)"),
        ("x.exists_one(v, v)", "exists_one(x, v, v, -)"),
        ("x.existsOne(i, v, v)", "exists_one(x, i, v, v, -)"),
        ("x.map(v, v + 1)", "map(x, v, -, _+_(v, 1))"),
        ("x.map(v, v > 0, v + 1)", "map(x, v, _>_(v, 0), _+_(v, 1))"),
        ("x.filter(v, v)", "filter(x, v, v, -)"),
        ("x.sortBy(v, v.size())", "sortBy(x, v, -, v->size())"),
        ("x.transformList(i, v, v)", "transformList(x, i, v, -, v)"),
        ("x.transformMap(k, v, v, 1)", "transformMap(x, k, v, v, 1)"),
        ("x.transformMapEntry(k, v, {v: k})", "transformMapEntry(x, k, v, -, {v: k})"),
        ("cel.bind(x, 1, x)", "bind(x, 1, x)"),
        ("cel.block([1, cel.index(0)], cel.index(1))", "bind(@index0, 1, bind(@index1, @index0, @index1))"),
        ("o.optMap(v, v + 1)", "opt(o, v, _+_(v, 1))"),
        ("o.optFlatMap(v, v.?a)", "flat(o, v, v.?a)"),
        ("math.greatest(1, 2, 3)", "math->greatest([1, 2, 3])"),
        ("math.greatest(1, 2)", "math->greatest(1, 2)"),
        ("a.has(b.c)", "a->has(b.c)"),
    ],
)
def test_macros_become_nodes(text: str, expected: str) -> None:
    assert shape(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "blamed"),
    [
        ("has(a)", "a"),
        ("has(a.?b)", "a.?b"),
        ("has(a['b'])", "a['b']"),
        ("has()", "has"),
        ("x.all(v)", "all"),
        ("x.all(1, v)", "1"),
        ("x.all(a.b, v)", "a.b"),
        ("x.all(.v, v)", ".v"),
        ("x.exists(v, v, v)", "v"),
        ("x.map(v)", "map"),
        ("x.filter(a, b, c)", "filter"),
        ("cel.bind(x, 1)", "bind"),
        ("cel.bind('x', 1, x)", "'x'"),
        ("cel.block(a, b)", "block"),
        ("cel.index('a')", "index"),
        ("math.least()", "least"),
        ("o.optMap(v)", "optMap"),
        ("o.optMap(1, v)", "1"),
    ],
)
def test_a_macro_that_is_used_wrongly_says_how_it_is_written(text: str, blamed: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    (problem,) = caught.value.problems
    assert problem.code == "CL308"
    assert text[problem.extent.start : problem.extent.end] == blamed
    assert problem.help.startswith("write ")


@pytest.mark.parametrize(
    ("text", "blamed", "hint"),
    [
        ("", "", "write `true`"),
        (" // nothing", " // nothing", "write `true`"),
        ("a = b", "=", "write `==`"),
        ("a & b", "&", "write `&&`"),
        ("a and b", "and", "write `&&`"),
        ("not a", "a", "write `!`"),
        ("a b", "b", "put an operator"),
        ("(a", "(", "close it with `)`"),
        ("f(a, [1, 2)", ")", ""),
        ("a)", ")", "nothing was opened"),
        ("[1, 2", "[", "close it with `]`"),
        ("1 +", "", ""),
        ("a ? b", "", ""),
        ("{1, 2}", ",", ""),
        ("a.", "", ""),
        ("`a`", "`a`", "follows a dot"),
        ("é", "é", "write other letters in strings"),
        ("\u201ca\u201d", "\u201c", "straight quotes"),
        ("a; b", ";", "has no `;`"),
        ("$x", "$", "names begin"),
        ("a\ud800", "\ud800", ""),
        ("for", "for", ""),
        ("a.in", "in", ""),
        ("Message{a: 1}", "Message{a: 1}", "write a map"),
    ],
)
def test_syntax_errors_have_a_place_and_often_a_hint(text: str, blamed: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    problem = caught.value.problems[0]
    assert problem.code in ("CL301", "CL307", "CL317")
    assert text[problem.extent.start : problem.extent.end] == blamed
    assert hint in problem.help
    assert not problem.message.endswith(".")


def test_extents_cover_what_was_written_brackets_included() -> None:
    text = "(a + b).c && x.y(1)"
    node = parse(text)
    assert isinstance(node, Logic)
    select, call = node.operands
    assert isinstance(select, Select)
    assert isinstance(call, Call)
    assert text[select.extent.start : select.extent.end] == "(a + b).c"
    assert text[select.operand.extent.start : select.operand.extent.end] == "a + b"
    assert text[select.field_extent.start : select.field_extent.end] == "c"
    assert text[call.extent.start : call.extent.end] == "x.y(1)"
    assert text[call.function_extent.start : call.function_extent.end] == "y"
