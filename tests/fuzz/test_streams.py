"""The fuzz target of streams in short: whole streams, parts of several, and mutations of them."""

from __future__ import annotations

import json
import random
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.guard.streams import StreamMeter
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


_WHOLE = st.sampled_from(["anthropic", "openai chat", "gemini", "ollama"])
_SIZES = st.lists(st.integers(1, 60), min_size=1)


@settings(deadline=None)
@given(_WHOLE, _SIZES, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_the_wire_says_the_same_however_it_is_split(shape, sizes, lines, end):
    """As bytes or as texts, as events or as lines of JSON: the usage is found, and nothing that is not understood."""
    texts = [json.dumps(chunk) for chunk in STREAMS[shape]]
    whole = end.join(texts) if lines else "".join(f"event: x{end}data: {text}{end}{end}" for text in texts)
    data = (whole + end).encode()
    pieces = []
    for size in cycle(sizes):
        if not data:
            break
        pieces.append(data[:size])
        data = data[size:]
    for chunks in (pieces, [] if lines else _as_texts(pieces)):
        meter = StreamMeter()
        for chunk in chunks:
            meter.see(chunk)
        meter.end("ended")
        assert meter.is_complete or not chunks
        assert not any(answer.unknown for answer in meter.answers)


def _as_texts(pieces):
    """Return the same as texts; the first is long enough to tell what they are."""
    text = b"".join(pieces).decode()
    pieces = [text[:7]]
    text = text[7:]
    while text:
        pieces.append(text[: len(pieces) * 7 % 31 + 1])
        text = text[len(pieces[-1]) :]
    return pieces


@given(st.binary(max_size=200))
def test_bytes(data):
    examine_bytes(data)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.joinpath("corpus", "streams").iterdir()), ids=lambda path: path.name
)
def test_the_corpus(path):
    examine_bytes(path.read_bytes())
