"""The types that the checker deduces, and what it learns of an expression besides."""

from __future__ import annotations

import pytest

from costlens_policy.expressions import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    Environment,
    Function,
    Overload,
    ResolutionKind,
    Type,
    TypedExpr,
    analyze,
    parse,
    parse_type,
    unchecked,
)
from costlens_policy.expressions.tree import Call, Select
from tests.expressions.front_end.attributes import ENVIRONMENT


def typed(text: str, environment: Environment = ENVIRONMENT) -> TypedExpr:
    analyzed = analyze(text, environment)
    assert analyzed.typed is not None, analyzed.problems
    return analyzed.typed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2", "int"),
        ("request.prompt_tokens > 1.5", "bool"),
        ("1u == 1.0", "bool"),
        ("1.0 in [1, 2]", "bool"),
        ("[1, 2]", "list(int)"),
        ("[1, 'a']", "list(dyn)"),
        ("[]", "list(dyn)"),
        ("[[], [1]]", "list(list(int))"),
        ("[1] + []", "list(int)"),
        ("[now, null]", "list(timestamp)"),
        ("[null, now]", "list(timestamp)"),
        ("[optional.of(1), null]", "list(optional_type(int))"),
        ("[1, null]", "list(dyn)"),
        ("{'a': 1}", "map(string, int)"),
        ("{'a': 1, 2: 'b'}", "map(dyn, dyn)"),
        ("{}", "map(dyn, dyn)"),
        ("{'a': 1}.a", "int"),
        ("{'a': 1}['a']", "int"),
        ("{'a': 1}.?a", "optional_type(int)"),
        ("[1][?0]", "optional_type(int)"),
        ("optional.of({'a': 1}).a", "optional_type(int)"),
        ("[?optional.of(1)]", "list(int)"),
        ("{?'a': optional.of(1)}", "map(string, int)"),
        ("optional.none()", "optional_type(dyn)"),
        ("optional.of(1).optMap(x, string(x))", "optional_type(string)"),
        ("optional.of([1]).optFlatMap(x, x[?0])", "optional_type(int)"),
        ("optional.none().orValue(1)", "int"),
        ("true ? 1 : 2", "int"),
        ("true ? [] : [1]", "list(int)"),
        ("true ? dyn(1) : 'a'", "dyn"),
        ("[1, 2].map(x, x > 1)", "list(bool)"),
        ("{'a': 1}.map(k, k)", "list(string)"),
        ("[1].filter(x, x > 0)", "list(int)"),
        ("{'a': 1}.filter(k, true)", "list(string)"),
        ("['a'].transformList(i, v, i)", "list(int)"),
        ("{'a': 1}.transformMap(k, v, v > 1)", "map(string, bool)"),
        ("['a'].transformMap(i, v, v)", "map(int, string)"),
        ("{'a': 1}.transformMapEntry(k, v, {v: k})", "map(int, string)"),
        ("['a'].sortBy(x, x.size())", "list(string)"),
        ("[2, 1].sort()", "list(int)"),
        ("[[1]].flatten()", "list(int)"),
        ("cel.bind(x, 1, x + x)", "int"),
        ("type(1)", "type(int)"),
        ("int", "type(int)"),
        ("type(1) == string", "bool"),
        ("google.protobuf.Timestamp", "type(timestamp)"),
        ("now - timestamp(0)", "duration"),
        ("now + duration('1h')", "timestamp"),
        ("math.greatest(1, 2)", "int"),
        ("math.greatest(1, 2.0)", "dyn"),
        ("math.greatest(1, 2, 3)", "int"),
        ("math.sqrt(4)", "double"),
        ("'a,b'.split(',')", "list(string)"),
        ("regex.extract('a', 'a')", "optional_type(string)"),
        ("ip('10.0.0.1')", "net.IP"),
        ("cidr('10.0.0.0/8').ip()", "net.IP"),
        ("hash(request.model, 'salt')", "int"),
        ("request.model.glob('gpt-*')", "bool"),
        ("request", "request"),
        ("request.messages[0].role", "string"),
        ("request.messages.map(m, m.role)", "list(string)"),
        ("request.metadata.anything.at.all", "dyn"),
        ("dyn(1) + 2", "int"),
        ("dyn(1) + dyn(2)", "dyn"),
        ("[].map(x, x)[0].foo", "dyn"),
    ],
)
def test_types_are_deduced(text: str, expected: str) -> None:
    assert str(typed(text).type) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w + 1", "int"),
        ("w == null || w > 1", "bool"),
        ("[1, w]", "list(wrapper(int))"),
        ("[w, 1]", "list(wrapper(int))"),
        ("true ? w : null", "wrapper(int)"),
        ("[w, 'a']", "list(dyn)"),
        ("a.foo[0] + 1", "int"),
    ],
)
def test_a_wrapper_is_its_scalar_or_null_and_any_is_dyn(text: str, expected: str) -> None:
    environment = Environment({"w": parse_type("wrapper(int)"), "a": parse_type("any")})
    assert str(typed(text, environment).type) == expected


@pytest.mark.parametrize(
    ("text", "overloads"),
    [
        ("1 + 2", ("add_int64",)),
        ("'a'.size()", ("string_size",)),
        ("size('a')", ("size_string",)),
        ("now - now", ("subtract_timestamp_timestamp",)),
        ("1 < 1.5", ("less_int64_double",)),
        ("1 == 1.5", ("equals",)),
        ("string(now)", ("timestamp_to_string",)),
        ("dyn(1) * 2", ("multiply_int64",)),
        ("dyn('a') in dyn([])", ("in_list", "in_map")),
    ],
)
def test_overloads_are_resolved_where_types_decide(text: str, overloads: tuple[str, ...]) -> None:
    expression = typed(text)
    assert isinstance(expression.root, Call)
    assert expression.calls[expression.root].overloads == overloads


def test_a_namespace_is_no_argument_and_a_target_is_one() -> None:
    expression = typed("math.abs(1)")
    invocation = expression.calls[expression.root]  # type: ignore[index]  # a call
    assert (invocation.function, len(invocation.arguments)) == ("math.abs", 1)
    expression = typed("'a'.startsWith('b')")
    invocation = expression.calls[expression.root]  # type: ignore[index]  # a call
    assert (invocation.function, len(invocation.arguments)) == ("startsWith", 2)


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("1 > 2", set()),
        ("limit > 1", {("limit",)}),
        ("request.model == 'a' && has(request.team)", {("request", "model"), ("request", "team")}),
        ("request.messages.exists(m, m.role == request.model)", {("request", "messages"), ("request", "model")}),
        ("request.session.id == 'a'", {("request", "session")}),
        ("[request].size() > 0 && request.stream", {("request",), ("request", "stream")}),
        ("request.stream && [request].size() > 0", {("request",), ("request", "stream")}),
        ("request.?team.orValue('')", {("request", "team")}),
        ("[1].exists(limit, limit > 1)", set()),
    ],
)
def test_what_an_expression_reads_is_known(text: str, references: set[tuple[str, ...]]) -> None:
    assert typed(text).references == references


def test_names_resolve_by_container_longest_prefix_and_innermost_scope() -> None:
    variables = {"a.b.x": INT, "a.x": STRING, "x": BOOL, "x.y": DOUBLE}
    for container, text, expected in [
        ("a.b", "x", INT),
        ("a.c", "x", STRING),
        ("", "x", BOOL),
        ("a.b", ".x", BOOL),
        ("", "x.y", DOUBLE),
        ("", "[{'y': 'text'}].map(x, x.y)[0]", STRING),
    ]:
        assert typed(text, Environment(variables, container=container)).type == expected


def test_a_dotted_variable_is_one_name() -> None:
    expression = typed("a.b.c", Environment({"a.b": parse_type("map(string, int)")}))
    assert isinstance(expression.root, Select)
    (node, resolution) = next(iter(expression.resolutions.items()))
    assert node is expression.root.operand
    assert (resolution.kind, resolution.name) == (ResolutionKind.VARIABLE, "a.b")
    assert expression.references == {("a", "b")}


def test_functions_of_the_environment_stand_beside_the_standard_ones() -> None:
    pair = Function("pair", (Overload("pair_T", (parse_type("<T>"), parse_type("<T>")), parse_type("list(<T>)")),))
    size = Function("size", (Overload("size_bool", (BOOL,), INT),))
    environment = Environment({}, functions={"pair": pair, "size": size})
    assert str(typed("pair(1, 2)", environment).type) == "list(int)"
    assert str(typed("size(true) + size('a')", environment).type) == "int"


def test_without_a_check_everything_is_dyn_and_nothing_is_reported() -> None:
    text = "nobody.knows(1) || 'a' + 1 == request.model"
    expression = unchecked(text, parse(text), ENVIRONMENT)
    assert set(expression.types.values()) == {DYN}
    unknown = next(item for item in expression.calls.values() if item.function == "knows")
    assert unknown.overloads == ()
    assert len(unknown.arguments) == 2


@pytest.mark.parametrize("text", ["int", "list(string)", "map(string, list(<T>))", "net.IP", "tuple(int, uint, <A>)"])
def test_types_read_back_as_they_are_written(text: str) -> None:
    assert str(parse_type(text)) == text


@pytest.mark.parametrize(
    "text", ["", "list(", "list(int", "list int", "list(int))", "(int)", "->", "list(" * 99, "a.b."]
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a type"):
        parse_type(text)


def test_types_are_equal_by_structure() -> None:
    assert parse_type("list(int)") == Type("list", (INT,))
