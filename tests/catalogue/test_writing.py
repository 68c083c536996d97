"""A catalogue that is written reads back as the same one, and a lock notices when it was changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.catalogue import BUCKETS, Catalogue, Evidence, Model, Period, Rates, Tariff
from costlens_policy.catalogue.resolve import resolve
from costlens_policy.catalogue.writing import comment, lock, yaml_lines
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of
from tests.catalogue.reading import pointed, read, resolved

PRICES = st.decimals(min_value=0, max_value=9999, allow_nan=False, allow_infinity=False, places=6)
RATES = st.builds(
    Rates,
    st.fixed_dictionaries(
        {"input": PRICES, "output": PRICES},
        optional={bucket: PRICES for bucket in BUCKETS if bucket not in ("input", "output")},
    ),
)
DAYS = st.dates(date(2020, 1, 1), date(2030, 1, 1))
DOUBLES = st.just(0.0) | st.floats(1e-200, 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=1, max_size=12)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,8}", fullmatch=True)


@st.composite
def periods(draw: st.DrawFn) -> tuple[Period, ...]:
    days: list[date | None] = sorted(draw(st.sets(DAYS, max_size=3)))
    if draw(st.booleans()):
        days.insert(0, None)
    per_request = draw(st.sampled_from([Decimal(0), Decimal("0.01")]))
    found = []
    for day in days:
        steps = sorted(draw(st.sets(st.integers(1, 10**6), max_size=2)))
        usual, *tiers = [draw(tariffs(steps, per_request)) for _ in range(draw(st.integers(1, 3)))]
        names = ("priority", "flex")[: len(tiers)]
        found.append(Period(day, usual.rates, usual.long_context, dict(zip(names, tiers, strict=True))))
    return tuple(found)


@st.composite
def tariffs(draw: st.DrawFn, steps: list[int], per_request: Decimal) -> Tariff:
    rates = [replace(draw(RATES), usd_per_request=per_request) for _ in range(len(steps) + 1)]
    return Tariff(rates[0], tuple(zip(steps, rates[1:], strict=True)))


EVIDENCE = st.builds(
    Evidence,
    cases=st.none() | st.integers(1, 10**6),
    measured=st.none() | st.dates(date(2020, 1, 1)),
    source=st.none() | TEXT.filter(bool),
    data=st.none() | st.just("sha256:" + "0a" * 32),
)


def with_evidence(model: Model, known: Evidence, share: float) -> Model:
    """Give every task of a model the same evidence, with an interval around its quality."""
    evidence = {
        task: replace(known, low=value * share, high=max(value, 1 - (1 - value) * share), level=0.9)
        for task, value in model.quality.items()
    }
    return replace(model, evidence=evidence)


MODELS = st.builds(
    Model,
    name=NAMES,
    provider=st.none() | TEXT,
    family=st.none() | TEXT,
    periods=periods(),
    context_window=st.none() | st.integers(100, 10**7),
    max_output_tokens=st.none() | st.integers(1, 100),
    capabilities=st.none() | st.frozensets(st.sampled_from(["tools", "vision", "json_mode"])),
    latency_p50_ms=st.none() | st.floats(1, 1e6) | DOUBLES,
    quality=st.dictionaries(TEXT, DOUBLES, max_size=3),
    regions=st.none() | st.lists(TEXT, max_size=3).map(tuple),
    external=st.booleans(),
    deprecated=st.none() | st.dates(date(1970, 1, 1), date(2020, 1, 1)),
    retired=st.none() | st.dates(date(2020, 1, 1)),
    labels=st.dictionaries(TEXT, TEXT, max_size=3),
)


@settings(max_examples=50)
@given(
    st.lists(
        MODELS | st.builds(with_evidence, MODELS, EVIDENCE, st.sampled_from([0.5, 1.0])),
        max_size=4,
        unique_by=lambda model: model.name,
    )
)
def test_any_catalogue_reads_back(models: list[Model]) -> None:
    result = resolve([read(lock(Catalogue.of(models)))])
    # The models lack the names that a provider implies, so the first digest is another one. Prices may be unlikely.
    assert {item.code for item in result.diagnostics} <= {"CL510", "CL517"}
    again = resolve([read(lock(result.catalogue))])
    assert {item.code for item in again.diagnostics} <= {"CL510"}
    assert again.catalogue.digest == result.catalogue.digest
    implied = {model.name: model.aliases for model in result.catalogue}
    expected = [replace(model, aliases=implied[model.name], price_source="catalogue.yaml") for model in models]
    assert list(result.catalogue) == sorted(expected, key=lambda model: model.name)


BODY = """
imports:
  - {source: genai-prices, models: [openai/*, github-copilot/gpt-4o, deepseek/*], facts: {quality: {chat: 0.5}}}
models:
  ours: {fine_tuned: {base: gpt-5-nano, tasks: [triage]}, price_as: gpt-5-nano, aliases: [mine]}
  local: {provider: in-house, external: false, prices: [{usd_per_million_tokens: {input: 0.1, output: 0.25}}]}
"""


def test_imports_overrides_and_inheritance_lock_to_the_same_digest() -> None:
    catalogue = resolved(BODY).catalogue
    text = lock(catalogue, date(2026, 11, 24))
    again = resolve([read(text)])
    assert again.catalogue.digest == catalogue.digest
    assert not again.diagnostics
    ours = again.catalogue.find("ours")
    assert ours is not None
    assert (ours.quality, ours.base_measured) == ({}, {"chat": "gpt-5-nano"})
    assert 'version: "2026.11.24"' in text
    assert again.catalogue.find("in-house/local") is again.catalogue.find("local")
    assert lock(again.catalogue, date(2026, 11, 24)).count("# prices:") == text.count("# prices:")


def test_a_lock_of_the_whole_price_list_reads_back() -> None:
    catalogue = resolved("imports: [{source: genai-prices, models: ['*']}]").catalogue
    again = resolve([read(lock(catalogue))])
    assert again.diagnostics == ()
    assert again.catalogue.digest == catalogue.digest


def test_a_changed_lock_is_an_error() -> None:
    text = lock(resolved(BODY).catalogue)
    changed = text.replace("input: 0.1,", "input: 0.2,")
    assert changed != text
    problem = next(item for item in resolve([read(changed)]).diagnostics if item.code == "CL517")
    assert problem.is_error
    assert problem.span is not None
    assert changed[problem.span.start.offset :].startswith('"sha256:')


def test_a_lock_may_be_overridden_by_a_later_catalogue() -> None:
    own = 'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: own, version: "1"}\n'
    pairs = [
        read(lock(resolved(BODY).catalogue), "lock.yaml"),
        read(own + "models: {local: {regions: [eu]}}", "own.yaml"),
    ]
    result = resolve(pairs)
    assert not any(item.is_error for item in result.diagnostics)
    local = result.catalogue.find("local")
    assert local is not None
    assert local.regions == ("eu",)


def test_comments_and_layout_of_a_lock_do_not_count() -> None:
    text = lock(resolved(BODY).catalogue)
    assert not any(
        item.is_error for item in resolve([read("# mine\n" + text.replace("\nmodels:", "\n\nmodels:"))]).diagnostics
    )


def test_an_empty_catalogue_locks() -> None:
    assert resolve([read(lock(Catalogue.of([])))]).diagnostics == ()


def test_pointed_names_the_text() -> None:
    body = "models: {a: {family: x}}"
    assert pointed(body, resolved(body).diagnostics[0]) == "a"


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = (
    ANY_TEXT
    | st.integers(-(10**15), 10**15)
    | st.booleans()
    | st.decimals(0, 10**9, places=9).map(lambda number: number.normalize())
    | st.dates(date(1970, 1, 1))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3))


@given(st.dictionaries(ANY_TEXT, VALUES, min_size=1, max_size=4))
def test_any_value_reads_back(value: dict[str, Any]) -> None:
    composed = compose(source_of("\n".join(yaml_lines(value)) + "\n"))
    assert composed.diagnostics == ()
    assert composed.documents[0].root.to_plain() == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": {"b": 1, "c": Decimal("0.50")}}, "a: {b: 1, c: 0.5}"),
        ({"a": []}, "a: []"),
        ({"a": ["yes", "no-thing", "1.10", "x y", "Ünï"]}, 'a: ["yes", no-thing, "1.10", "x y", "Ünï"]'),
        ({"a": [{"b": {"c": True}}, {}]}, "a:\n  - b: {c: true}\n  - {}"),
        ({"day": date(2026, 1, 2), "n": "on"}, 'day: 2026-01-02\n"n": "on"'),
        ({"a": {"b": {"c": "x" * 130}}}, f"a:\n  b:\n    c: {'x' * 130}"),
    ],
)
def test_texts_are_plain_where_that_is_safe(value: dict[str, Any], text: str) -> None:
    assert "\n".join(yaml_lines(value)) == text


def test_a_comment_stays_on_its_line() -> None:
    assert comment("a\nb: c\u2028d", 2) == "  # a b: c d"
