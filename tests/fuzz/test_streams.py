"""The fuzz target of streams in short: whole streams, parts of several, and mutations of them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.streams import CHUNKS, ENDINGS, examine_bytes, examine_stream, mutated
from tests.guard.stream_shapes import STREAMS, as_objects

pytestmark = pytest.mark.filterwarnings("error")

_NUMBERS = st.lists(st.integers(0, len(CHUNKS) - 1), max_size=8)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", STREAMS)
def test_every_beginning_of_every_stream(shape, ending):
    chunks = STREAMS[shape]
    for length in range(len(chunks) + 1):
        examine_stream(chunks[:length], ending)


@settings(deadline=None)
@given(_NUMBERS, st.sampled_from(ENDINGS), st.integers(0, 2**32), st.floats(0, 1), st.booleans())
def test_parts_of_several_streams_mutated(numbers, ending, seed, share, objects):
    chance = random.Random(seed)
    chunks = [CHUNKS[number] for number in numbers]
    chunks = [mutated(chunk, chance) if chance.random() < share else chunk for chunk in chunks]
    examine_stream(list(map(as_objects, chunks)) if objects else chunks, ending)


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
_ANYTHING = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@settings(deadline=None)
@given(_ANYTHING, st.sampled_from(ENDINGS))
def test_anything_at_all(value, ending):
    examine_stream([value, value], ending)


@settings(deadline=None)
@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(1, 400), min_size=1), st.sampled_from(ENDINGS))
def test_the_wire_split_anywhere(shape, sizes, ending):
    """As bytes: characters, lines and events in pieces."""
    events = [event if isinstance(event, str) else json.dumps(event, default=str) for event in STREAMS[shape]]
    data = "".join(f"data: {event}\n\n" for event in events).encode()
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    examine_stream([*pieces, data], ending)


@given(st.binary(max_size=200))
def test_bytes(data):
    examine_bytes(data)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.joinpath("corpus", "streams").iterdir()), ids=lambda path: path.name
)
def test_the_corpus(path):
    examine_bytes(path.read_bytes())
