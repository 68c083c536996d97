"""What the checker reports: the code, the place, and a hint that helps."""

from __future__ import annotations

import pytest

from costlens_policy.diagnostics.codes import CODES
from costlens_policy.expressions import BOOL, DOUBLE, Problem, Type, analyze
from tests.expressions.front_end.attributes import ENVIRONMENT


def problems(text: str, expected: Type | None = None) -> list[Problem]:
    return [item for item in analyze(text, ENVIRONMENT, expected).problems if item.code != "CL314"]


@pytest.mark.parametrize(
    ("code", "text", "blamed", "hint"),
    [
        ("CL302", "request.modle == 'a'", "modle", "did you mean `model`?"),
        ("CL302", "reqest.model == 'a'", "reqest", "did you mean `request`?"),
        ("CL302", "prompt_tokens > 1", "prompt_tokens", "write `request.prompt_tokens`"),
        ("CL302", "growth == 'a'", "growth", "put quotes around a text"),
        ("CL302", "size > 1", "size", "`size` is a function"),
        ("CL302", "has(request.tem)", "tem", "did you mean `team`?"),
        ("CL302", "request.messages.all(m, m.rol == '')", "rol", "did you mean `role`?"),
        ("CL302", "variables.x", "x", "it has `is_cheap`, `is_long`"),
        ("CL303", "request.model.startWith('a')", "startWith", "did you mean `startsWith`?"),
        ("CL303", "math.gratest(1)", "gratest", "did you mean `math.greatest`?"),
        ("CL303", "mth.abs(1)", "abs", "did you mean `math.abs`?"),
        ("CL303", "siz('a')", "siz", "did you mean `size`?"),
        ("CL304", "request.metadata.get('a', 1) + {'a': 'b'}.get('a', 1)", "1", ""),
        ("CL308", "request.metadata.get('a')", "get", "write `map.get(key, default)`"),
        ("CL316", "request.get('team', '') == 'a'", "request.get('team', '')", "write `request.?team`"),
        ("CL304", "request.model.startsWith(1)", "startsWith", "available: `string.startsWith(string)`"),
        ("CL304", "request.model.substring()", "substring", "available: `string.substring(int)`"),
        ("CL304", "startsWith(request.model, 'a')", "startsWith", "write `request.model.startsWith(…)`"),
        ("CL304", "limit.int()", "int", "write `int(limit)`"),
        ("CL304", "request.model == 3", "==", "write `string(3) == …`"),
        ("CL304", "request.tags == 'a'", "==", "write `'a' in request.tags`"),
        ("CL304", "request.model == null", "==", "use `has(…)`"),
        ("CL304", "now > '2026-01-01'", ">", "write `timestamp('2026-01-01')`"),
        ("CL304", "'a' + limit", "+", "write `string(limit)`"),
        ("CL304", "'a' in request.model", "in", "write `request.model.contains('a')`"),
        ("CL304", "request.tags.contains('a')", "contains", "write `'a' in request.tags`"),
        ("CL304", "-request.model", "-", "available: `-(int)`, `-(double)`"),
        ("CL304", "[?1]", "1", "leave out the `?`"),
        ("CL304", "limit.all(x, true)", "limit", ""),
        ("CL304", "limit.optMap(x, x)", "limit", ""),
        ("CL304", "request.?model == 'a'", "==", "orValue"),
        ("CL309", "request.model && true", "request.model", 'compare it, for example `request.model != ""`'),
        ("CL309", "!limit", "limit", "compare it, for example `limit > 0`"),
        ("CL309", "limit ? 1 : 2", "limit", "`limit > 0`"),
        ("CL309", "request.tags.filter(t, t)", "t", '`t != ""`'),
        ("CL310", "limit * 1.5", "*", "write `double(limit)`"),
        ("CL310", "request.temperature + 1", "+", "write `1.0`"),
        ("CL310", "1u + 1", "+", "write `1u`"),
        ("CL311", "request.model.matches('(a')", "'(a'", "RE2"),
        ("CL311", "regex.replace(request.model, 'a(?=b)', '')", "'a(?=b)'", "RE2"),
        ("CL311", "request.model.glob('gpt-[4-5')", "'gpt-[4-5'", "close every `[`"),
        ("CL311", "request.model.glob('[z-a]')", "'[z-a]'", "a range in order"),
        ("CL312", "duration('5')", "'5'", "units"),
        ("CL312", "timestamp('2026-02-30T00:00:00Z')", "'2026-02-30T00:00:00Z'", "RFC 3339"),
        ("CL312", "int('x')", "'x'", ""),
        ("CL312", "now.getHours('Mars')", "'Mars'", "Europe/Berlin"),
        ("CL312", "ip('10.0.0')", "'10.0.0'", ""),
        ("CL313", "request.tier == 'gold'", "'gold'", "it is one of `free`, `pro`"),
        ("CL313", "'jsno' != request.response_format", "'jsno'", "did you mean `json`?"),
        ("CL313", "request.tier in ['free', 'por']", "'por'", "did you mean `pro`?"),
        ("CL313", "'imgae' in request.modalities", "'imgae'", "did you mean `image`?"),
        ("CL315", "request.stream ? 1 : 2.0", "2.0", "write both as doubles"),
        ("CL315", "request.stream ? 1 : 'a'", "'a'", ""),
        ("CL316", "limit.x", "x", ""),
        ("CL316", "request['model']", "request['model']", "write `request.model`"),
        ("CL316", "request.model[0]", "request.model[0]", "charAt"),
        ("CL316", "request.tags['a']", "'a'", ""),
        ("CL316", "{'a': 1}[1]", "1", ""),
        ("CL318", "{'a': 1, 'a': 2}", "'a'", "remove one"),
        ("CL318", "{1: 1, 1u: 2}", "1u", "remove one"),
        ("CL318", "{1.5: 1}", "1.5", "keys are"),
    ],
)
def test_a_mistake_is_reported_once_at_its_place(code: str, text: str, blamed: str, hint: str) -> None:
    (problem,) = problems(text)
    assert problem.code == code
    assert text[problem.extent.start : problem.extent.end] == blamed
    assert hint in problem.help


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("request.modle.size() + nobody > 3 && limit * 1.5 > 2.0", 3),
        ("nobody + 1 > 2 ? nobody.x : unknown(nobody)", 3),
        ("[nobody, 1].all(x, x > 1)", 1),
        ("{'a': nobody}.a.b.c", 1),
        ("cel.bind(x, nobody, x.y + 1 > x.z)", 1),
        ("nobody.?x.orValue(1) > 2", 1),
        ("nobody[0].f(1) == 'a'", 1),
    ],
)
def test_consequences_stay_silent_and_every_cause_is_named(text: str, count: int) -> None:
    assert len(problems(text)) == count


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        ("request.model", BOOL, 'compare it, for example `request.model != ""`'),
        ("request.tags", BOOL, "`size(request.tags) > 0`"),
        ("limit", DOUBLE, "write `double(limit)`"),
        ("2", DOUBLE, "write `2.0`"),
        ("request.model", DOUBLE, ""),
    ],
)
def test_the_whole_must_have_the_expected_type(text: str, expected: Type, hint: str) -> None:
    (problem,) = problems(text, expected)
    assert problem.code == "CL309"
    assert hint in problem.help


@pytest.mark.parametrize(
    "text",
    [
        "dyn(1) && true",
        "1 == 1u && 1 < 2.5 && 1.0 != 1u",
        "request.metadata.limit > 3",
        "type(request.model) == string",
        "now == null || timestamp(0) != now",
        "true && [1, 'a', 2.0].exists(x, x == 'a')",
        "{true: 1, 1: 2}.size() > 0",
        "[1, 2].exists(i, v, i == v)",
        "'a'.format([1, 'b']) == ''",
        "request.tier == request.model",
    ],
)
def test_what_is_right_is_left_alone(text: str) -> None:
    assert problems(text, BOOL) == []


def test_long_and_broken_texts_fit_into_a_sentence() -> None:
    (problem,) = problems("a" * 10_000 + " == 1")
    assert len(problem.message) < 100
    (problem,) = problems("limit\n  +\n  2 * 1.5")
    assert "\n" not in problem.message + problem.label + problem.help
    (problem,) = problems("[\n1,\n2]", BOOL)
    assert problem.help == "compare its size: `size([ 1, 2]) > 0`"


def test_every_code_is_declared() -> None:
    declared = {code for code in CODES if code.startswith("CL3")}
    assert declared == {f"CL{number}" for number in range(301, 320)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request.model.startsWith()", "`startsWith` takes 1 argument, got 0"),
        ("request.model.startsWith('a', 'b')", "`startsWith` takes 1 argument, got 2"),
        ("request.model.substring(1, 2, 3)", "`substring` takes 1 or 2 arguments, got 3"),
        ("request.model.replace('a')", "`replace` takes 2 or 3 arguments, got 1"),
        ("hash()", "`hash` takes 1 or 2 arguments, got 0"),
    ],
)
def test_what_a_method_is_called_on_does_not_count_as_an_argument(text: str, message: str) -> None:
    assert [item.message for item in problems(text)] == [message]
