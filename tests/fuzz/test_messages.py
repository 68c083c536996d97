"""The fuzz target of messages in short: every shape, parts of several, and anything at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.tokens import KEY_KINDS, MEDIA_TYPES
from tests.fuzz.messages import ADDRESS, examine_bytes, examine_messages
from tests.rewrites.dialects import PNG, holding

ADDRESSES = (
    ADDRESS,
    "bo\u200bb@example.com",
    "\uff42\uff4f\uff42\uff20example.com",
    "see bob [at] example.com",
    "https://x.org/?who=bob%40example.com",
    '{"a": "bob\\u0040example.com"}',
    '{"a": "bob@example.com", "a": 1}',
)
SHAPES = sorted(holding(""))

texts = st.text(max_size=30) | st.sampled_from(
    [*ADDRESSES, "x", "", "data:text/plain,bob@example.com", "a\n    b\n\tc", "\\n\\n", "naïve", "{}", '"', "a" * 200]
)
keys = st.text(max_size=3) | st.sampled_from([*KEY_KINDS, "unknown", "payload", "url", "bytes", ADDRESS, "result"])
leaves = texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)
kinds = st.sampled_from([*MEDIA_TYPES, "text", "tool_use", "tool_result", "document", "thinking", "reasoning", "new"])
parts = st.builds(lambda kind, more: {**more, "type": kind}, kinds, st.dictionaries(keys, values, max_size=4))
messages = st.one_of(
    st.builds(
        lambda role, key, content, more: {**more, "role": role, key: content},
        st.sampled_from(["user", "assistant", "tool", "model", "system"]),
        st.sampled_from(["content", "parts", "output", "tool_calls", "message", "unknown"]),
        st.lists(parts | values, max_size=3) | values,
        st.dictionaries(keys, values, max_size=2),
    ),
    parts,
    values,
)
params = st.dictionaries(st.sampled_from(["user", "metadata", "x"]), values, max_size=2)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_with_every_disguise(shape: str, address: str) -> None:
    examine_messages([holding(address)[shape]])


@given(st.lists(messages, max_size=3), params)
def test_anything_at_all(given_messages: list[Any], given_params: dict[str, Any]) -> None:
    examine_messages(given_messages, given_params)


@given(st.binary(max_size=200))
def test_bytes(data: bytes) -> None:
    examine_bytes(data)


@pytest.mark.parametrize("message", [{"role": "user", "content": b"bob@example.com"}, {"role": "user", "x": {b"a": 1}}])
def test_what_json_does_not_have(message: Any) -> None:
    examine_messages([message])


def test_pictures_stay() -> None:
    examine_messages([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": PNG}}]}])


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parent.joinpath("corpus", "messages").iterdir()), ids=lambda path: path.name
)
def test_the_corpus(path: Path) -> None:
    examine_bytes(path.read_bytes())
