"""Data documents: what is deduced of them is true, and reading them is reading what stands there."""

from __future__ import annotations

import json
import time
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES, model_record, request_record
from costlens_policy.checker.bundle import LinkedDocument, SharedData
from costlens_policy.checker.data import read_data
from costlens_policy.checker.expressions import Environments
from costlens_policy.cli.commands.cel.answer import literal
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents import DataDocument
from costlens_policy.expressions import DYN, Environment, Record, Type, Value, analyze
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.functions.costs import Sizes
from costlens_policy.expressions.runtime import CelError, admit
from costlens_policy.schema import read_document
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

_KEYS: Final = st.sampled_from(["a", "b", "a.b", "a[]", "b[]", "team-x", 'x"y', ""])
_SCALARS: Final = st.one_of(
    st.integers(-5, 2**62), st.integers(0, 4).map(lambda n: n + 0.5), st.booleans(), st.sampled_from(["gold", "é", ""])
)
_VALUES: Final = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_ROWS: Final = st.dictionaries(
    _KEYS,
    st.fixed_dictionaries(
        {"usd": st.integers(0, 9) | st.just(0.5)}, optional={"tier": st.sampled_from(["gold", "tin"])}
    ),
    min_size=1,
    max_size=4,
)


def read(value: Any, **more: Any) -> tuple[SharedData, tuple[Diagnostic, ...]]:
    head = {"apiVersion": "costlens-policy/v1", "kind": "Data", "metadata": {"name": "t", "version": "1"}}
    (located,) = compose(source_of(json.dumps({**head, **more, "data": value}), "data.yaml")).documents
    document, problems = read_document(located)
    assert isinstance(document, DataDocument), problems
    return read_data([LinkedDocument(located, document)])


def environment(data: SharedData) -> Environment:
    request = request_record(STANDARD_ATTRIBUTES, Sizes())
    return Environments((request, model_record()), data).of(("request",))


def evaluated(text: str, around: Environment, user: str = "") -> Value | CelError:
    found = analyze(text, around)
    assert found.typed is not None, (text, found.problems)
    try:
        return compile_expression(found.typed, ("request",))({"user": user})
    except CelError as error:
        return error


def type_of(text: str, around: Environment) -> str:
    typed = analyze(text, around).typed
    assert typed is not None
    return str(around.plain(typed.type))


@given(_VALUES)
def test_types_are_those_of_the_values(value: Any) -> None:
    data, problems = read(value)
    assert not problems
    around = environment(data)
    _holds(data.values["t"], around.records["data"].fields["t"].type, around)


def _holds(value: Value, type_: Type, around: Environment) -> None:
    """Assert that a value is one of its type, and that so are all that are in it."""
    record = around.record(type_)
    assert admit(value, type_, around.records) == value
    if record is None:
        for item in value if isinstance(value, list) else ():
            _holds(item, type_.parameters[0] if type_ != DYN else DYN, around)
        return
    assert record.values is not None
    for key, item in value.items():
        field = record.fields[key]
        _holds(item, field.type, around)
        if record.values != DYN:
            _holds(item, record.values, around)
    assert {name for name, field in record.fields.items() if not field.optional} <= set(value)


@given(_VALUES)
def test_whatever_is_written_out_reads_what_stands_there(value: Any) -> None:
    around = environment(read(value)[0])
    for text, expected in _places("data.t", value):
        found = evaluated(text, around)
        assert found == expected or found == pytest.approx(expected)


def _places(text: str, value: Any) -> list[tuple[str, Any]]:
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = [(json.dumps(key, ensure_ascii=False), item) for key, item in value.items()]
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [(text, value)] * (not inside) + [place for key, item in inside for place in _places(f"{text}[{key}]", item)]


_READS: Final = (
    "{t}[request.user]", "{t}[?request.user].hasValue()", "request.user in {t}", "size({t})", "{t} == {t}",
    "{t}.exists(key, key == request.user)", "{t}.map(key, {t}[key])", "{t}.all(key, value, {t}[key] == value)",
    "{t}.?a.hasValue()", "{t}.filter(key, key != request.user)", '{t}["a"]', "has({t}.a)",
    'request.user == "a" ? {t} : {t}',
)  # fmt: skip


@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4), st.sampled_from(_READS), _KEYS)
def test_a_table_is_read_as_if_it_were_written_out(value: Any, template: str, user: str) -> None:
    data, _ = read(value)
    around = environment(data)
    texts = [template.format(t=name) for name in ("data.t", literal(data.values["t"]))]
    if analyze(texts[0], around).typed is None:
        assert '"a"' in template or ".a" in template  # reads that are checked by the keys
        assert "a" not in value
        return
    ours, theirs = (evaluated(text, around, user) for text in texts)
    if isinstance(theirs, CelError):
        assert isinstance(ours, CelError)
        assert ours.code == theirs.code
    else:
        assert ours == theirs


@given(_ROWS, _KEYS)
def test_columns_of_rows_keep_their_types(rows: Any, user: str) -> None:
    around = environment(read(rows)[0])
    whole = all(isinstance(row["usd"], int) for row in rows.values())
    assert type_of("data.t[request.user].usd", around) == ("int" if whole else "double")
    if any("tier" in row for row in rows.values()):
        assert type_of("data.t[request.user].tier", around) == "string"
        found = evaluated('data.t[?request.user].?tier.orValue("none")', around, user)
        assert found == rows.get(user, {}).get("tier", "none")
    assert analyze("data.t[request.user].teir", around).typed is None


@pytest.mark.parametrize(
    ("value", "text", "expected"),
    [
        ({"a": 1, "b": 2}, "data.t", "map(string, int)"),
        ({"a": 1, "b": 2.5}, "data.t.a", "double"),
        ([1, 2.5], "data.t", "list(double)"),
        ([1, "a"], "data.t", "list(dyn)"),
        ([], "data.t", "list(dyn)"),
        ({}, "data.t", "map(string, dyn)"),
        ([[], ["a"]], "data.t", "list(list(string))"),
        ({"a": {"n": 1}, "b": {"n": 0.5}}, "data.t.a.n", "double"),
        ({"a": {"n": 1, "x": "a"}, "b": {"n": 0.5}}, "data.t.a", "map(string, dyn)"),
        ({"a": 1, "b": "c"}, "data.t.a", "int"),
        ({"a": {"n": 1}, "b": 2}, "data.t[request.user]", "dyn"),
    ],
)
def test_what_is_deduced(value: Any, text: str, expected: str) -> None:
    assert type_of(text, environment(read(value)[0])) == expected


@pytest.mark.parametrize(
    ("type_", "value", "text", "expected"),
    [
        ("map(string, double)", {"a": 1}, "data.t.a", "double"),
        ("map(string, double)", {}, "data.t[request.user]", "double"),
        ("list(string)", [], "data.t", "list(string)"),
        ("map(string, list(double))", {"a": [1], "b": []}, "data.t[request.user]", "list(double)"),
        ("map(string, map(string, int))", {}, "data.t[request.user][request.user]", "int"),
        ("dyn", {"a": 1}, "data.t.a", "int"),
    ],
)
def test_what_is_declared(type_: str, value: Any, text: str, expected: str) -> None:
    data, problems = read(value, type=type_)
    assert not problems
    assert type_of(text, environment(data)) == expected


@pytest.mark.parametrize(
    ("type_", "value", "codes"),
    [
        ("map(string, int)", {"a": 0.5}, ["CL222"]),
        ("list(int)", {"a": 1}, ["CL222"]),
        ("map(string, int)", {"a": [1], "b": {"c": 1}}, ["CL222", "CL222"]),
        ("timestamp", "2026-01-01T00:00:00Z", ["CL222"]),
        ("map(int, int)", {}, ["CL210"]),
        ("list", [], ["CL210"]),
        ("bytes", "a", ["CL210"]),
        ("list(", [], ["CL210"]),
        (None, {"a": None, "b": [None]}, ["CL221", "CL221"]),
        (None, 2**63, ["CL221"]),
        (None, [0] * 50_001, ["CL221"]),
    ],
)
def test_what_is_wrong_is_reported(type_: str | None, value: Any, codes: list[str]) -> None:
    data, problems = read(value, **({} if type_ is None else {"type": type_}))
    assert [item.code for item in problems] == codes
    assert all(item.span is not None for item in problems)
    assert isinstance(data.records["data"], Record)


def _chain(length: int) -> dict[str, dict[str, Any]]:
    """Return rows of which each, once it has a double, makes one of the next."""
    rows = {f"r{n}": {f"c{n}": 1, f"c{n + 1}": 1 if n else 0.5} for n in range(length)}
    return {**rows, "text": {"word": "a"}}


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        ({f"r{n}": {f"c{n}": 1} for n in range(4_000)}, []),  # no two rows have a column in common
        ({f"r{n}": {f"c{n % 150}": 1, f"c{n % 149}": "a"} for n in range(4_000)}, []),
        (_chain(10), []),
        (_chain(100), ["CL221"]),
    ],
)
def test_odd_tables_take_no_time(rows: Any, codes: list[str]) -> None:
    began = time.process_time()
    _, problems = read(rows)
    assert [item.code for item in problems] == codes
    assert time.process_time() - began < 20


def test_cost_knows_how_large_a_table_is() -> None:
    around = environment(read({str(number): number for number in range(5)})[0])
    found = analyze("data.t.exists(key, key == request.user)", around)
    assert found.worst is not None
    assert found.worst.steps < 40
