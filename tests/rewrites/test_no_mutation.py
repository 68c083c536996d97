"""Nothing that a caller gave is ever modified."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.rewrites import Content, RewriteError, content_tokens
from costlens_policy.tokens import ESTIMATE, TokenCounter
from tests.rewrites.making import step

OPERATIONS: list[dict[str, Any]] = [
    {"system": {"text": "X"}},
    {"system": {"text": "X", "place": "before"}},
    {"system": {"text": "X", "place": "replace"}},
    {"prefix": {"text": "X"}},
    {"suffix": {"text": "X"}},
    {"template": {"text": "<{{ prompt }}>"}},
    {"drop_examples": {"begin": "a", "end": "b"}},
    {"trim_history": {"max_prompt_tokens": 20}},
    {"shorten_tool_output": {"max_tokens": 3, "marker": "~"}},
    {"replace": {"pattern": "[a-c]", "text": "x"}},
    {"redact": {"kinds": ["email", "phone", "credit_card"]}},
    {"set_params": {"system": "s", "max_tokens": 5}},
    {"clamp_params": {"max_tokens": {"max": 3}}},
    {"remove_params": ["max_tokens", "system"]},
    {"remove_tools": {"names": ["a*"]}},
]

words = st.sampled_from(["abc", "a@b.org", "4111111111111111", "", "long " * 30, '{"a": "a@b.org"}', "\ud800"])
leaves = st.one_of(words, st.none(), st.integers(), st.booleans(), st.floats(allow_nan=False))
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
parts = st.one_of(
    st.builds(lambda value: {"type": "text", "text": value}, words),
    st.builds(lambda value: {"type": "tool_result", "tool_use_id": "t", "content": value}, words | anything),
    st.builds(lambda value: {"type": "tool_use", "id": "t", "name": "f", "input": value}, anything),
    st.builds(lambda kind, value: {"type": kind, "data": value}, st.sampled_from(["image", "thinking", "x"]), anything),
    anything,
)
calls = st.builds(lambda value: [{"id": "c", "function": {"name": "f", "arguments": value}}], words | anything)
messages = st.one_of(
    st.builds(
        lambda role, content, more: {"role": role, "content": content, **more},
        st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "x", None]),
        st.one_of(words, st.lists(parts, max_size=3), anything),
        st.one_of(st.just({}), st.builds(lambda value: {"tool_calls": value}, calls | anything)),
    ),
    anything,
)
params = st.dictionaries(st.sampled_from(["system", "max_tokens", "tools", "n"]), anything, max_size=3)
named = st.builds(lambda name: {"type": "function", "function": {"name": name}}, st.sampled_from(["a", "b"]))
asking = st.dictionaries(st.sampled_from(["tool_choice", "parallel_tool_calls"]), anything | named)
contents = st.one_of(
    st.builds(lambda tools, given: Content("x", None, given, None, tuple(tools)), st.lists(named | anything), asking),
    st.builds(lambda value, given: Content(value, None, given), words, params),
    st.builds(lambda value, given: Content(None, tuple(value), given), st.lists(messages, max_size=5), params),
)


@given(contents, st.sampled_from(OPERATIONS))
def test_every_operation_on_every_shape(content: Content, operation: dict[str, Any]) -> None:
    before = copy.deepcopy(content)
    try:
        after, made = step(**operation).apply(content, ())
    except RewriteError as error:
        assert error.code in ("CL951", "CL952")  # noqa: PT017 - both outcomes are fine, a change of the input is not
    else:
        assert after is content or made
        assert content_tokens(after, TokenCounter(ESTIMATE)) >= 0
    assert content == before
