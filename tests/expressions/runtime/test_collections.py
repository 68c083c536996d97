"""Lists, maps, optionals, sets, addresses and the math extension."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.expressions import BOOL, INT, STRING, Environment, Field, Record, Type, Uint, analyze, map_of
from costlens_policy.expressions.compile import compile_expression, compile_traced
from tests.expressions.runtime.evaluating import evaluate, failure

MAX, MIN = 2**63 - 1, -(2**63)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{true: 'a', 1: 'b'}[true] + {true: 'a', 1: 'b'}[dyn(1u)]", "ab"),
        ("size({true: 1, 1: 2, '1': 3})", 3),
        ("{true: 1, false: 2}.map(k, k)", [True, False]),
        ("{true: 1}.transformMap(k, v, k)", {True: True}),
        ("{'a': 1}.transformMapEntry(k, v, {v: k})", {1: "a"}),
        ("[4, 5].transformMap(i, v, i + v)", {0: 4, 1: 6}),
        ("[3, 1, 2].sortBy(x, -x)", [3, 2, 1]),
        ("['b', 'a'].sort() + ['c'].reverse()", ["a", "b", "c"]),
        ("[1, [2, [3, [4]]]].flatten(2)", [1, 2, 3, [4]]),
        ("[1, 1.0, 'a', true, 1u, [1], [1.0]].distinct()", [1, "a", True, [1]]),
        ("lists.range(3)", [0, 1, 2]),
        ("sum([1, 2, 3]) + [4].sum() + sum([])", 10),
        ("[1.5, 2.5].sum() / 2.0 + sum([0.0])", 2.0),
        ("sum([1u, 2u]) == 3u && type(sum([1u])) == uint", True),
        ("sum([duration('1h'), duration('-5m')]) == duration('55m')", True),
        (f"sum([{MAX}, 1, -1])", MAX),
        ("m.map(k, k.size()).sum()", 2),
        ("[1, 2, 3].slice(1, 3)", [2, 3]),
        ("[1, 2].first().value() + [1, 2].last().value() + [].first().orValue(3)", 6),
        ("dyn(2) in [1.0, 2.0] && !(dyn('a') in {1: 2}) && !(dyn([1]) in {1: 2})", True),
        ("[1, 2][dyn(1.0)] + [1, 2][dyn(0u)]", 3),
        ("sets.contains([1, 2.0], [2u]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [])", True),
        ("sets.contains(['a'], ['a', 'b']) || sets.intersects(['a'], ['b'])", False),
        ("optional.of(1).or(optional.of(1 / 0)).value() + optional.of(1).orValue(1 / 0)", 2),
        ("optional.none().hasValue() || optional.ofNonZeroValue('').hasValue()", False),
        ("[?optional.none(), ?optional.of(1)] + optional.unwrap([optional.of(2), optional.none()])", [1, 2]),
        ("{?'a': optional.none(), ?'b': optional.of(1)}", {"b": 1}),
        ("m.?n.?b.orValue(7) + m[?'x'].orValue(1)", 8),
        ("m.?a.optMap(v, v + 1).value() + m.?z.optFlatMap(v, optional.of(v)).orValue(0)", 2),
        ("m.get('a', 7) + m.get('b', 7) + m.n.get('x', 7) + m.z.y.get('x', 7)", 22),
        ("m.get('a', 1 / 0) + [5].get(0, 1) + [5].get(1, 1)", 7),
        ("has(m.a) && !has(m.b) && has(m.?n.x) == false", True),
        ("cel.bind(x, 1 / 0, true)", True),
        ("cel.bind(x, [1, 2], x + x)", [1, 2, 1, 2]),
        ("type([1]) == type(['a']) && type({}) == map && type(type(1)) == type", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert evaluate(text, m={"a": 1, "n": {}}) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{x: 1, 1: 2}", "CL907"),
        (f"sum([{MAX}, 1])", "CL904"),
        (f"sum([{2**64 - 1}u, 1u])", "CL904"),
        ("sum([duration('2500000h'), duration('2500000h')])", "CL910"),
        ("sum([1, 2.0])", "CL901"),
        ("sum([dyn(true)])", "CL901"),
        ("{dyn(1.5): 1}", "CL907"),
        ("[x].transformMapEntry(i, v, {'a': v, string(b'a'): v})", "CL907"),
        ("[1, 2].transformMapEntry(i, v, {x: v})", "CL907"),
        ("{1: 2}[dyn([])]", "CL907"),
        ("{'a': 1}[dyn('b')]", "CL902"),
        ("{'a': 1}[dyn(double('NaN'))]", "CL902"),
        ("m.a", "CL902"),
        ("x.a", "CL901"),
        ("has(x.a)", "CL901"),
        ("[1][x]", "CL903"),
        ("[1][-x]", "CL903"),
        ("[1][dyn(0.5)]", "CL903"),
        ("[1][dyn('a')]", "CL901"),
        ("dyn('abc')[0]", "CL901"),
        ("x.map(y, y)", "CL901"),
        ("[1].all(y, dyn(y))", "CL901"),
        ("[1, 0].exists_one(y, 1 / y > 0)", "CL905"),
        ("dyn([1, 'a']).sort()", "CL901"),
        ("[1].slice(1, 0)", "CL908"),
        ("lists.range(dyn(-1))", "CL908"),
        ("[1].flatten(-x)", "CL908"),
        ("optional.none().value()", "CL912"),
        ("math.greatest(dyn([]))", "CL908"),
        ("math.greatest(dyn('a'))", "CL901"),
        ("math.abs(least)", "CL904"),
        ("math.bitShiftLeft(1, -x)", "CL908"),
        # nothing that depends on where a NaN stands
        ("[3.0, double('NaN'), 1.0].sort()", "CL908"),
        ("[1.0, 2.0].sortBy(y, y * double('NaN'))", "CL908"),
        ("math.greatest(double('NaN'), 1)", "CL908"),
        ("math.greatest(1, double('NaN'))", "CL908"),
        ("math.least([2.0, double('NaN')])", "CL908"),
        ("dyn(1) ? 1 : 2", "CL901"),
        ("dyn('a') && true", "CL901"),
    ],
)
def test_errors(text: str, code: str) -> None:
    assert failure(text, x=1, m={}, least=MIN) == code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("math.round(-2.5) + math.round(0.5)", -2.0),
        ("math.round(0.49999999999999994)", 0.0),
        ("math.trunc(-1.9) + math.ceil(1.1) + math.floor(-1.1)", -1.0),
        ("math.greatest(1, 2u, 1.5)", 2),
        ("math.least([3, 1, 2])", 1),
        ("math.sign(-3) + int(math.sign(2u)) + int(math.sign(-0.0))", 0),
        ("math.bitShiftRight(-1024, 2)", 4611686018427387648),
        ("math.bitShiftLeft(1, 63)", MIN),
        ("math.bitShiftLeft(-1, 200)", 0),
        ("math.bitNot(0u)", 2**64 - 1),
        ("math.bitAnd(-3, -5)", -7),
        ("math.sqrt(81) + math.sqrt(9u)", 12.0),
        ("math.isNaN(math.sqrt(-1.0)) && math.isInf(1.0 / 0.0) && !math.isFinite(0.0 / 0.0)", True),
        ("cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP('::1')", True),
        ("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.0.0.0/8').containsCIDR('::/0')", True),
        ("string(cidr('10.1.2.3/8').masked()) + ' ' + string(cidr('10.1.2.3/8').ip())", "10.0.0.0/8 10.1.2.3"),
        ("[ip('fe80::1').isLinkLocalUnicast(), ip('ff02::1').isLinkLocalMulticast()]", [True, True]),
        ("[ip('224.0.0.9').isLinkLocalMulticast(), ip('224.0.1.1').isLinkLocalMulticast()]", [True, False]),
        ("[isIP('1.2.3.04'), isIP('::ffff:1.2.3.4'), isCIDR('1.2.3.4/33'), isCIDR('1.2.3.4/255.0.0.0')]", [False] * 4),
        ("ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1')", True),
    ],
)
def test_extensions(text: str, expected: Any) -> None:
    found = evaluate(text)
    assert found == expected or (isinstance(expected, float) and math.isclose(found, expected))


_NUMBERS = {
    "int": st.integers(-10, 10),
    "uint": st.integers(0, 10).map(Uint),
    "double": st.floats(allow_nan=False, allow_infinity=False),
}


@pytest.mark.parametrize("kind", _NUMBERS)
@given(st.data())
def test_a_sum_is_what_adding_one_by_one_gives(kind: str, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(_NUMBERS[kind], max_size=6))
    typed = analyze(
        "sum(numbers) == numbers.sum() ? sum(numbers) : numbers.sum()",
        Environment({"numbers": Type("list", (Type(kind),))}),
    ).typed
    assert typed is not None
    assert typed.type == Type(kind)
    found = compile_expression(typed, ("numbers",))(numbers)
    expected = numbers[0] if numbers else {"int": 0, "uint": Uint(0), "double": 0.0}[kind]
    for number in numbers[1:]:
        expected = type(expected)(expected + number)
    assert (type(found), found) == (type(expected), expected) or math.isnan(expected)


_HEADERS, _COUNTS = Field(map_of(STRING, STRING), optional=True), Field(map_of(INT, INT), optional=True)
_RECORD = Record("request", {"headers": _HEADERS, "counts": _COUNTS})
_REQUESTS: list[dict[str, Any]] = [{}, {"headers": {}}, {"headers": {"x": "a"}, "counts": {1: 2}}]
_LONG = "has(request.headers) && 'x' in request.headers ? request.headers['x'] : 'none'"


@pytest.mark.parametrize("request_", _REQUESTS)
@pytest.mark.parametrize(
    ("short", "long", "kind"),
    [
        ("request.headers.get('x', 'none')", _LONG, STRING),
        ("request.counts.get(1, 0)", "has(request.counts) && 1 in request.counts ? request.counts[1] : 0", INT),
        ("request.headers.get('x', string(1)) == 'a'", "request.?headers[?'x'].orValue(string(1)) == 'a'", BOOL),
        ("request.?headers.get('x', '')", "request.?headers.x.orValue('')", STRING),
    ],
)
def test_get_is_what_asking_for_each_step_gives(short: str, long: str, kind: Type, request_: dict[str, Any]) -> None:
    environment = Environment({"request": Type("request")}, {"request": _RECORD})
    found = []
    for text in (short, long):
        analyzed = analyze(text, environment, kind)
        assert analyzed.typed is not None, analyzed.problems
        assert analyzed.problems == ()
        assert ("request", "counts" if "counts" in text else "headers") in analyzed.typed.references
        found.append(compile_expression(analyzed.typed, ("request",))(request_))
        assert compile_traced(analyzed.typed, ("request",))(request_).value == found[-1]
    assert found[0] == found[1]
