"""What must hold of any JSON as messages: no text counts as nothing, and no address gets through a redaction."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from costlens_policy.errors import RequestError
from costlens_policy.rewrites import Content, RewriteError
from costlens_policy.tokens import ESTIMATE, KEY_KINDS, KeyKind, count_messages, text_in_data
from tests.rewrites.dialects import PDF, PNG
from tests.rewrites.making import step

__all__ = ["ADDRESS", "LEFT", "examine_bytes", "examine_messages"]

ADDRESS: Final = "bob@example.com"
LEFT: Final = ("bob@", "@example", "bob%40", "\uff20", "u0040", "[at]", "b@example")
"""Pieces of the address, in each of its disguises, that may not be left."""
_REDACT: Final = step(redact={"kinds": ["email", "phone", "credit_card"]})
_FILES: Final = (PNG, PDF)
"""Bytes in base64, which are counted by what they hold."""
_FREE: Final = (KeyKind.MARK, KeyKind.SEALED)
_SHORT: Final = 128
_JOINED: Final = 0.9
"""Texts that are counted in one piece may have some tokens fewer than each by itself."""


def examine_bytes(data: bytes) -> None:
    """Take bytes for JSON messages, one a line; a line that is no JSON is the text of one."""
    examine_messages([_read(line) for line in data.decode("utf-8", "replace").split("\n")])


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return {"role": "user", "content": line}


def examine_messages(messages: Sequence[Any], params: Mapping[str, Any] | None = None) -> None:
    """Raise AssertionError where messages count as less than their texts, or an address is left in them."""
    _examine_count(messages)
    _examine_redaction(messages, params or {})


def _examine_count(messages: Sequence[Any]) -> None:
    try:
        tokens = count_messages(messages, ESTIMATE).tokens
    except RequestError:
        return  # refused
    long = (text for text in _words(messages) if len(text) > _SHORT and not text.endswith(_FILES))
    assert tokens >= sum(map(ESTIMATE.count, long)), messages
    words = (text for text in _words([_unmarked(item) for item in messages]) if not text.endswith(_FILES))
    assert tokens >= _JOINED * sum(map(ESTIMATE.count, words)), messages


def _examine_redaction(messages: Sequence[Any], params: Mapping[str, Any]) -> None:
    try:
        after, _ = _REDACT.apply(Content(None, tuple(messages), params), ())
    except RewriteError as error:
        told = (error.code, "example" in str(error))
        assert told in (("CL952", False), ("CL954", False))
        return
    for text in _words((after.messages, after.params)):
        assert not any(piece in text for piece in LEFT), after


def _words(value: Any) -> Iterator[str]:
    """Yield every text and number in a value, names of keys and what text files hold too, in the plainest way."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _words(key)
            yield from _words(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _words(item)
    elif isinstance(value, str):
        inner = text_in_data(value) if ";base64," in value else None
        yield value if inner is None else inner
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _unmarked(value: Any) -> Any:
    """Return a value without what speaks to the provider, and without the names of known keys: these may be free."""
    if isinstance(value, Mapping):
        return [
            _unmarked(item) if key in KEY_KINDS else [key, _unmarked(item)]
            for key, item in value.items()
            if KEY_KINDS.get(key) not in _FREE
        ]
    return [_unmarked(item) for item in value] if isinstance(value, list | tuple) else value
