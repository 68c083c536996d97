"""Expressions that may take too long: refused, and the comprehension to blame is named."""

from __future__ import annotations

import pytest

from costlens_policy.expressions import (
    DEFAULT_LIMITS,
    DYN,
    STRING,
    Environment,
    Field,
    Limits,
    Record,
    Type,
    analyze,
    list_of,
)
from costlens_policy.expressions.functions.costs import Sizes

SIZES = Sizes()
REQUEST = Record(
    "request",
    {
        "tags": Field(list_of(STRING)),
        "pair": Field(list_of(STRING), shape=SIZES.of(list_of(STRING), 2)),
        "code": Field(STRING, shape=SIZES.of(STRING, 8)),
        "prompt": Field(STRING),
        "messages": Field(list_of(DYN), shape=SIZES.messages()),
    },
)
ENVIRONMENT = Environment({"request": Type("request")}, {"request": REQUEST})


def blamed(text: str, limits: Limits = DEFAULT_LIMITS) -> str | None:
    analyzed = analyze(text, ENVIRONMENT, limits=limits)
    if not analyzed.problems:
        return None
    (problem,) = analyzed.problems
    assert problem.code == "CL319"
    assert analyzed.typed is None
    return text[problem.extent.start : problem.extent.end]


@pytest.mark.parametrize(
    "text",
    [
        "request.tags.exists(tag, tag.matches('^[a-z]+$'))",
        "request.messages.exists(m, m.role == 'user' && m.content.exists(part, part.type == 'image_url'))",
        "request.tags.all(a, request.tags.exists_one(b, a == b))",
        "request.tags.all(a, request.tags.all(b, request.pair.all(c, a != c || b != c)))",
        "request.prompt.split(' ').exists(word, word.contains('secret'))",
        "request.code.split('').all(a, request.code.split('').all(b, request.code.split('').all(c, a + b != c)))",
        " && ".join(["request.prompt.matches('a+b')"] * 100),
        "text(request).matches('(?i)\\\\b(secret|confidential|internal|top[- ]secret)\\\\b')",
        "request.messages.exists(m, text(m).matches('[0-9]{3}-[0-9]{2}-[0-9]{4}'))",
        "request.messages.exists(m, m.content.exists(part, part.text.matches('(?i)secret|password')))",
        "request.messages.exists(m, m.content.exists(part, part.content.exists(inner, inner.text.contains('a'))))",
        "request.messages.filter(m, m.role == 'user').map(m, size(text(m))).sum() > 8000",
        "cel.bind(all, text(request.messages), request.tags.exists(tag, all.contains(tag)))",
    ],
)
def test_what_is_usual_is_within_the_limit(text: str) -> None:
    assert blamed(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("request.tags.all(a, request.tags.all(b, request.tags.exists(c, a == b + c)))", "exists"),
        ("request.pair.all(a, request.tags.map(b, request.tags.filter(c, c != b).size()).exists(d, d > 1))", None),
        ("request.prompt.split('').all(a, request.prompt.split('').all(b, a == b))", "all"),
        ("lists.range(10000000).size() > 1", "range"),
        ("lists.range(size(request.prompt) * 10).exists(i, i > 3)", "exists"),
        ("request.tags.map(t, request.tags).flatten().all(a, request.tags.all(b, a != b))", "all"),
        ("cel.bind(a, lists.range(900), a.exists(x, a.exists(y, a.map(z, z).size() > x + y)))", "map"),
        ("request.prompt.split('').map(a, request.prompt.replace('', a)).size() > 1", "map"),
        ("request.tags.exists(tag, text(request.messages).contains(tag))", "exists"),
        ("request.messages.exists(a, request.messages.exists(b, text(a) == text(b) + '!'))", "exists"),
    ],
)
def test_what_multiplies_is_blamed(text: str, expected: str | None) -> None:
    assert blamed(text) == expected


def test_the_innermost_part_that_is_too_dear_is_named() -> None:
    text = "request.tags.all(a, request.tags.all(b, a != b) && request.tags.all(c, request.tags.all(d, c != d)))"
    (problem,) = analyze(text, ENVIRONMENT).problems
    assert problem.extent.start == text.index("all(d")
    assert problem.label == "visits 200 elements of `request.tags`, 40,000 times over"
    assert problem.message.endswith("steps, above the limit of 1,000,000")
    assert "`max_size`" in problem.help


def test_work_that_is_the_same_for_each_element_is_advised_to_be_done_once() -> None:
    text = "request.tags.exists(tag, tag != '' && text(request.messages).contains(tag))"
    (problem,) = analyze(text, ENVIRONMENT).problems
    assert "`cel.bind(name, text(request.messages), …)`" in problem.help
    assert blamed(f"cel.bind(all, text(request.messages), {text.replace('text(request.messages)', 'all')})") is None


def test_the_limit_is_a_setting() -> None:
    text = "request.tags.all(a, request.tags.exists(b, a == b))"
    assert blamed(text) is None
    assert blamed(text, Limits(cost=1_000)) == "exists"
    assert blamed(text, Limits(cost=1_000, assumed_list=10)) is None
    assert blamed("1 + 1 == 2", Limits(cost=1)) is not None


def test_numbers_beyond_all_measure_stay_short() -> None:
    text = "x" + "".join(f".all(x{number}, x" for number in range(40)) + " == x" + ")" * 40
    (problem,) = analyze(text, Environment({"x": list_of(DYN)})).problems
    assert "more than 1,000,000,000,000,000 steps" in problem.message
    assert len(problem.label) < 120
