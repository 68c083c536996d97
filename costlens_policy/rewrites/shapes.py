"""The shapes of chat messages: roles, texts, tool calls and their results, as OpenAI and Anthropic write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from costlens_policy.rewrites.content import Message

__all__ = [
    "SYSTEM_ROLES", "TOOL_ROLES", "after_results", "body_of", "call_ids", "is_anthropic", "is_list", "is_result",
    "is_user_turn", "kind_of", "last_user_turn", "leading_system", "parts_of", "result_ids", "role_of", "speaker_of",
    "text_of", "text_part", "with_content", "with_text",
]  # fmt: skip

SYSTEM_ROLES: Final = frozenset({"system", "developer"})
TOOL_ROLES: Final = frozenset({"tool", "function"})
_SPEAKERS: Final = {"model": "assistant", "chatbot": "assistant", "ai": "assistant", "human": "user"}
_RESULTS: Final = ("functionResponse", "function_response", "toolResult")
_ANTHROPIC_PARTS: Final = frozenset(
    {"tool_use", "tool_result", "image", "document", "thinking", "redacted_thinking", "search_result"}
)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Return whether a value is a list of things, which a text is not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))


def role_of(message: Message) -> str:
    """Return the role of a message; the empty text where there is none."""
    role = message.get("role") if isinstance(message, Mapping) else None
    return role if isinstance(role, str) else ""


def speaker_of(message: Mapping[str, Any]) -> str:
    """Return whose texts a message or an item holds: ``system``, ``user``, ``assistant`` or ``tool``, else its role.

    Items of OpenAI's Responses API have no role: results of tools are a tool's, all else the assistant wrote. Gemini
    calls it ``model``, Cohere once wrote roles in capitals.
    """
    role = role_of(message).lower()
    if not role:
        kind = kind_of(message)
        return "" if not kind else "tool" if kind.endswith(("_output", "_result", "_response")) else "assistant"
    if role in SYSTEM_ROLES:
        return "system"
    return "tool" if role in TOOL_ROLES else _SPEAKERS.get(role, role)


def kind_of(part: Any) -> str:
    """Return the type of a part; the empty text where there is none."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind if isinstance(kind, str) else ""


def body_of(message: Mapping[str, Any]) -> Any:
    """Return what a message says: its ``content``, with Gemini its ``parts``."""
    return message.get(_body_key(message))


def _body_key(message: Mapping[str, Any]) -> str:
    return "parts" if "content" not in message and is_list(message.get("parts")) else "content"


def parts_of(message: Message) -> Sequence[Any]:
    """Return the parts of a message that has a list of them, else nothing."""
    content = body_of(message) if isinstance(message, Mapping) else None
    return content if is_list(content) else ()


def text_of(part: Any) -> str | None:
    """Return the text of a part of a message, or None where it is something else."""
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or part.get("type", "text") not in ("text", "input_text"):
        return None
    text = part.get("text")
    return text if isinstance(text, str) else None


def with_text(part: Any, text: str) -> Any:
    """Return a copy of a text part with another text."""
    return text if isinstance(part, str) else {**part, "text": text}


def text_part(parts: Sequence[Any], text: str) -> dict[str, Any]:
    """Return a text as a part beside others: those of Gemini and Bedrock have no type."""
    untyped = any(isinstance(part, Mapping) and "type" not in part for part in parts)
    return {"text": text} if untyped else {"type": "text", "text": text}


def with_content(message: Mapping[str, Any], content: Any) -> dict[str, Any]:
    """Return a copy of a message that says something else, under the key that it has for it."""
    return {**message, _body_key(message): content}


def is_result(part: Any) -> bool:
    """Return whether a part is the result of a tool."""
    return kind_of(part).endswith("tool_result") or (isinstance(part, Mapping) and any(key in part for key in _RESULTS))


def after_results(parts: Sequence[Any]) -> int:
    """Return the index from which on no tool results follow: Anthropic wants them first."""
    return max((index + 1 for index, part in enumerate(parts) if is_result(part)), default=0)


def leading_system(messages: Sequence[Message]) -> int:
    """Return how many messages at the start are system text."""
    for index, message in enumerate(messages):
        if role_of(message) not in SYSTEM_ROLES:
            return index
    return len(messages)


def is_user_turn(message: Message) -> bool:
    """Return whether a person speaks: a user message that is more than the results of tools."""
    if role_of(message) != "user":
        return False
    content = body_of(message)
    if is_list(content):
        return any(not is_result(part) for part in content)
    return isinstance(content, str)


def last_user_turn(messages: Sequence[Message]) -> int | None:
    """Return the index of the last message in which a person speaks."""
    return next((index for index in range(len(messages) - 1, -1, -1) if is_user_turn(messages[index])), None)


def is_anthropic(messages: Sequence[Message], params: Mapping[str, Any]) -> bool:
    """Return whether a request has what only Anthropic's shape has."""
    if "system" in params:
        return True
    return any(kind_of(part) in _ANTHROPIC_PARTS for message in messages for part in parts_of(message))


def call_ids(message: Message) -> list[str]:
    """Return the ids of the tool calls that a message, or an item of the Responses API, makes."""
    if not isinstance(message, Mapping):
        return []
    found = [part.get("id") for part in parts_of(message) if kind_of(part).endswith("tool_use")]
    found += _ids_under(message, ("toolUse", "functionCall", "function_call"))
    calls = message.get("tool_calls")
    if is_list(calls):
        found += [call.get("id") for call in calls if isinstance(call, Mapping)]
    if kind_of(message).endswith("_call"):
        found.append(message.get("call_id"))
    elif kind_of(message).endswith("_request"):
        found.append(message.get("id"))
    return [item for item in found if isinstance(item, str)]


def result_ids(message: Message) -> list[str]:
    """Return the ids of the tool calls that a message, or an item of the Responses API, answers."""
    if not isinstance(message, Mapping):
        return []
    found = [part.get("tool_use_id") for part in parts_of(message) if kind_of(part).endswith("tool_result")]
    found += _ids_under(message, _RESULTS)
    if role_of(message) in TOOL_ROLES:
        found.append(message.get("tool_call_id"))
    if kind_of(message).endswith("_output"):
        found.append(message.get("call_id"))
    elif kind_of(message).endswith("_response"):
        found.append(message.get("approval_request_id"))
    return [item for item in found if isinstance(item, str)]


def _ids_under(message: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    """Return the ids of calls or results that stand under a key of a part; Gemini may know them by their name alone."""
    calls = (part.get(key) for part in parts_of(message) if isinstance(part, Mapping) for key in keys)
    return [
        call.get("toolUseId") or call.get("id") or f"function {call.get('name')}"
        for call in calls
        if isinstance(call, Mapping)
    ]
