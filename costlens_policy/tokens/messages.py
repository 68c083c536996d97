"""Tokens of chat messages, in the shapes of all providers. What is not known is counted as its JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from costlens_policy.errors import RequestError
from costlens_policy.tokens.places import (
    KEY_KINDS,
    PAYLOADS,
    REFERENCES,
    KeyKind,
    bytes_tokens,
    data_tokens,
    is_data,
    media_kind,
    media_of_key,
)
from costlens_policy.tokens.tokenizers import ESTIMATED, TokenCount, Tokenizer

__all__ = ["MESSAGE_TOKENS", "REPLY_TOKENS", "TOOLS_TOKENS", "TokenCounter", "count_messages"]

MESSAGE_TOKENS: Final = 4
"""What a message takes beside its content: its role and the marks around it."""
REPLY_TOKENS: Final = 3
"""What a conversation takes beside its messages: the marks that open the reply."""
TOOLS_TOKENS: Final = 804
"""The system prompt that comes with any tools, at the most that a provider documents, for each model the same.

Source: Claude API documentation, "Tool use", "Pricing": from 159 (Claude 3 Sonnet, ``auto``) to 804 tokens (Claude Opus
4.7 with ``tool_choice`` ``any`` or ``tool``). OpenAI and Google document none.
"""
_PROVIDERS_TOOL: Final = 1234
"""A tool that the provider defines, so that its description is not in the request.

Source: Claude API documentation, "Computer use tool": 735 tokens for the definition and up to 499 for the system
prompt, the largest of the single tools (``bash`` 245, ``text_editor`` 700). For those of other providers no figure is
documented, and this one is our upper bound.
"""
_PROVIDERS_TOOLSET: Final = 7000
"""A set of such tools under one name: our upper bound, above what Anthropic's ``browser_toolset`` (about 6,600 tokens)
and ``computer_toolset`` (about 4,500) are said to take."""
_USUAL: Final = frozenset({"role", "content"})
_SHORT_MARK: Final = 128
_BLANK: Final = re.compile(r"\s")
_FEW_MARKS: Final = 4
_DEFINITIONS: Final = ("input_schema", "parameters", "function", "inputSchema", "toolSpec", "parameter_definitions",
                       "functionDeclarations", "function_declarations", "custom")  # fmt: skip


def count_messages(messages: Iterable[Any], tokenizer: Tokenizer) -> TokenCount:
    """Return the tokens of a conversation. What has an unknown shape is counted as its JSON text.

    The basis is ``estimate`` as soon as there is an image, a clip or a file. Raises ``RequestError`` for a message
    nested without end.
    """
    tally = TokenCounter(tokenizer)
    total = REPLY_TOKENS + sum(tally.message(message) for message in messages)
    return TokenCount(total, tally.basis)


def _hidden(tool: Any) -> int:
    """Return the tokens of a tool that are not in the request, since its provider describes it."""
    if not isinstance(tool, Mapping):
        return _PROVIDERS_TOOL
    if "toolset" in str(tool.get("type", "")):
        return _PROVIDERS_TOOLSET
    return 0 if any(key in tool for key in _DEFINITIONS) else _PROVIDERS_TOOL


class TokenCounter:
    """Counts the parts of one request, and remembers whether all of them could really be counted."""

    __slots__ = ("_count", "basis")

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._count = tokenizer.count
        self.basis = tokenizer.name

    def text(self, text: str) -> int:
        return self._count(text)

    def message(self, message: Any) -> int:
        """Return the tokens of one message, or item of OpenAI's Responses API, with the marks around it."""
        if type(message) is dict and message.keys() == _USUAL and type(text := message["content"]) is str:
            return MESSAGE_TOKENS + self._mark(message["role"]) + self._count(text)
        if not isinstance(message, Mapping):
            return MESSAGE_TOKENS + self.value(message)
        return MESSAGE_TOKENS + self._guarded(self._entry, message)

    def content(self, content: Any) -> int:
        """Return the tokens of a text or of a list of parts."""
        if isinstance(content, str):
            return self._count(content)
        return self._guarded(self._parts, content)

    def value(self, value: Any) -> int:
        """Return the tokens of any JSON value: a text as it is, nothing for none, all else as JSON."""
        if isinstance(value, str):
            return self._count(value)
        if value is None:
            return 0
        return self._guarded(self._json, value)

    def tools(self, tools: Any) -> int:
        """Return the tokens of tools: their JSON, and what providers add to a request that has any."""
        if not tools:
            return 0
        listed = tools if isinstance(tools, Sequence) and not isinstance(tools, str) else (tools,)
        return self.value(tools) + TOOLS_TOKENS + sum(map(_hidden, listed))

    def form(self, form: Any) -> int:
        """Return the tokens of the form that an answer is to have: its schema, under whatever key it stands."""
        if not isinstance(form, Mapping):
            return self._guarded(self._mark, form)
        rest = {key: value for key, value in form.items() if key != "type"}
        schema = rest["json_schema"] if rest.keys() == {"json_schema"} else rest
        return self._guarded(self._mark, form.get("type")) + (self.value(schema) if rest else 0)

    def _guarded(self, count: Any, value: Any) -> int:
        try:
            tokens: int = count(value)
        except (TypeError, ValueError, RecursionError):
            raise RequestError(
                ("an object in the request is nested without end or has keys that are not text",)
            ) from None
        return tokens

    def _json(self, value: Any) -> int:
        """Count a value as its JSON, in which texts stand as they are: an escaped line end would count as less."""
        text = json.dumps(value, ensure_ascii=False, default=str)
        if "\\" in text:
            text = text.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
            text = text.replace('\\"', '"').replace("\0", "\\")
        return self._count(text)

    def _parts(self, content: Any) -> int:
        if isinstance(content, str):
            return self._count(content)
        if isinstance(content, Mapping):
            return self._part(content)
        if isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
            return sum(self._part(part) for part in content)
        return self.value(content)

    def _part(self, part: Any) -> int:
        if not isinstance(part, Mapping):
            return self.value(part)
        calls = part.get("type") in ("tool_use", "tool_result")
        return self._entry(part) + (MESSAGE_TOKENS if calls else 0)

    def _entry(self, item: Any) -> int:
        """Count the values of a message, item or part by their keys; what no row names, as JSON."""
        if not isinstance(item, Mapping):
            return self.value(item)
        if (kind := media_kind(item)) is not None:
            return self._media(item, kind)
        total = 0
        unknown: dict[Any, Any] = {}
        for key, value in item.items():
            place = KEY_KINDS.get(key) if type(key) is str else None
            if place is None:
                unknown[key] = value
            elif value is not None:
                total += self._at(place, key, value)
        return total + (self._json(unknown) if unknown else 0)

    def _at(self, place: KeyKind, key: str, value: Any) -> int:
        match place:
            case KeyKind.PARTS:
                return self._parts(value)
            case KeyKind.MARK:
                return self._mark(value)
            case KeyKind.CALLS:
                calls = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
                return sum(MESSAGE_TOKENS + self._entry(call) for call in calls)
            case KeyKind.ENTRY:
                return self._entry(value)
            case KeyKind.MEDIA:
                items = value if isinstance(value, list | tuple) else (value,)
                return sum(self._under(key, item) for item in items)
        return self.value(value)

    def _under(self, key: str, value: Any) -> int:
        kind = media_of_key(key, value)
        return self._entry(value) if kind is None else self._media(value, kind)

    def _mark(self, value: Any) -> int:
        """Return nothing for a short word or number that speaks to the provider."""
        if isinstance(value, str):
            return 0 if len(value) <= _SHORT_MARK and not _BLANK.search(value) else self._count(value)
        if isinstance(value, Mapping):
            few = len(value) <= _FEW_MARKS and not any(
                isinstance(item, Mapping | list | tuple) for item in value.values()
            )
            return sum(self._mark(item) for pair in value.items() for item in pair) if few else self._json(value)
        return 0 if value is None or isinstance(value, bool | int | float) else self._json(value)

    def _media(self, value: Any, kind: str) -> int:
        """Count images, clips and files by their bytes, else as one that is referred to; beside them, their texts."""
        sizes: list[int] = []
        texts = self._around(value, kind, True, sizes)
        return texts + self._sized(sum(sizes) or REFERENCES[kind])

    def _around(self, value: Any, kind: str, payload: bool, sizes: list[int]) -> int:
        """Count the texts around bytes, and put the sizes of the bytes into ``sizes``."""
        if isinstance(value, str):
            if is_data(value, in_media=payload):
                sizes.append(data_tokens(value, kind, self._count))
                return 0
            return self._count(value)
        if isinstance(value, bytes | bytearray):
            sizes.append(bytes_tokens(bytes(value), kind, self._count))
            return 0
        if isinstance(value, Mapping):
            total = 0
            for key, item in value.items():
                place = KEY_KINDS.get(key) if type(key) is str else None
                if place is KeyKind.MARK:
                    total += self._mark(item)
                else:
                    known = place is not None or key in PAYLOADS
                    total += 0 if known else self._count(str(key))
                    total += self._around(item, kind, key in PAYLOADS, sizes)
            return total
        if isinstance(value, Sequence):
            return sum(self._around(item, kind, payload, sizes) for item in value)
        return self.value(value)

    def _sized(self, tokens: int) -> int:
        self.basis = ESTIMATED
        return tokens
