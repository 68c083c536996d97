"""The digest changes with what decides, and with nothing else."""

from __future__ import annotations

import pytest

from tests.catalogue.reading import resolved

BODY = """
models:
  a: {family: f, latency_ms: {p50: 100}, prices: [{usd_per_million_tokens: {input: 0.50, output: 2}}]}
  b: {labels: {x: "1", y: "2"}, price_as: a}
"""
SAME = """
# the same in other words
models:
  b:
    prices:
      - usd_per_million_tokens: {output: 2.0, input: 0.5, cache_read: 0.5}
    labels: {y: "2", x: "1"}
  a:
    prices: [{usd_per_million_tokens: {output: 2, input: 5e-1}}]
    latency_ms: {p50: 100.0}
    family: "f"
"""


def digest(body: str) -> str:
    result = resolved(body)
    assert result.diagnostics == ()
    return result.catalogue.digest


def test_form_does_not_count() -> None:
    assert digest(BODY) == digest(SAME)
    assert len(digest(BODY)) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.50", "0.51"),
        ("family: f", "family: g"),
        ("p50: 100", "p50: 101"),
        ('x: "1"', 'x: "3"'),
        ("  b:", "  c:"),
        ("price_as: a", "price_as: a, external: false"),
        ("price_as: a", "price_as: a, aliases: [d]"),
        ("price_as: a", "price_as: a, deprecated: 2030-01-01"),
        ("price_as: a", "price_as: a, capabilities: []"),
        ("input: 0.50", "input: 0.50, cache_read: 0.1"),
    ],
)
def test_what_decides_counts(old: str, new: str) -> None:
    assert digest(BODY) != digest(BODY.replace(old, new, 1))
