"""The calls of LiteLLM that are decided: how each is read as a request, and how a decision is written into it.

LiteLLM speaks every client's API to every provider, so the words of a call are those of the client, whatever serves it.
Sources: ``CallTypes`` of ``litellm.types.utils``, and the route types of ``litellm.proxy``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from costlens_policy.documents.parameters import COMPLETIONS, OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.guard.async_guard import AsyncCall

__all__ = ["KINDS", "Kind", "request_of", "write_decision", "write_limit"]

_Data = Mapping[str, Any]
_BESIDE: Final = frozenset({"model", "stream", "metadata", "litellm_metadata"})
"""What is in the body of every call and is no parameter of the model: what is asked for, and labels for LiteLLM."""


@frozen
class Kind:
    """One API. ``name`` is what policies see as ``request.call_type``, where they declare it.

    ``texts`` are the keys that ``read`` turns into a prompt or messages; ``seen`` those that are passed on as they are,
    and shown to the policies under the same name. ``write`` returns what a call sends, without its model.
    ``limit`` is what the API calls the output limit. ``adds_usage``: a stream reports its usage only when it is asked.
    """

    name: str
    texts: tuple[str, ...]
    seen: tuple[str, ...]
    read: Callable[[_Data], dict[str, Any]]
    write: Callable[[AsyncCall, _Data], dict[str, Any]]
    limit: str = ""
    adds_usage: bool = False


def request_of(kind: Kind, data: _Data, body: _Data) -> dict[str, Any]:
    """Return the request of a call, without its model and who asks. ``body`` is what the client sent.

    Every name that the client gave is seen by the policies or refused by them. Raises ``RequestError``.
    """
    request = kind.read(data)
    request |= {name: data[name] for name in kind.seen if data.get(name) is not None}
    if data.get("stream"):
        request["stream"] = True
    known = {*kind.texts, *kind.seen, *_BESIDE}
    params = {name: data.get(name, value) for name, value in body.items() if name not in known}
    request["params"] = {**request.get("params", {}), **{k: v for k, v in params.items() if v is not None}}
    if data.get("background"):
        raise RequestError(("`background` must be false: the usage of a response in the background is never seen",))
    return request


def write_decision(kind: Kind, call: AsyncCall, kwargs: MutableMapping[str, Any], params: _Data) -> None:
    """Put what was decided for the model in use into the arguments of one attempt, and take out what it replaces.

    ``params`` are those of the request. The output limit and the number of answers that a deployment is configured
    with go, too: what was held is the worst case of those that were decided.
    """
    for name in (*params, *OUTPUT_LIMIT_NAMES, COMPLETIONS):
        kwargs.pop(name, None)
    kwargs.update(kind.write(call, kwargs))


def write_limit(kind: Kind, kwargs: _Data, call: AsyncCall) -> dict[str, Any]:
    """Return the arguments of a call that LiteLLM translated, with the output limit that was decided.

    LiteLLM loses the limit on some of these ways, or takes one of its own.
    """
    changed = {name: value for name, value in kwargs.items() if name not in OUTPUT_LIMIT_NAMES}
    if kind.limit:
        changed[kind.limit] = call.params_for("openai-responses")[OUTPUT_LIMIT]
    return changed


def _read_chat(data: _Data) -> dict[str, Any]:
    return {"messages": data.get("messages") or []}


def _write_chat(call: AsyncCall, kwargs: _Data) -> dict[str, Any]:
    sent = call.arguments_for("openai-chat")
    del sent["model"]
    asked = call.decision.request.get("params") or {}
    if "max_completion_tokens" in sent and "max_completion_tokens" not in asked:
        sent["max_tokens"] = sent.pop("max_completion_tokens")  # the name that every provider of LiteLLM knows
    return sent


def _read_completion(data: _Data) -> dict[str, Any]:
    prompt = data.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise RequestError(("`prompt` must be one text; send a call for each prompt, and texts instead of tokens",))
    return {"prompt": prompt}


def _write_completion(call: AsyncCall, kwargs: _Data) -> dict[str, Any]:
    sent = call.arguments_for("openai-chat")
    del sent["model"], sent["messages"]
    limit = sent.pop("max_completion_tokens", None)
    texts = (call.system, call.prompt)
    return {**sent, "max_tokens": sent.get("max_tokens", limit), "prompt": "\n\n".join(filter(None, texts))}


def _read_responses(data: _Data) -> dict[str, Any]:
    given = data.get("input")
    messages = [{"role": "user", "content": given}] if isinstance(given, str) else list(given or [])
    if data.get("instructions"):
        messages.insert(0, {"role": "system", "content": data["instructions"]})
    return {"messages": messages}


def _write_responses(call: AsyncCall, kwargs: _Data) -> dict[str, Any]:
    sent = call.arguments_for("openai-responses")
    del sent["model"]
    return {"instructions": None, **sent}  # those of the client are the first message


def _read_messages(data: _Data) -> dict[str, Any]:
    params = {"system": data["system"]} if data.get("system") else {}
    return {"messages": data.get("messages") or [], "params": params}


def _write_messages(call: AsyncCall, kwargs: _Data) -> dict[str, Any]:
    sent = call.arguments_for("anthropic")
    del sent["model"]
    return sent


def _read_embedding(data: _Data) -> dict[str, Any]:
    given = data.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestError(("`input` must be a text or a list of texts: rules cannot read tokens",))
    return {"messages": [{"role": "user", "content": text} for text in texts], OUTPUT_LIMIT: 1}


def _write_embedding(call: AsyncCall, kwargs: _Data) -> dict[str, Any]:
    sent = call.arguments_for("openai-chat")
    texts = [message["content"] for message in sent["messages"]]
    del sent["model"], sent["messages"]
    for name in OUTPUT_LIMIT_NAMES:
        sent.pop(name, None)
    return {**sent, "input": texts[0] if isinstance(kwargs.get("input"), str) and len(texts) == 1 else texts}


_CHAT: Final = Kind(
    "chat", ("messages",), ("tools", "response_format"), _read_chat, _write_chat, "max_tokens", adds_usage=True
)
_COMPLETION: Final = Kind(
    "completions", ("prompt",), (), _read_completion, _write_completion, "max_tokens", adds_usage=True
)
_RESPONSES: Final = Kind(
    "responses", ("input", "instructions"), ("tools",), _read_responses, _write_responses, OUTPUT_LIMIT
)
_MESSAGES: Final = Kind("messages", ("messages", "system"), ("tools",), _read_messages, _write_messages, "max_tokens")
_EMBEDDING: Final = Kind("embeddings", ("input",), (), _read_embedding, _write_embedding)

KINDS: Final[Mapping[str, Kind]] = {
    "completion": _CHAT,
    "acompletion": _CHAT,
    "text_completion": _COMPLETION,
    "atext_completion": _COMPLETION,
    "responses": _RESPONSES,
    "aresponses": _RESPONSES,
    "anthropic_messages": _MESSAGES,
    "embedding": _EMBEDDING,
    "embeddings": _EMBEDDING,
    "aembedding": _EMBEDDING,
}
"""Every call type that is decided; all others are refused."""
