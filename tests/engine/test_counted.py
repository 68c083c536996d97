"""Budgets that count tokens by their kinds: what is held is never less than what any usage of the call counts as."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import BUCKETS, Model, Usage
from costlens_policy.engine.candidate import TokenKinds
from costlens_policy.engine.request import needs_of
from costlens_policy.units import PARENTS, measure, unit_of_kinds
from costlens_policy.usage import count_at_most, count_tokens

NOW = datetime(2026, 4, 1, tzinfo=UTC)
MARK = {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {"prompt": "x"},
    "marked": {"messages": [MARK]},
    "images": {"modalities": ["text", "image"]},
    "sound": {"modalities": ["audio", "audio_output"]},
}
KINDS = {
    "text": ("input", "cache_read", "output", "reasoning", "output_image"),
    "marked": ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "output_image"),
    "images": ("input", "cache_read", "input_image", "output", "reasoning", "output_image"),
    "sound": ("input", "cache_read", "input_audio", "cache_read_audio", "output", "reasoning", "output_audio"),
}
"""What a call to a model of Anthropic, which writes to caches on request alone, may be charged as."""
COUNTS = st.dictionaries(st.sampled_from(list(PARENTS)), st.decimals("0.000001", 1000, places=6), min_size=1)


@given(COUNTS, st.sampled_from(list(REQUESTS)), st.lists(st.integers(0, 10**6), min_size=7, max_size=7))
def test_no_usage_counts_for_more_than_is_held(count, kind, tokens):
    unit = unit_of_kinds(count)
    usage = Usage(**dict(zip(KINDS[kind], tokens, strict=False)))
    request = REQUESTS[kind]
    kinds = TokenKinds(request, needs_of(request))

    call = SimpleNamespace(params={})
    inputs, outputs = kinds.heaviest(measure(unit), Model("claude", provider="anthropic"), call)
    held = measure(unit).amount(inputs * usage.prompt_tokens + outputs * usage.answer_tokens)
    assert count_tokens(unit, usage) <= held
    assert count_tokens(unit, usage) <= count_at_most(unit, usage)


@given(COUNTS, st.lists(st.integers(0, 10**9), min_size=len(BUCKETS), max_size=len(BUCKETS)), st.integers(0, 10**6))
def test_a_count_is_exact(count, tokens, unknown):
    unit, usage = unit_of_kinds(count), Usage(*tokens)
    known = measure(unit)
    weights = {kind: Fraction(units, 10**known.digits) for kind, units in known.per_token.items()}
    exact = sum(number * weights[bucket] for bucket, number in zip(BUCKETS, usage, strict=True))
    exact += unknown * max(weights[bucket] for bucket in BUCKETS)
    assert Fraction(count_tokens(unit, usage, unknown)) == exact


def test_each_candidate_is_held_as_what_it_may_be_charged_as(company):
    engine = company(
        "routes: [{id: r, models: [nano, mini]}]\n"
        "budgets: [{id: b, hard_limit_tokens: 5000, count: {input: 1, input_image: 3, output: 0.5},"
        " window: {lifetime: true}}]"
    )
    plain = engine.decide({"prompt": "x", "prompt_tokens": 1000, "max_output_tokens": 9}, now=NOW)
    assert [(line.unit, line.call) for line in plain.holds] == [
        ("tokens(input=1,input_image=3,output=0.5)", Decimal("1004.5"))
    ]
    drawn = engine.decide({"prompt_tokens": 1000, "max_output_tokens": 9, "modalities": ["image"]}, now=NOW)
    assert [(line.call, drawn.model) for line in drawn.holds] == [(Decimal("3004.5"), "mini")]
