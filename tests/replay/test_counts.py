"""Counts in columns: disjoint kinds that lose no token, or a reason why they contradict each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.catalogue import Usage
from costlens_policy.catalogue.rates import BUCKETS
from costlens_policy.replay.traffic.cells import PARTS, counted
from costlens_policy.replay.traffic.mapping import COUNTS

PROMPT = ("uncached_tokens", *PARTS[1:4])


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_tokens": 10, "output_tokens": 2}, None),
        ({"prompt_tokens": 10, "cached_tokens": 4, "output_tokens": 2}, Usage(input=6, cache_read=4, output=2)),
        ({"prompt_tokens": 10, "cache_write_tokens": 4, "output_tokens": 2}, Usage(input=6, cache_write=4, output=2)),
        ({"prompt_tokens": 9, "cache_write_1h_tokens": 4, "output_tokens": 2}, Usage(5, 0, 0, 4, 2)),
        ({"uncached_tokens": 10, "cached_tokens": 4, "output_tokens": 2}, Usage(input=10, cache_read=4, output=2)),
        ({"prompt_tokens": 10, "output_tokens": 5, "reasoning_tokens": 3}, Usage(input=10, output=2, reasoning=3)),
        ({"prompt_tokens": 10, "output_tokens": 5, "reasoning_tokens": 8}, Usage(input=10, output=5, reasoning=8)),
        (
            {"prompt_tokens": 10, "output_tokens": 5, "reasoning_tokens": 3, "total_tokens": 18},
            Usage(input=10, output=5, reasoning=3),
        ),
    ],
)
def test_counts_become_disjoint_kinds(counts, usage):
    assert counted(counts).recorded == usage


def test_what_only_the_total_shows_counts_as_output():
    told = counted({"prompt_tokens": 10, "output_tokens": 2, "total_tokens": 112})
    assert (told.output, told.beyond, told.contradicted) == (102, 100, False)
    told = counted({"prompt_tokens": 10, "output_tokens": 2, "total_tokens": 5})
    assert (told.prompt, told.output, told.contradicted) == (10, 2, True)


def test_a_cache_that_nobody_recorded_is_not_known():
    assert not counted({"prompt_tokens": 10, "cache_write_tokens": 4, "output_tokens": 2}).cache_known
    assert counted({"prompt_tokens": 10, "cached_tokens": 0, "output_tokens": 2}).cache_known


@given(st.fixed_dictionaries({}, optional={name: st.none() | st.integers(0, 50) for name in COUNTS}))
def test_no_token_is_lost(counts):
    try:
        told = counted(counts)
    except ValueError:
        return
    if told.prompt is None or told.output is None:
        assert told.recorded is None
        return
    given_prompt = sum(counts.get(name) or 0 for name in PROMPT)
    total = told.prompt + told.output
    assert told.prompt >= max(given_prompt, counts.get("prompt_tokens") or 0)
    assert told.output >= max(counts["output_tokens"], counts.get("reasoning_tokens") or 0)
    assert total >= (counts.get("total_tokens") or 0)
    if told.recorded is not None:
        assert sum(getattr(told.recorded, name) for name in BUCKETS) == total
        assert min(getattr(told.recorded, name) for name in BUCKETS) >= 0
