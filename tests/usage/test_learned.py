"""What was learned of a shape reads as the reader of everything does, whatever the numbers are."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from costlens_policy.usage import UsageError, read_usage
from costlens_policy.usage.learned import _KNOWN, _MOST_KNOWN, known
from tests.fuzz.usages import mutated
from tests.usage.test_reading import CASES, NEIGHBORS

CORPUS: Final = sorted(Path(__file__).parents[1].joinpath("fuzz", "corpus", "usages").iterdir())
AT_LENGTH: Final = {"opentelemetry", "cohere", "perplexity", "other"}
"""Shapes whose numbers say which of them count, or that have texts of their own."""
ODD: Final = (0, 1, -1, 10**11, 7, 1_000, 0.0, 2.5, float("nan"))


def _read(value: Any) -> Any:
    try:
        return read_usage(value)
    except UsageError as error:
        return str(error)


def _anew(value: Any) -> Any:
    _KNOWN.clear()
    return _read(value)


def _with_numbers(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_numbers(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item, change) for item in value]
    return change(value) if type(value) in (int, float) else value


def _variants(value: Any, chance: random.Random) -> Iterator[Any]:
    """Yield a usage with other numbers: all so many times larger, nothing, some replaced, and all of them."""
    for factor in (2, 3, 0):
        yield _with_numbers(value, lambda number, factor=factor: number * factor)
    for share in (0.1, 0.3, 1):
        yield _with_numbers(
            value, lambda number, share=share: chance.choice(ODD) if chance.random() < share else number
        )


@pytest.mark.parametrize(
    "seed", [*(json.loads(path.read_bytes()) for path in CORPUS), *(fields for _, fields, _ in NEIGHBORS)]
)
def test_what_was_learned_agrees_with_the_reader_of_everything(seed: Any) -> None:
    chance = random.Random(json.dumps(seed))
    for value in (seed, *(mutated(seed, chance) for _ in range(15))):
        for other in _variants(value, chance):
            expected = _anew(other)
            assert _read(other) == expected  # learned from itself
            _anew(value)
            assert _read(other) == expected, (value, other)  # learned from another


@pytest.mark.parametrize(("shape", "fields"), [case[:2] for case in CASES], ids=[case[0] for case in CASES])
def test_shapes_of_providers_are_learned(shape: str, fields: dict[str, Any]) -> None:
    _anew(fields)
    assert any(learned.tokens for learned in known(None, fields)) == (shape not in AT_LENGTH)


def test_a_service_that_sends_ever_new_shapes_fills_no_memory() -> None:
    _KNOWN.clear()
    for number in range(2 * _MOST_KNOWN):
        _read({"prompt_tokens": 10, "completion_tokens": 5, f"new_{number}": 0})
    assert 0 < len(_KNOWN) <= _MOST_KNOWN
    known_before = len(_KNOWN)
    for more in ({"x" * 10_000: None}, dict.fromkeys(map(str, range(10_000)))):
        _read({"prompt_tokens": 10, "completion_tokens": 5, **more})
    assert len(_KNOWN) == known_before
