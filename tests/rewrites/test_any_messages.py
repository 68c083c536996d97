"""Whatever JSON is given as messages: no address gets through a redaction, no text counts as nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.rewrites import Content, RewriteError, content_tokens
from costlens_policy.tokens import ESTIMATE, MEDIA_TYPES, PLACES, Place, Tally
from tests.rewrites.dialects import PNG, holding
from tests.rewrites.making import step

REDACT = step(redact={"kinds": ["email", "phone", "credit_card"]})
ADDRESSES = (
    "bob@example.com",
    "bo\u200bb@example.com",
    "\uff42\uff4f\uff42\uff20example.com",
    "see bob [at] example.com",
    "https://x.org/?who=bob%40example.com",
    '{"a": "bob\\u0040example.com"}',
    '{"a": "bob@example.com", "a": 1}',
)
SHAPES = sorted(holding(""))

texts = st.sampled_from([*ADDRESSES, "x", "", "data:text/plain,bob@example.com", PNG, "text", "a" * 200])
keys = st.sampled_from([*PLACES, "unknown", "payload", "url", "bytes", "bob@example.com", "result", "tools"])
leaves = texts | st.none() | st.booleans() | st.integers() | st.binary(max_size=4) | st.just(b"bob@example.com")
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
    st.builds(lambda shape, text: holding(text)[shape], st.sampled_from(SHAPES), texts),
)


def shown(value: Any) -> Iterator[str]:
    """Yield every text in a value, names of keys and what is written in bytes or base64 too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from shown(key)
            yield from shown(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from shown(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")


@given(st.lists(messages, max_size=3), st.dictionaries(st.sampled_from(["user", "metadata", "x"]), values, max_size=2))
def test_no_address_is_left_or_the_rewrite_fails(given_messages: list[Any], params: dict[str, Any]) -> None:
    try:
        after, _ = REDACT.apply(Content(None, tuple(given_messages), params), ())
    except RewriteError as error:
        told = (error.code, "example" in str(error))
        assert told == ("CL952", False)
        return
    for text in shown((after.messages, after.params)):
        for address in ("bob@", "@example", "bob%40", "\uff20", "u0040", "[at]", "b@example"):
            assert address not in text, after


@given(st.lists(messages, max_size=3))
def test_redacted_messages_are_counted_like_any(given_messages: list[Any]) -> None:
    content = Content(None, tuple(given_messages), {})
    assert content_tokens(content, Tally(ESTIMATE)) >= 4 * len(given_messages)


def test_a_text_file_stays_a_file() -> None:
    encoded = base64.b64encode(b"a,bob@example.com\n" * 20).decode()
    part = {"type": "file", "file": {"filename": "a.csv", "file_data": f"data:text/csv;base64,{encoded}"}}
    after, (change,) = REDACT.apply(Content(None, ({"role": "user", "content": [part]},), {}), ())
    data = json.loads(json.dumps(after.messages))[0]["content"][0]["file"]["file_data"]
    head, _, body = data.partition(",")
    assert head == "data:text/csv;base64"
    assert base64.b64decode(body) == b"a,[email]\n" * 20
    assert change.counts == (("email", 20),)


def test_every_kind_of_place_is_there() -> None:
    assert set(PLACES.values()) == set(Place)
