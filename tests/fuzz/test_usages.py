"""The fuzz target of usages in short: the corpus itself, and mutations of it that are the same each time."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.usages import examine, examine_object, mutated

CORPUS: Final = sorted(Path(__file__).parent.joinpath("corpus", "usages").iterdir())
MUTATIONS: Final = 60


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_and_what_it_mutates_to(path: Path) -> None:
    examine(path.read_bytes())
    seed, chance = json.loads(path.read_bytes()), random.Random(path.name)
    for _ in range(MUTATIONS):
        examine_object(mutated(seed, chance))


def test_the_corpus_is_small() -> None:
    assert len(CORPUS) >= 30
    assert sum(path.stat().st_size for path in CORPUS) < 20_000
