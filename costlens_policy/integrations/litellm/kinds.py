"""The calls of LiteLLM that are decided: how each is read as a request, and how a decision is written into it.

LiteLLM speaks every client's API to every provider, so the words of a call are those of the client, whatever serves it.
Sources: ``CallTypes`` of ``litellm.types.utils``, and the route types of ``litellm.proxy``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.documents.parameters import COMPLETIONS, OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES
from costlens_policy.frozen import frozen
from costlens_policy.guard.errors import GuardError
from costlens_policy.guard.guard import CallFacts
from costlens_policy.integrations.sdk.bodies import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Body, Dialect

__all__ = ["KINDS", "LABELS", "Kind", "request_of", "with_decision", "with_limit"]

LABELS: Final = ("metadata", "litellm_metadata")
"""What LiteLLM takes out of a body and puts its own into: nothing of it reaches the model."""

_UNDOING: Final = frozenset({"additional_drop_params", "allowed_openai_params", "drop_params"})
"""Options of LiteLLM by which parameters are left out of what it sends, the output limit among them."""


@frozen
class Kind:
    """One API. ``name`` is what policies see as ``request.call_type``, where they declare it.

    ``limit`` is what the API calls the output limit, empty where it has none. ``adds_usage``: a stream reports its
    usage only when it is asked to.
    """

    name: str
    dialect: Dialect
    limit: str = ""
    adds_usage: bool = False


def request_of(kind: Kind, data: Body, body: Body) -> dict[str, Any]:
    """Return the request of a call, without who asks. ``body`` is what the client sent, ``data`` what became of it.

    Every name that the client gave is seen by the policies or refused. Raises ``GuardError``.
    """
    for name in _UNDOING & body.keys():
        raise GuardError(f"`{name}` must not be set by a client: LiteLLM would leave out what was decided")
    given = {name: data.get(name, value) for name, value in body.items() if name not in (*LABELS, "tags")}
    return kind.dialect.read(given)


def with_decision(kind: Kind, call: CallFacts, kwargs: Body, params: Body) -> dict[str, Any]:
    """Return the arguments of one attempt with what was decided for the model in use, and without what it replaces.

    ``params`` are those of the request. The output limit and the number of answers that a deployment is configured
    with go, too: what was held is the worst case of those that were decided.
    """
    replaced = {*params, *OUTPUT_LIMIT_NAMES, COMPLETIONS}
    kept = {name: value for name, value in kwargs.items() if name not in replaced}
    sent = kind.dialect.write(kwargs, call)
    del sent["model"]  # the deployment's name for it stands in the arguments
    if kind is _CHAT and "max_completion_tokens" in sent and "max_completion_tokens" not in params:
        sent["max_tokens"] = sent.pop("max_completion_tokens")  # the name that LiteLLM has for every provider
    if kind.adds_usage and kwargs.get("stream"):
        sent["stream_options"] = {**(kwargs.get("stream_options") or {}), "include_usage": True}
    return {**kept, **sent}


def with_limit(kind: Kind, call: CallFacts, kwargs: Body) -> dict[str, Any]:
    """Return the arguments of a call that LiteLLM translated into another API, with the limit that was decided.

    LiteLLM loses the limit on some of these ways, or takes one of its own.
    """
    changed = {name: value for name, value in kwargs.items() if name not in OUTPUT_LIMIT_NAMES}
    if kind.limit:
        changed[kind.limit] = call.params_for("openai-responses")[OUTPUT_LIMIT]
    return changed


def _read_completion(body: Body) -> dict[str, Any]:
    given = {name: value for name, value in body.items() if value is not None}
    prompt = given.pop("prompt", None)
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise GuardError("`prompt` must be one text; send a call for each prompt, and texts instead of tokens")
    known: dict[str, Any] = {name: given.pop(name) for name in ("model", "stream") if name in given}
    given.pop("stream_options", None)
    return {**known, "prompt": prompt, "params": given}


def _write_completion(body: Body, call: CallFacts) -> dict[str, Any]:
    sent = call.arguments_for("openai-chat")
    del sent["messages"]
    limits = [sent.pop(name) for name in OUTPUT_LIMIT_NAMES if name in sent]
    return {**sent, "max_tokens": limits[0], "prompt": "\n\n".join(filter(None, (call.system, call.prompt)))}


_CHAT: Final = Kind("chat", CHAT, "max_tokens", adds_usage=True)
_TEXTS: Final = Dialect("openai-completions", _read_completion, _write_completion)
_COMPLETION: Final = Kind("completions", _TEXTS, "max_tokens", adds_usage=True)
_RESPONSES: Final = Kind("responses", RESPONSES, OUTPUT_LIMIT)
_MESSAGES: Final = Kind("messages", MESSAGES, "max_tokens")
_EMBEDDING: Final = Kind("embeddings", EMBEDDINGS)

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
