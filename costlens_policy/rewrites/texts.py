"""Every text of a request, wherever it stands: changed by one function."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from costlens_policy.rewrites.content import Content, Message
from costlens_policy.rewrites.errors import BAD_SHAPE, RewriteError
from costlens_policy.rewrites.shapes import SYSTEM_ROLES, TOOL_ROLES, is_list, kind_of, role_of
from costlens_policy.rewrites.values import Transform, map_call, map_value
from costlens_policy.tokens import MEDIA

__all__ = ["TextMapping"]

_MESSAGE_TEXTS: Final = ("refusal", "reasoning", "reasoning_content")
_CALLS: Final = ("tool_calls", "function_call")
_STEERING: Final = frozenset({"type", "id", "tool_use_id", "name", "cache_control", "signature", "encrypted_content"})
"""Keys of parts that speak to the provider; they hold no words of a person."""


@dataclass(frozen=True, slots=True)
class TextMapping:
    """Applies a function to the prompt, the system text, and in messages to contents, tool calls and tool results.

    ``roles`` are those whose texts are meant, of ``system``, ``user``, ``assistant`` and ``tool``; empty means all
    texts, those of other roles too. A prompt is a user's text, a tool result a tool's, whatever message carries it.
    ``numbers`` says whether whole numbers in tool calls count as texts. Images, audio and files are left alone.
    ``note`` is told each place where something changed, right after it did.
    """

    transform: Transform
    note: Callable[[str], None]
    roles: frozenset[str] = frozenset()
    numbers: bool = False

    def apply(self, content: Content) -> Content:
        """Return the content afterwards; the same object where no text changed.

        Raises ``RewriteError`` for messages whose texts cannot be told from the rest.
        """
        try:
            return self._apply(content)
        except RecursionError:
            raise RewriteError(BAD_SHAPE, "the messages are nested too deeply") from None

    def _apply(self, content: Content) -> Content:
        system, params, prompt, messages = content.system, content.params, content.prompt, content.messages
        if system is not None and self._means("system"):
            system = self._noted(system, self.transform(system), "system")
        if (given := params.get("system")) is not None:
            text = self._noted(given, self._texts(given, "system", "params.system"), "params.system")
            params = params if text is given else {**params, "system": text}
        if prompt is not None and self._means("user"):
            prompt = self._noted(prompt, self.transform(prompt), "prompt")
        if messages is not None:
            mapped = tuple(self._message(message, index) for index, message in enumerate(messages))
            messages = messages if all(map(operator.is_, mapped, messages)) else mapped
        result = Content(prompt, messages, params, system)
        return content if result == content else result

    def _means(self, role: str) -> bool:
        return not self.roles or role in self.roles

    def _noted(self, old: Any, new: Any, where: str) -> Any:
        """Return the new value and note its place, or the old one where they are equal."""
        if new == old:
            return old
        self.note(where)
        return new

    def _message(self, message: Message, index: int) -> Message:
        where = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise RewriteError(BAD_SHAPE, f"`{where}` is not an object")
        role = _speaker(message)
        updates: dict[str, Any] = {}
        if (content := message.get("content")) is not None:
            updates["content"] = self._texts(content, role, f"{where}.content")
        if self._means(role):
            for key in _MESSAGE_TEXTS:
                if message.get(key) is not None:
                    updates[key] = map_value(message[key], self.transform, self.numbers)
            for key in _CALLS:
                if message.get(key) is not None:
                    updates[key] = map_call(message[key], self.transform, self.numbers)
        return self._noted(message, {**message, **updates}, where) if updates else message

    def _texts(self, content: Any, role: str, where: str) -> Any:
        """Return a text or a list of parts with the texts changed; the same object where nothing changed."""
        if isinstance(content, str):
            return self.transform(content) if self._means(role) else content
        if not is_list(content):
            raise RewriteError(BAD_SHAPE, f"`{where}` is neither a text nor a list of parts")
        parts = [self._part(part, role, where) for part in content]
        if all(new is old for new, old in zip(parts, content, strict=True)):
            return content
        return [part for part in parts if part is not None]

    def _part(self, part: Any, role: str, where: str) -> Any:
        """Return a part with its texts changed; None for one that can only be dropped."""
        kind = kind_of(part)
        if kind in MEDIA or kind == "redacted_thinking" or part is None:
            return part
        if kind == "tool_result":
            return self._result(part, where)
        if not self._means(role):
            return part
        if not isinstance(part, (str, Mapping)):
            raise RewriteError(BAD_SHAPE, f"`{where}` holds a part that is neither a text nor an object")
        if kind == "thinking":
            # Its signature covers the text: a changed one is refused, a missing one is not.
            return part if map_value(part, self.transform, False) is part else None
        if isinstance(part, str):
            return map_value(part, self.transform, False)
        return self._entries(part, kind)

    def _result(self, part: Mapping[str, Any], where: str) -> Any:
        content = part.get("content")
        texts = None if content is None else self._texts(content, "tool", where)
        return part if texts == content else {**part, "content": texts}

    def _entries(self, part: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
        """Change every text in a part, except what steers the provider and what is not text."""
        numbers = self.numbers and kind == "tool_use"
        updates = {}
        for key, value in part.items():
            if key in _STEERING or (key == "source" and not _is_text_source(value)):
                continue
            if (new := map_value(value, self.transform, numbers)) is not value:
                updates[key] = new
        return {**part, **updates} if updates else part


def _is_text_source(source: Any) -> bool:
    return kind_of(source) in ("text", "content") or not isinstance(source, Mapping)


def _speaker(message: Mapping[str, Any]) -> str:
    """Return whose texts a message holds, in the words of ``roles``."""
    role = role_of(message)
    if role in SYSTEM_ROLES:
        return "system"
    return "tool" if role in TOOL_ROLES else role
