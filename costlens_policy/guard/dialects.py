"""The request in the words of providers: where the system text goes, and what the output limit is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from costlens_policy.catalogue.service_tiers import BATCH, SERVICE_TIER, tier_asked, tier_named
from costlens_policy.documents.parameters import COMPLETIONS, OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES, SYSTEM
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.turns import ANTHROPIC, BEDROCK, GEMINI, turns_in

__all__ = ["DIALECTS", "Dialect", "Spoken", "speak"]

Dialect: TypeAlias = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock"]
DIALECTS: Final[tuple[str, ...]] = get_args(Dialect)

Messages: TypeAlias = list[dict[str, Any]]

_PLAIN: Final = frozenset({"role", "content"})
_SYSTEM_ROLES: Final = ("system", "developer")
_INFERENCE_NAMES: Final = {
    "temperature": "temperature", "top_p": "topP", "stop": "stopSequences", "stop_sequences": "stopSequences",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spoken:
    """A request in one dialect: the messages, all other parameters, and what the messages and the model are called."""

    messages: Any
    params: dict[str, Any]
    messages_name: str = "messages"
    model_name: str = "model"


@dataclass(frozen=True, slots=True)
class _Parts:
    """``system`` is the text beside the messages, empty where there is none."""

    messages: Messages
    system: str
    params: dict[str, Any]
    limit: int


def speak(
    dialect: str,
    prompt: str | None,
    system: str | None,
    messages: Sequence[Mapping[str, Any]] | None,
    params: Mapping[str, Any],
) -> Spoken:
    """Return a request as a provider's SDK takes it. Raises ``GuardError`` for a dialect that is not known."""
    if dialect not in _SPEAKERS:
        raise GuardError(f"no dialect `{dialect}`; there are {', '.join(f'`{name}`' for name in DIALECTS)}")
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
        talk = turns_in(ANTHROPIC, talk)
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
    return Spoken(turns_in(GEMINI, talk), {"config": config}, messages_name="contents")


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
    return Spoken(turns_in(BEDROCK, talk), spoken, model_name="modelId")


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
