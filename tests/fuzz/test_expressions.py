"""The fuzz target in short: the corpus itself, and mutations of it that are the same each time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.examination import examine, words

CORPUS: Final = sorted(Path(__file__).parent.joinpath("corpus", "expressions").iterdir())
MUTATIONS: Final = 25
WORDS: Final = [word.encode("utf-8") for word in words()]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_the_corpus_and_what_it_mutates_to(path: Path) -> None:
    seed = path.read_bytes()
    examine(seed)
    chance = random.Random(path.name)
    for _ in range(MUTATIONS):
        examine(mutated(seed, chance))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return some bytes with one to four pieces changed."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((0, 0, 1, 2, 8)))
        other = chance.choice(CORPUS).read_bytes()
        piece = chance.choice((b"", chance.choice(WORDS), chance.randbytes(1), data[end:start], other, data[:20]))
        data = data[:start] + piece + data[end:]
    return data


def test_the_corpus_is_small() -> None:
    assert len(CORPUS) >= 30
    assert sum(path.stat().st_size for path in CORPUS) < 20_000
