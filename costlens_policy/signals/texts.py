"""The texts of a request that a signal reads: the last message of the user, all of the user's, or all messages.

Texts of messages are found in the shapes of OpenAI, Anthropic and Gemini. What a tool returned is no message of the
user, though some providers put it into one; images, sound and files have no text.

Where all messages are the user's, nothing was answered in between: they are the inputs of one call, such as the texts
of an embedding, of which each goes to the model, and so none is the last.

The text of the system can stand outside of the messages, as Anthropic and OpenAI's Responses have it: what comes as the
parameter `system` is the first of all messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

__all__ = ["Reads", "text_of"]

Reads: TypeAlias = Literal["last_user_message", "user_messages", "all_messages"]

_USERS: Final = frozenset({"user", "human"})
_OF_TOOLS: Final = frozenset({"tool_result", "tool_use", "function_call", "function_call_output", "toolResult"})
_TEXTS: Final = ("text", "content", "parts", "input", "output")
_MOST_LEVELS: Final = 16


def text_of(request: Mapping[str, Any], reads: Reads, longest: int) -> str | None:
    """Return the text that a signal reads, at most ``longest`` characters from its beginning.

    Messages stand one below the other. None where the request comes without such a text.
    """
    prompt, messages = request.get("prompt"), request.get("messages")
    system = _system_of(request) if reads == "all_messages" else ()
    if system and isinstance(prompt, str):
        return _one_below_the_other((*system, prompt), _of_anyone, longest)
    if isinstance(prompt, str):
        return prompt[:longest]
    if not isinstance(messages, list | tuple):
        return _one_below_the_other(system, _of_anyone, longest) or None
    messages = [*system, *messages]
    read = _of_anyone if reads == "all_messages" else _of_user
    if reads == "last_user_message" and not all(map(_is_of_user, messages)):
        text = next((text for item in reversed(messages) if (text := read(item, longest))), "")
    else:
        text = _one_below_the_other(messages, read, longest)
    if not text:
        concerned = messages if reads == "all_messages" else filter(_is_of_user, messages)
        return "" if any(isinstance(item, Mapping) and item.get("content") == "" for item in concerned) else None
    return text


def _system_of(request: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the text of the system that a request has as a parameter, as a message; nothing without one."""
    params = request.get("params")
    given = params.get("system") if isinstance(params, Mapping) else None
    return ({"role": "system", "content": given},) if given else ()


def _one_below_the_other(messages: Iterable[Any], read: Callable[[Any, int], str], longest: int) -> str:
    found: list[str] = []
    left = longest
    for item in messages:
        if left <= 0:
            break
        if text := read(item, left):
            found.append(text)
            left -= len(text) + 1
    return "\n".join(found)[:longest]


def _is_of_user(message: Any) -> bool:
    if not isinstance(message, Mapping):
        return True
    role = message.get("role", "user")
    return isinstance(role, str) and role in _USERS


def _of_user(message: Any, longest: int) -> str:
    if not _is_of_user(message):
        return ""
    if isinstance(message, Mapping):
        if _is_of_tools(message):
            return ""
        content = message.get("content")
        if isinstance(content, str):
            return content[:longest]
    return _joined(_texts(message, tools=False), longest)


def _of_anyone(message: Any, longest: int) -> str:
    return _joined(_texts(message, tools=True), longest)


def _joined(texts: Iterator[str], longest: int) -> str:
    found: list[str] = []
    left = longest
    for text in texts:
        found.append(text[:left])
        left -= len(text) + 1
        if left <= 0:
            break
    return "\n".join(found)


def _texts(value: Any, *, tools: bool, levels: int = _MOST_LEVELS) -> Iterator[str]:
    """Yield the texts of a message, or of a part of one, in order."""
    if isinstance(value, str):
        if value:
            yield value
    elif levels and isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, tools=tools, levels=levels - 1)
    elif levels and isinstance(value, Mapping) and (tools or not _is_of_tools(value)):
        for key in _TEXTS:
            if key in value:
                yield from _texts(value[key], tools=tools, levels=levels - 1)


def _is_of_tools(part: Mapping[Any, Any]) -> bool:
    kind = part.get("type")
    return (isinstance(kind, str) and kind in _OF_TOOLS) or "toolResult" in part or "functionResponse" in part
