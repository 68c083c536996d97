"""Expressions and values that are made to harm, each with the right answer or the code of the error.

Run as a program this evaluates all of them, within the memory that its caller allows, and prints what came out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.memory import peak_kib
from costlens_policy.expressions import Environment, Limits, analyze, parse_type
from costlens_policy.expressions.compile import compile_expression, compile_traced
from costlens_policy.expressions.runtime import CelError

__all__ = ["CASES", "Case", "outcome"]

TYPES: Final = {
    "s": "string",
    "p": "string",
    "l": "list(string)",
    "n": "int",
    "x": "dyn",
    "m": "map(string, dyn)",
}
_WIDE: Final = Limits(source=10**6, literal=10**6, elements=10**5, cost=10**12)


@dataclass(frozen=True)
class Case:
    """``expected`` is a value, or the code of an error such as ``CL305``."""

    text: str
    expected: Any
    values: dict[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


def outcome(case: Case) -> Any:
    """Return the value of a case, or the code of what is wrong with it. Both forms must agree."""
    environment = Environment({name: parse_type(declared) for name, declared in TYPES.items()})
    analyzed = analyze(case.text, environment, limits=case.limits)
    if analyzed.typed is None:
        return analyzed.problems[0].code
    values = tuple(case.values.get(name) for name in TYPES)
    try:
        fast = compile_expression(analyzed.typed, tuple(TYPES))(*values)
    except CelError as error:
        fast = error.code
    exact = compile_traced(analyzed.typed, tuple(TYPES))(*values).value
    assert fast == (exact.code if isinstance(exact, CelError) else exact), "the two forms differ"
    return fast


def _chain(times: int, start: str, step: str, end: str = "") -> str:
    """Return ``cel.bind(v0, START, cel.bind(v1, STEP, … END))``: each step may read the variable before as ``v``."""
    text = f"cel.bind(v0, {start}, "
    for number in range(1, times):
        text += f"cel.bind(v{number}, {step.replace('v', f'v{number - 1}')}, "
    return text + (end.replace("v", f"v{times - 1}") or f"v{times - 1}") + ")" * times


def _nested(times: int, before: str, inside: str, after: str = ")") -> str:
    return before * times + inside + after * times


_LONG: Final = "a" * 1_000_000
_MANY: Final = [f"tag-{number}" for number in range(20_000)]
_DEEP: Any = "leaf"
for _ in range(60):
    _DEEP = [_DEEP]

CASES: Final[dict[str, Case]] = {
    # Text and nesting.
    "10,000 parentheses": Case(_nested(10_000, "(", "1"), "CL305"),
    "10,000 parentheses within the length": Case(_nested(10_000, "(", "1"), "CL305", limits=_WIDE),
    "100 parentheses": Case(_nested(100, "(", "1"), 1),
    "10,000 open brackets": Case("[" * 10_000, "CL305"),
    "10,000 negations": Case("!" * 10_000 + "true", "CL305"),
    "99 negations": Case("!" * 99 + "true", False),
    "10,000 minus signs": Case("-" * 10_000 + "1", "CL305", limits=_WIDE),
    "ternary chain of 5,000": Case("n == 1 ? 1 : " * 5_000 + "2", "CL305", limits=_WIDE),
    "ternary chain of 98": Case("n == 1 ? 1 : " * 98 + "2", 2, {"n": 7}),
    "ternary in the condition": Case(_nested(90, "(", "true", " ? n == 7 : n == 8)"), True, {"n": 7}),
    "chain of 10,000 members": Case("x" + ".a" * 10_000, "CL305", limits=_WIDE),
    "sum of 10,000": Case("1" + " + 1" * 10_000, "CL305", limits=_WIDE),
    "nested calls": Case(_nested(200, "string(", "1"), "CL305"),
    "nested macros": Case(_nested(150, "[1].map(y, ", "1"), "CL305"),
    "98 nested macros": Case(_nested(98, "[1].all(y, ", "y == 1"), True),
    "literal of a million": Case(f'size("{_LONG}")', "CL305"),
    "literal of a million, allowed": Case(f'size("{_LONG}")', 1_000_000, limits=Limits(source=10**7, literal=10**7)),
    "unclosed literal of backslashes": Case('"' + "\\" * 16_000, "CL306"),
    "number of 10,000 digits": Case("9" * 10_000, "CL306"),
    "double of 10,000 digits": Case("1." + "9" * 10_000 + " > 1.0", True),
    "exponent of 10,000 digits": Case("1e" + "9" * 10_000, "CL306"),
    "list of 10,000": Case("[" + "1," * 10_000 + "1].size()", "CL305", limits=Limits(source=10**6)),
    "list of 10,000, allowed": Case("[" + "1," * 10_000 + "1].size()", 10_001, limits=_WIDE),
    "1,800 operands of &&": Case(" && ".join(["n>1"] * 1_800), True, {"n": 2}),
    "10,000 operands of &&": Case(" && ".join(["n>1"] * 10_000), True, {"n": 2}, _WIDE),
    "10,000 operands of ||": Case(" || ".join(["n<1"] * 10_000), False, {"n": 2}, _WIDE),
    "10,000 operands that fail": Case(" || ".join(["1/n>1"] * 10_000), "CL905", {"n": 0}, _WIDE),
    # Work.
    "two comprehensions over 20,000": Case("l.all(a, l.exists(b, a == b))", "CL914", {"l": _MANY}),
    "maps inside maps": Case("l.map(a, l.map(b, a + b)).size()", "CL914", {"l": _MANY}),
    "filter in sortBy": Case("l.sortBy(a, l.filter(b, b < a).size()).size()", "CL914", {"l": _MANY}),
    "three comprehensions over anything": Case("x.all(a, x.all(b, x.all(c, a == b + c)))", "CL319"),
    "comprehensions of constants": Case(_nested(20, "[1, 2, 3].map(y, ", "1") + ".size()", "CL319"),
    "the same, allowed": Case(_nested(20, "[1, 2, 3].map(y, ", "1") + ".size()", "CL914", limits=_WIDE),
    "range of ten million": Case("lists.range(10000000).size()", "CL319"),
    "range of a billion, allowed": Case("lists.range(1000000000).size()", "CL915", limits=_WIDE),
    "range from data": Case("lists.range(n).exists(i, i < 0)", "CL319", {"n": 10**9}),
    "range from data, allowed": Case("lists.range(n).exists(i, i < 0)", "CL915", {"n": 10**18}, _WIDE),
    "one comprehension over 20,000": Case("l.exists(a, a == 'tag-19999')", True, {"l": _MANY}),
    "equality of long lists in a loop": Case("l.all(a, [l, l] == [l, l])", "CL914", {"l": _MANY}),
    # Patterns.
    "(a+)+$": Case("s.matches('(a+)+$')", False, {"s": _LONG + "!"}),
    "(a+)+$ from data": Case("s.matches(p)", False, {"s": _LONG + "!", "p": "^(a+)+$"}),
    "(a|aa)+$": Case("s.matches('^(a|aa)+$')", False, {"s": _LONG + "!"}),
    "(.*)*x twenty times": Case("s.matches(p)", "CL914", {"s": _LONG, "p": "(.*.*)*" * 20 + "x"}),
    "repetitions of repetitions": Case("'a'.matches('((a{100}){100}){100}')", "CL311"),
    "repetitions of repetitions from data": Case("s.matches(p)", "CL909", {"s": "a", "p": "((a{100}){100}){100}"}),
    "nested groups from data": Case("s.matches(p)", "CL909", {"s": "a", "p": "(" * 50_000}),
    "pattern of a million from data": Case("s.matches(p)", "CL909", {"s": "a", "p": _LONG}),
    "glob of stars": Case("s.glob(p)", "CL914", {"s": _LONG, "p": "*a" * 200 + "b"}),
    "replacement by a pattern that matches everywhere": Case(
        "size(regex.replace(s, '', p))", "CL914", {"s": _LONG, "p": "bc"}
    ),
    "extraction everywhere": Case("regex.extractAll(s, '').size()", "CL914", {"s": _LONG}),
    # Conversions.
    "duration without a unit": Case(f"duration('{'1' * 60}')", "CL312"),
    "duration without a unit from data": Case("duration(s)", "CL906", {"s": "1" * 60}),
    "duration of a million digits": Case("duration(s)", "CL906", {"s": "1" * 1_000_000 + "s"}),
    "duration of many parts": Case("duration(s)", "CL906", {"s": "1h" * 500_000}),
    "duration of many fractions": Case("duration(s)", "CL906", {"s": "." * 1_000_000}),
    "timestamp of many fractions": Case("timestamp(s)", "CL906", {"s": f"2026-01-01T00:00:00.{'9' * 1_000_000}Z"}),
    "timestamp that is long": Case("timestamp(s)", "CL906", {"s": "2" * 1_000_000}),
    "timestamp of a large number": Case("timestamp(n) > timestamp(0)", "CL910", {"n": 2**62}),
    "zone that is a path": Case("timestamp(0).getHours(s)", "CL911", {"s": "../" * 1_000 + "etc/passwd"}),
    "int of a million digits": Case("int(s)", "CL906", {"s": "9" * 1_000_000}),
    "double of a million digits": Case("double(s) > 1.0", "CL906", {"s": "9" * 1_000_000}),
    "double with a large exponent": Case("double('1e999999999') > 1.0", True),
    "ip of a million": Case("isIP(s)", False, {"s": "1." * 500_000}),
    "base64 of no base64": Case("base64.decode(s)", "CL906", {"s": "=" * 1_000_000}),
    # Formats.
    "precision of a billion": Case("'%.999999999f'.format([1.0])", "CL908"),
    "precision of ten digits": Case("'%.9999999999f'.format([1.0])", "CL908"),
    "thousand of thousands": Case("size(s.format([1.0]))", "CL908", {"s": "%.1000f" * 2}),
    "format of formats": Case("size(s.format(l)) > 0", "CL915", {"s": "%s" * 4_000, "l": ["a" * 10_000] * 4_000}),
    "format of deep values": Case("'%s'.format([x])", "[" * 60 + "leaf" + "]" * 60, {"x": _DEEP}),
    # Growth.
    "text that doubles": Case(_chain(40, "s", "v + v", "size(v)"), "CL915", {"s": "a"}),
    "text of constants that doubles": Case(_chain(40, "'a'", "v + v", "size(v)"), "CL915"),
    "list that doubles": Case(_chain(40, "l", "v + v", "size(v)"), "CL319", {"l": ["a"]}),
    "list that doubles, allowed": Case(_chain(24, "l", "v + v", "size(v)"), "CL915", {"l": ["a"] * 2}, _WIDE),
    "bytes that double": Case(_chain(40, "bytes(s)", "v + v", "size(v)"), "CL915", {"s": "a"}),
    "lists of the same lists": Case(_chain(40, "[1, 1]", "[v, v]", "size(v)"), "CL319"),
    "maps of the same maps": Case(_chain(40, "{'a': 1}", "{'a': v, 'b': v}", "size(v)"), "CL319"),
    "lists of the same lists, flattened": Case(_chain(20, "[s, s]", "[v, v].flatten()", "size(v)"), "CL319"),
    "lists by map": Case(_chain(12, "l", "l.map(y, v)", "size(v)"), "CL319", {"l": ["a", "b"]}),
    "replacing by itself": Case("size(s.replace('', s))", "CL915", {"s": "a" * 10_000}),
    "replacing again and again": Case(_chain(20, "s", "v.replace('a', 'aa')", "size(v)"), 2**19, {"s": "a"}),
    "replacing again and again, further": Case(_chain(30, "s", "v.replace('a', 'aa')", "size(v)"), "CL915", {"s": "a"}),
    "joining": Case("size(l.map(y, s).join(s))", "CL915", {"l": _MANY, "s": "a" * 1_000}),
    "quoting": Case(_chain(40, "s", "strings.quote(v)", "size(v) > 0"), "CL915", {"s": '"' * 100}),
    "encoding": Case(_chain(60, "s", "base64.encode(bytes(v))", "size(v) > 0"), "CL915", {"s": "a" * 100}),
    "splitting a million": Case("size(s.split('')) > 0", True, {"s": _LONG}),
    "distinct doubles": Case("x.distinct().size()", 20_000, {"x": [float(number) for number in range(20_000)]}),
    "sets of doubles": Case("sets.contains(x, x)", True, {"x": [float(number) for number in range(20_000)]}),
    "shifting far": Case("math.bitShiftLeft(1, 9223372036854775807)", 0),
    "a large power": Case(_chain(40, "n", "v * v", "v > 0"), "CL904", {"n": 10}),
}


def main() -> None:
    """Evaluate every case; print one line of JSON for each, and the peak of the memory at the end."""
    for name, case in CASES.items():
        print(json.dumps([name, outcome(case)]), flush=True)  # noqa: T201 - this is what the caller reads
    print(json.dumps(["peak", peak_kib()]))  # noqa: T201 - as above


if __name__ == "__main__":
    main()
