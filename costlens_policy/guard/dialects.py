"""The request in the words of providers: where the system text goes, and what the output limit is called.

Texts, tool calls and their results are translated into each dialect. What else a message has is passed on where it is
the dialect's own already, and refused where it is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from costlens_policy.catalogue.service_tiers import BATCH, SERVICE_TIER, tier_asked, tier_named
from costlens_policy.documents.parameters import COMPLETIONS, OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES, SYSTEM
from costlens_policy.frozen import frozen
from costlens_policy.guard.errors import GuardError

__all__ = ["DIALECTS", "Dialect", "Spoken", "speak", "unknown_dialect"]


Dialect: TypeAlias = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock"]
DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)

Messages: TypeAlias = list[dict[str, Any]]

_PLAIN: Final = frozenset({"role", "content"})
_SYSTEM_ROLES: Final = ("system", "developer")
_INFERENCE_NAMES: Final = {
    "temperature": "temperature", "top_p": "topP", "stop": "stopSequences", "stop_sequences": "stopSequences",
}  # fmt: skip


@frozen
class Spoken:
    """A request in one dialect: the messages, all other parameters, and what the messages and the model are called.

    ``tools_under`` is the parameter in which its API wants the tools, empty where they are a parameter themselves.
    """

    messages: Any
    params: dict[str, Any]
    messages_name: str = "messages"
    model_name: str = "model"
    tools_under: str = ""

    def arguments(self, model: str, tools: Sequence[Any] | None) -> dict[str, Any]:
        """Return everything in one, with the tools in the shape that they have."""
        given = {**self.params, self.model_name: model, self.messages_name: self.messages}
        if not tools:
            return given
        listed = {"tools": list(tools)}
        if not self.tools_under:
            return given | listed
        return given | {self.tools_under: given.get(self.tools_under, {}) | listed}


@frozen
class _Parts:
    """``system`` is the text beside the messages, empty where there is none."""

    messages: Messages
    system: str
    params: dict[str, Any]
    limit: int


def unknown_dialect(name: str) -> GuardError:
    return GuardError(f"unknown dialect `{name}`; known dialects: {', '.join(f'`{known}`' for known in DIALECTS)}")


def speak(
    dialect: str,
    prompt: str | None,
    system: str | None,
    messages: Sequence[Mapping[str, Any]] | None,
    params: Mapping[str, Any],
) -> Spoken:
    """Return a request as a provider's SDK takes it. Raises ``GuardError`` for a dialect that is not known."""
    if dialect not in _SPEAKERS:
        raise unknown_dialect(dialect)
    talk = [dict(message) for message in messages] if messages is not None else []
    if messages is None:
        talk.append({"role": "user", "content": prompt or ""})
    rest = {name: value for name, value in params.items() if name not in OUTPUT_LIMIT_NAMES}
    if (tier := tier_asked(rest)) is not None and tier_named(tier) == BATCH:
        del rest[SERVICE_TIER]  # who calls hands the batch in; no provider takes it as a parameter
    if SYSTEM in rest and dialect != "anthropic":  # the only one that takes it as a parameter
        own = _text_of({"content": rest.pop(SYSTEM)})
        system = "\n\n".join(filter(None, (system, own)))
    return _SPEAKERS[dialect](_Parts(talk, system or "", rest, params[OUTPUT_LIMIT]), params)


def _openai_chat(parts: _Parts, given: Mapping[str, Any]) -> Spoken:
    limit = "max_tokens" if "max_tokens" in given else "max_completion_tokens"
    before: Messages = [{"role": "system", "content": parts.system}] if parts.system else []
    return Spoken(before + parts.messages, {**parts.params, limit: parts.limit})


def _openai_responses(parts: _Parts, _: Mapping[str, Any]) -> Spoken:
    params = {**parts.params, OUTPUT_LIMIT: parts.limit}
    if parts.system:
        params["instructions"] = parts.system
    return Spoken(parts.messages, params, messages_name="input")


def _anthropic(parts: _Parts, _: Mapping[str, Any]) -> Spoken:
    texts, talk = _split(parts)
    params = {**parts.params, "max_tokens": parts.limit}
    own = params.get("system")
    if texts and isinstance(own, list):
        params["system"] = [*({"type": "text", "text": text} for text in texts), *own]
    elif texts:
        params["system"] = "\n\n".join([*texts, *([own] if own else [])])
    if any(not message.keys() <= _PLAIN or message.get("role") == "tool" for message in talk):
        talk = _turns_in(_ANTHROPIC, talk)
    return Spoken(talk, params)


def _gemini(parts: _Parts, _: Mapping[str, Any]) -> Spoken:
    texts, talk = _split(parts)
    config = {**parts.params, OUTPUT_LIMIT: parts.limit}
    if COMPLETIONS in config:
        config["candidate_count"] = config.pop(COMPLETIONS)
    if texts:
        config["system_instruction"] = "\n\n".join(texts)
    if isinstance(stop := config.pop("stop", None), str):
        config["stop_sequences"] = [stop]
    elif stop is not None:
        config["stop_sequences"] = stop
    return Spoken(_turns_in(_GEMINI, talk), {"config": config}, messages_name="contents", tools_under="config")


def _bedrock(parts: _Parts, _: Mapping[str, Any]) -> Spoken:
    texts, talk = _split(parts)
    params = dict(parts.params)
    inference: dict[str, Any] = {"maxTokens": parts.limit}
    for name in [name for name in params if name in _INFERENCE_NAMES]:
        value = params.pop(name)
        inference[_INFERENCE_NAMES[name]] = [value] if name == "stop" and isinstance(value, str) else value
    spoken: dict[str, Any] = {"inferenceConfig": inference}
    if texts:
        spoken["system"] = [{"text": text} for text in texts]
    if (tier := tier_asked(params)) is not None:
        del params[SERVICE_TIER]
        spoken["serviceTier"] = {"type": tier}
    if params:
        spoken["additionalModelRequestFields"] = params
    return Spoken(_turns_in(_BEDROCK, talk), spoken, model_name="modelId", tools_under="toolConfig")


def _split(parts: _Parts) -> tuple[list[str], Messages]:
    """Take the leading system messages out of the conversation, for APIs that want them beside it."""
    texts = [parts.system] if parts.system else []
    talk = list(parts.messages)
    while talk and talk[0].get("role") in _SYSTEM_ROLES:
        texts.append(_text_of(talk.pop(0)))
    return texts, talk


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content or "")


_SPEAKERS: Final[dict[str, Callable[[_Parts, Mapping[str, Any]], Spoken]]] = {
    "openai-chat": _openai_chat,
    "openai-responses": _openai_responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock": _bedrock,
}


_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_TOOLS: Final = frozenset({"tool", "function"})


@frozen
class _Words:
    """How one dialect says what all have: a text, a call of a tool (id, name, input), and its result (id, name, text).

    ``content`` is the key of a turn's parts, ``model`` the role of the one that answers.
    """

    dialect: str
    content: str
    model: str
    text: Callable[[str], Any]
    call: Callable[[str, str, Any], Any]
    result: Callable[[str, str, str], Any]


_GEMINI: Final = _Words(
    "gemini",
    "parts",
    "model",
    lambda text: {"text": text},
    lambda id, name, given: {"function_call": {"id": id, "name": name, "args": given}},
    lambda id, name, text: {"function_response": {"id": id, "name": name, "response": {"result": text}}},
)
_BEDROCK: Final = _Words(
    "bedrock",
    "content",
    "assistant",
    lambda text: {"text": text},
    lambda id, name, given: {"toolUse": {"toolUseId": id, "name": name, "input": given}},
    lambda id, name, text: {"toolResult": {"toolUseId": id, "content": [{"text": text}]}},
)
_ANTHROPIC: Final = _Words(
    "anthropic",
    "content",
    "assistant",
    lambda text: {"type": "text", "text": text},
    lambda id, name, given: {"type": "tool_use", "id": id, "name": name, "input": given},
    lambda id, name, text: {"type": "tool_result", "tool_use_id": id, "content": text},
)


def _turns_in(words: _Words, talk: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
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


def _is_own(words: _Words, message: Mapping[str, Any]) -> bool:
    """Return whether a message is in the dialect already: those of Gemini and Bedrock have parts without type."""
    parts = message.get(words.content)
    if words is _GEMINI:
        return parts is not None
    own = words is _BEDROCK
    return (
        isinstance(parts, list)
        and message.keys() <= {"role", "content"}
        and message.get("role") in ("user", "assistant")
        and all(isinstance(part, Mapping) and ("type" in part) is not own for part in parts)
    )


def _parts(words: _Words, at: int, message: Mapping[str, Any], names: dict[str, str]) -> Iterator[Any]:
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


def _result(words: _Words, place: str, message: Mapping[str, Any], names: dict[str, str]) -> Any:
    """Return the result of a tool call in the shape of OpenAI's chat."""
    id = str(message.get("tool_call_id") or "")
    name = message.get("name") or names.get(id)
    if not id and words is not _GEMINI:
        raise _inexpressible(words, f"{place}`, the result of a call without an id")
    if name is None and words is _GEMINI:
        raise _inexpressible(words, f"{place}`, the result of a call whose name is not in the conversation")
    return words.result(id, str(name or ""), _written(words, place, message.get("content")))


def _part(words: _Words, place: str, part: Any, names: dict[str, str]) -> Any:
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
    if kind is None if words is _BEDROCK else kind is not None and words is _ANTHROPIC:
        return part  # the dialect's own
    raise _inexpressible(words, f"{place}, a part of type `{kind}`" if kind else place)


def _call(words: _Words, place: str, call: Any, names: dict[str, str]) -> Any:
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


def _written(words: _Words, place: str, content: Any) -> str:
    """Return the text of a result, which may stand in parts."""
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content if isinstance(content, (list, tuple)) else [content]:
        if not isinstance(part, Mapping) or part.get("type") not in _TEXTS or part.keys() != {"type", "text"}:
            raise _inexpressible(words, f"{place}.content`")
        texts.append(str(part["text"]))
    return "\n".join(texts)


def _inexpressible(words: _Words, what: str) -> GuardError:
    return GuardError(
        f"the dialect `{words.dialect}` cannot express {what}; give the messages in the shape of that provider, or send"
        " `call.decision.messages` with the client of the provider whose shape they have"
    )
