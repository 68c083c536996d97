"""A conversation in the words of providers that have parts of their own: nothing in it is left out in silence.

Texts, tool calls and their results are told in each dialect. What else a message has is passed on where it is the
dialect's own already, and refused where it is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from costlens_policy.guard.errors import GuardError

__all__ = ["ANTHROPIC", "BEDROCK", "GEMINI", "Words", "turns_in"]

_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_TOOLS: Final = frozenset({"tool", "function"})


@dataclass(frozen=True, slots=True)
class Words:
    """How one dialect says what all have: a text, a call of a tool (id, name, input), and its result (id, name, text).

    ``content`` is the key of a turn's parts, ``model`` the role of the one that answers.
    """

    dialect: str
    content: str
    model: str
    text: Callable[[str], Any]
    call: Callable[[str, str, Any], Any]
    result: Callable[[str, str, str], Any]


GEMINI: Final = Words(
    "gemini",
    "parts",
    "model",
    lambda text: {"text": text},
    lambda id, name, given: {"function_call": {"id": id, "name": name, "args": given}},
    lambda id, name, text: {"function_response": {"id": id, "name": name, "response": {"result": text}}},
)
BEDROCK: Final = Words(
    "bedrock",
    "content",
    "assistant",
    lambda text: {"text": text},
    lambda id, name, given: {"toolUse": {"toolUseId": id, "name": name, "input": given}},
    lambda id, name, text: {"toolResult": {"toolUseId": id, "content": [{"text": text}]}},
)
ANTHROPIC: Final = Words(
    "anthropic",
    "content",
    "assistant",
    lambda text: {"type": "text", "text": text},
    lambda id, name, given: {"type": "tool_use", "id": id, "name": name, "input": given},
    lambda id, name, text: {"type": "tool_result", "tool_use_id": id, "content": text},
)


def turns_in(words: Words, talk: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a conversation in one dialect. Raises ``GuardError`` for what the dialect cannot express."""
    turns: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    answering = False
    for at, message in enumerate(talk):
        if _is_own(words, message):
            turns.append(dict(message))
            answering = False
            continue
        role, parts = message.get("role", "user"), list(_parts(words, at, message, names))
        if answering and role in _TOOLS:
            turns[-1][words.content] += parts  # the results of calls made together belong to one turn
            continue
        answering = role in _TOOLS
        turns.append({"role": words.model if role in ("assistant", "model") else "user", words.content: parts})
    return turns


def _is_own(words: Words, message: Mapping[str, Any]) -> bool:
    """Say whether a message stands in the words of the dialect: those of Gemini and Bedrock have parts without type."""
    parts = message.get(words.content)
    if words is GEMINI:
        return parts is not None
    own = words is BEDROCK
    return (
        isinstance(parts, list)
        and message.keys() <= {"role", "content"}
        and message.get("role") in ("user", "assistant")
        and all(isinstance(part, Mapping) and ("type" in part) is not own for part in parts)
    )


def _parts(words: Words, at: int, message: Mapping[str, Any], names: dict[str, str]) -> Iterator[Any]:
    role = message.get("role", "user")
    place = f"`messages[{at}]"
    if role not in ("user", "assistant", "model", *_TOOLS):
        raise _inexpressible(words, f"{place}`, a message of role `{role}` in the middle of a conversation")
    known = {"role", "content", "tool_calls"} | ({"tool_call_id", "name"} if role in _TOOLS else set())
    for key, value in message.items():
        if key not in known and value not in (None, [], {}, ""):
            raise _inexpressible(words, f"{place}.{key}`")
    if role in _TOOLS:
        yield _result(words, place, message, names)
        return
    content = message.get("content")
    if isinstance(content, str):
        if content or not message.get("tool_calls"):
            yield words.text(content)
    elif content is not None:
        for number, part in enumerate(content if isinstance(content, (list, tuple)) else [content]):
            yield _part(words, f"{place}.content[{number}]`", part, names)
    elif not message.get("tool_calls"):
        yield words.text("")
    for number, call in enumerate(message.get("tool_calls") or ()):
        yield _call(words, f"{place}.tool_calls[{number}]`", call, names)


def _result(words: Words, place: str, message: Mapping[str, Any], names: dict[str, str]) -> Any:
    """Return the result of a tool call in the shape of OpenAI's chat."""
    id = str(message.get("tool_call_id") or "")
    name = message.get("name") or names.get(id)
    if not id and words is not GEMINI:
        raise _inexpressible(words, f"{place}`, the result of a call without an id")
    if name is None and words is GEMINI:
        raise _inexpressible(words, f"{place}`, the result of a call whose name is not in the conversation")
    return words.result(id, str(name or ""), _written(words, place, message.get("content")))


def _part(words: Words, place: str, part: Any, names: dict[str, str]) -> Any:
    if isinstance(part, str):
        return words.text(part)
    if not isinstance(part, Mapping):
        raise _inexpressible(words, place)
    kind, keys = part.get("type"), {key for key, value in part.items() if value is not None}
    if kind in _TEXTS and keys == {"type", "text"}:
        return words.text(part["text"])
    if kind == "tool_use" and keys == {"type", "id", "name", "input"}:
        names[part["id"]] = part["name"]
        return words.call(part["id"], part["name"], part["input"])
    if kind == "tool_result" and keys <= {"type", "tool_use_id", "content"}:
        id = part.get("tool_use_id", "")
        return words.result(id, names.get(id, ""), _written(words, place.rstrip("`"), part.get("content")))
    if kind is None and keys == {"text"}:
        return words.text(part["text"])
    if kind is None if words is BEDROCK else kind is not None and words is ANTHROPIC:
        return part  # the dialect's own
    raise _inexpressible(words, f"{place}, a part of type `{kind}`" if kind else place)


def _call(words: Words, place: str, call: Any, names: dict[str, str]) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not {"name", "arguments"} >= function.keys():
        raise _inexpressible(words, place)
    given = function.get("arguments") or "{}"
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            raise _inexpressible(words, f"{place}, whose arguments are not JSON") from None
    id, name = str(call.get("id") or ""), str(function.get("name"))
    names[id] = name
    return words.call(id, name, given)


def _written(words: Words, place: str, content: Any) -> str:
    """Return the text of a result, which may stand in parts."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content if isinstance(content, (list, tuple)) else [content]:
        if not isinstance(part, Mapping) or part.get("type") not in _TEXTS or part.keys() != {"type", "text"}:
            raise _inexpressible(words, f"{place}.content`")
        texts.append(str(part["text"]))
    return "\n".join(texts)


def _inexpressible(words: Words, what: str) -> GuardError:
    return GuardError(
        f"the dialect `{words.dialect}` cannot express {what}; give the messages in the shape of that provider, or send"
        " `call.decision.messages` with the client of the provider whose shape they have"
    )
