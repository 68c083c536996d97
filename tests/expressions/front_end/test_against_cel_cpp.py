"""Google's C++ implementation accepts what we accept, and deduces the types we deduce; where not, on purpose."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.expressions import Environment, analyze, parse_type
from costlens_policy.expressions.types import Type

cel = pytest.importorskip("cel_expr_python.cel")
ext_bindings = pytest.importorskip("cel_expr_python.ext.ext_bindings")
ext_optional = pytest.importorskip("cel_expr_python.ext.ext_optional")

_VARIABLES = {
    "i": "int", "u": "uint", "d": "double", "s": "string", "b": "bool", "y": "bytes", "x": "dyn", "li": "list(int)",
    "ls": "list(string)", "m": "map(string, int)", "t": "timestamp", "w": "duration",
}  # fmt: skip
_OURS = Environment({name: parse_type(declared) for name, declared in _VARIABLES.items()})
_OPERATORS = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"]
_ATOMS = [*_VARIABLES, "1", "-1", "2u", "1.5", "'a'", "b'x'", "true", "null", "[]", "{}", "[1]", "['a']", "{'a': 1}",
          "optional.none()", "optional.of(1)", "int", "type(1)", "timestamp(0)"]  # fmt: skip
_TEMPLATES = [
    "({0})", "!({0})", "-({0})", "{0} ? {1} : {2}", "{0}[{1}]", "m[?{0}]", "li[?{0}]", "{0}.a", "{0}.?a", "[{0}, {1}]",
    "{{'k': {0}}}", "{0}.all(v, {1})", "{0}.exists(v, v == {1})", "{0}.map(v, v + {1})", "{0}.filter(v, {1})",
    "cel.bind(v, {0}, v + {1})", "size({0})", "{0}.size()", "int({0})", "string({0})", "double({0})", "dyn({0})",
    "type({0})", "{0}.startsWith({1})", "{0}.getHours()", "{0}.matches(s)", "{0}.orValue({1})", "{0}.or({1})",
    "{0}.hasValue()", "has({0}.a)", "optional.of({0})", "{0}.optMap(v, v == {1})",
    *(f"{{0}} {operator} {{1}}" for operator in _OPERATORS),
]  # fmt: skip


def _filled(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(_TEMPLATES), parts, parts, parts).map(lambda items: items[0].format(*items[1:]))


_EXPRESSIONS = st.recursive(st.sampled_from(_ATOMS), _filled, max_leaves=8)


def _google() -> cel.Env:
    names = {"int": "INT", "uint": "UINT", "double": "DOUBLE", "string": "STRING", "bool": "BOOL", "bytes": "BYTES",
             "dyn": "DYN", "timestamp": "TIMESTAMP", "duration": "DURATION"}  # fmt: skip

    def theirs(declared: Type) -> cel.Type:
        inner = [theirs(parameter) for parameter in declared.parameters]
        if declared.name == "list":
            return cel.Type.List(*inner)
        return cel.Type.Map(*inner) if declared.name == "map" else getattr(cel.Type, names[declared.name])

    variables = {name: theirs(parse_type(declared)) for name, declared in _VARIABLES.items()}
    return cel.NewEnv(variables=variables, extensions=[ext_bindings.ExtBindings(), ext_optional.ExtOptional()])


_THEIRS = _google()
# Theirs refuses to compare numbers of different types, which the specification allows.
_WE_ALLOW = ("'_==_'", "'_!=_'", "'_<_'", "'_<=_'", "'_>_'", "'_>=_'", "'@in'")
# We refuse keys that no map can have, literals that no conversion accepts, and `null[0]`.
_WE_REFUSE = {"CL312", "CL316", "CL318"}


@settings(max_examples=150, derandomize=True, deadline=None)
@given(_EXPRESSIONS)
def test_both_accept_the_same_expressions_and_deduce_the_same_types(text: str) -> None:
    analyzed = analyze(text, _OURS)
    try:
        deduced = _THEIRS.compile(text).return_type().name()
    except Exception as error:
        reason = str(error)
        assert analyzed.typed is None or any(sign in reason for sign in _WE_ALLOW), reason
        return
    if analyzed.typed is None:
        assert {problem.code for problem in analyzed.problems} & _WE_REFUSE, analyzed.problems
    else:
        assert _spelled(deduced) == str(analyzed.typed.type)


def _spelled(theirs: str) -> str:
    text = theirs.lower().replace("<", "(").replace(">", ")")
    return text if "null_type" in text else text.replace("null", "null_type")
