"""What is said about an expression before it runs is not exceeded when it does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.expressions import Environment, Limits, Type, TypedExpr, analyze, parse_type
from costlens_policy.expressions.compile.exact.builder import Builder
from costlens_policy.expressions.compile.exact.nodes import RULES
from costlens_policy.expressions.cost import worst_case
from costlens_policy.expressions.functions.costs import Sizes
from costlens_policy.expressions.limits import Work
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.types import Shape
from costlens_policy.expressions.values import OptionalValue
from tests.expressions.strategies import KINDS, PARAMETERS, bindings, expressions, typed

SMALL = Limits(assumed_list=4, assumed_map=4, assumed_text=12)
"""At least as large as the values that are drawn, and hardly larger."""


class Counting(Work):
    """Counts what an evaluation visits."""

    __slots__ = ("visited",)

    def __init__(self) -> None:
        super().__init__(10**9)
        self.visited = 0

    def visit(self, elements: Any) -> Any:
        self.visited += len(elements)
        return elements


def evaluated(expression: TypedExpr, parameters: tuple[str, ...], *values: Any) -> tuple[Any, int]:
    """Return the value of an expression, None where it has none, and how many elements it visited."""
    builder = Builder(expression, parameters, RULES)
    evaluate = builder.build(expression.root)
    work = Counting()
    try:
        value = evaluate([work, None, *values, *[None] * builder.slots])
    except CelError:
        value = None
    return value, work.visited


def fits(value: Any, shape: Shape) -> bool:
    """Say whether a value is no larger than a shape; what is not known of a shape allows everything."""
    match value:
        case OptionalValue():
            return fits(value.value, shape)
        case str() | bytes():
            return len(value) <= shape.text
        case list() | tuple():
            inner = shape.inner
            return len(value) <= shape.elements and (inner is None or all(fits(item, inner) for item in value))
        case dict():
            return len(value) <= shape.elements and (
                shape.inner is None or all(fits(item, shape.inner) for item in value.values())
            )
        case int():
            return shape.number is None or value <= shape.number
    return True


@pytest.mark.parametrize("kind", [*KINDS, "dyn", "list(dyn)"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_expressions_keep_to_it(kind: str, data: st.DataObject) -> None:
    expression = typed(data.draw(expressions(kind), label="expression"))
    bound = data.draw(bindings(), label="values")
    found = worst_case(expression, SMALL)
    value, visited = evaluated(expression, PARAMETERS, *(bound[name] for name in PARAMETERS))
    assert visited <= found.steps
    assert fits(value, found.shape)


WORDS = ["abcdefghijkl", "zz", "a,b,c,d,e,f,", "12"]
GIVEN = {
    "s": ("string", WORDS[0]),
    "t": ("string", WORDS[2]),
    "l": ("list(string)", WORDS),
    "n": ("list(list(string))", [WORDS] * 4),
    "m": ("map(string, list(int))", {word: [1, 2, 3, 4] for word in WORDS}),
    "d": ("dyn", [WORDS] * 4),
    "e": ("dyn", {word: word for word in WORDS}),
    "o": ("optional_type(string)", OptionalValue(WORDS[0])),
}
MAKING = [
    "s + t + s",
    "l + l + n[0]",
    "d + d",
    "l.map(x, x + s)",
    "l.map(x, l.map(y, x + y))",
    "n.flatten()",
    "d.flatten(1)",
    "d.flatten(3)",
    "l.filter(x, x != '').map(x, [x, x])",
    "l.sortBy(x, size(x))",
    "m.map(k, k + k)",
    "m.transformList(k, v, v.map(x, k))",
    "m.transformMap(k, v, k + string(v[0]))",
    "l.transformMapEntry(i, x, {x: [x, s]})",
    "d.map(x, x)",
    "e.map(x, x)",
    "e.transformList(k, v, [k, v])",
    "t.split(',')",
    "s.split('')",
    "t.split(',').map(x, x + s)",
    "l.join()",
    "l.join(t)",
    "t.replace(',', s)",
    "s.replace('', t)",
    "s.reverse() + t.trim().upperAscii()",
    "s.charAt(0)",
    "s.substring(1, 3)",
    "l.slice(0, 2)",
    "l.reverse() + l.distinct() + l.sort()",
    "strings.quote(s + '\"\\n')",
    "base64.encode(bytes(s))",
    "base64.decode(base64.encode(bytes(t)))",
    "'%s and %s'.format([l, m])",
    "'%s %s'.format([d, e])",
    "'%.1000f%.1000e'.format([1.0, -1e300])",
    "'%b %x %X'.format([-1, s, bytes(t)])",
    "regex.extractAll(s, '[a-z]')",
    "regex.extract(s, '.*')",
    "regex.replace(s, '(.)', r'\\1\\1\\1')",
    "regex.replace(s, '', t)",
    "regex.replace(s, '.*', r'\\0\\0')",
    "lists.range(7)",
    "lists.range(size(s) + 2)",
    "lists.range(size(l) + size(m) + l.size())",
    "size(lists.range(size(s)).map(i, s))",
    "lists.range(math.least(size(s), 3))",
    "math.greatest(l.map(x, size(x)))",
    "[?o, s, ?optional.none()]",
    "{?'a': o, 'b': t}",
    "o.optMap(x, x + x)",
    "o.or(optional.of(t)).orValue('')",
    "o.orValue(s + t)",
    "optional.unwrap([o, o])",
    "[o].unwrapOpt()",
    "l.first()",
    "n.last().orValue([])",
    "[s, t].first().value()",
    "true ? [s] : [s, t]",
    "true ? dyn(s) : dyn(l)",
    "[dyn(l), dyn(e), dyn(s)]",
    "[dyn([s]), dyn({t: s})].map(x, x)",
    "cel.bind(a, l + l, cel.bind(b, a + a, b + b))",
    "cel.bind(a, s + s, cel.bind(b, a + a, b + b))",
    "string(1.0e300) + string(-9223372036854775807) + string(true)",
    "string(timestamp('2026-01-01T00:00:00.123456789Z')) + string(duration('-123456h'))",
    "string(cidr('2001:0db8:85a3:0000:0000:8a2e:0370:7334/128'))",
    "m[WORD].map(x, [x])".replace("WORD", f"'{WORDS[1]}'"),
    "e.zz",
    "e[?'zz'].orValue(s)",
    "d[0][1]",
]


@pytest.mark.parametrize("text", MAKING)
def test_what_makes_values_keeps_to_it(text: str) -> None:
    environment = Environment({name: parse_type(declared) for name, (declared, _) in GIVEN.items()})
    expression = analyze(text, environment).typed
    assert expression is not None, analyze(text, environment).problems
    found = worst_case(expression, SMALL)
    value, visited = evaluated(expression, tuple(GIVEN), *(value for _, value in GIVEN.values()))
    assert value is not None
    assert visited <= found.steps
    assert fits(value, found.shape), (value, found.shape)


def test_each_node_is_measured_once_and_parts_take_no_more_than_the_whole() -> None:
    expression = analyze("[1, 2].map(x, x + 1).exists(y, y > 2) && 'a' in ['b']", Environment({})).typed
    assert expression is not None
    found = worst_case(expression)
    assert set(found.nodes) == set(expression.types)
    assert max(found.nodes.values()) == found.steps == found.nodes[expression.root]


def test_sizes_are_assumed_by_type() -> None:
    sizes = Sizes(Limits(assumed_list=3, assumed_map=5, assumed_text=7))
    assert sizes.of(parse_type("string")) == Shape(text=7)
    assert sizes.of(parse_type("list(string)"), 9) == Shape(elements=9, inner=Shape(text=7))
    assert sizes.of(parse_type("map(string, int)")) == Shape(elements=5, inner=Shape(), key=Shape(text=7))
    assert sizes.of(parse_type("dyn")) == Shape(text=7, elements=5)
    assert sizes.of(Type("some.record")) == Shape(text=7, elements=5)
