"""Bodies of provider APIs as requests, and what was decided as bodies: one reader and one writer for each dialect.

Who asks is never read from a body. Whatever a reader does not name is a parameter, which the policy set admits or
refuses. Sources: the API references of OpenAI (chat completions, responses, embeddings) and Anthropic (messages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from costlens_policy.documents.parameters import OUTPUT_LIMIT_NAMES, SYSTEM
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.guard import GuardError
from costlens_policy.guard.errors import UnguardedCallError
from costlens_policy.guard.guard import CallFacts

__all__ = ["CHAT", "EMBEDDINGS", "MESSAGES", "RESPONSES", "Body", "Dialect", "lacks_usage"]

Body: TypeAlias = Mapping[str, Any]

_OUTSIDE: Final = ("model", "messages", "tools", "response_format", "modalities", "stream")
"""Entries of a body that are attributes of a request under the same name."""
_TASK_OF_EMBEDDINGS: Final = "embeddings"


@frozen
class Dialect:
    """How one API writes a call. ``read`` gives the attributes of the request, ``write`` the body to be sent.

    ``needs`` are the entries that a body must have, each by the names of which one will do.
    """

    name: str
    read: Callable[[Body], dict[str, Any]]
    write: Callable[[Body, CallFacts], dict[str, Any]]
    needs: tuple[tuple[str, ...], ...] = ()

    def check(self, body: Body) -> None:
        """Raise ``RequestError`` for a body that its provider refuses: another call would be decided and held."""
        problems = tuple(
            f"`{names[0]}` is missing in the body, which `{self.name}` needs"
            for names in self.needs
            if all(body.get(name) in (None, []) for name in names)
        )
        if problems:
            raise RequestError(problems)


def _attributes(body: Body, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a request whose parameters are all entries that are neither attributes nor named. Null counts as absent"""
    given = {name: value for name, value in body.items() if value is not None}
    request: dict[str, Any] = {name: given.pop(name) for name in _OUTSIDE if name in given}
    for name in but:
        given.pop(name, None)
    if given:
        request["params"] = given
    return request


def _sent(body: Body, call: CallFacts, dialect: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what was decided, with entries of the body that the policies see but do not change."""
    return {**call.arguments_for(dialect), **{name: body[name] for name in names if name in body}}


def _read_chat(body: Body) -> dict[str, Any]:
    return _attributes(body, but=("stream_options",))


def _write_chat(body: Body, call: CallFacts) -> dict[str, Any]:
    return _sent(body, call, "openai-chat", ("response_format", "modalities", "stream", "stream_options"))


def lacks_usage(body: Body) -> bool:
    """Whether a chat completion is streamed without a word on its usage: nobody would learn what it cost."""
    return bool(body.get("stream")) and "include_usage" not in (body.get("stream_options") or {})


def _read_responses(body: Body) -> dict[str, Any]:
    if body.get("background"):
        raise UnguardedCallError(
            "`background` responses end after the call, so nothing here can settle them; hold such a call as a request"
            " under an id of its own, and settle it by that id when the response is complete"
        )
    request = _attributes(body, but=("input", "instructions"))
    text, instructions, given = body.get("text"), body.get("instructions"), body.get("input")
    if isinstance(text, Mapping) and isinstance(form := text.get("format"), Mapping) and "type" in form:
        request["response_format"] = {"type": form["type"]}
    if instructions is not None:
        request["params"] = {**request.get("params", {}), SYSTEM: instructions}
    if given is not None:
        request["prompt" if isinstance(given, str) else "messages"] = given
    return request


def _write_responses(body: Body, call: CallFacts) -> dict[str, Any]:
    sent = _sent(body, call, "openai-responses", ("stream", "stream_options"))
    if body.get("input") is None:
        del sent["input"]
    elif isinstance(body["input"], str):
        sent["input"] = call.prompt
    return sent


def _read_messages(body: Body) -> dict[str, Any]:
    request = _attributes(body)
    formats = (body.get("output_format"), (body.get("output_config") or {}).get("format"))
    form = next((item for item in formats if isinstance(item, Mapping) and "type" in item), None)
    if form is not None:
        request["response_format"] = {"type": form["type"]}
    return request


def _write_messages(body: Body, call: CallFacts) -> dict[str, Any]:
    return _sent(body, call, "anthropic", ("stream",))


def _read_embeddings(body: Body) -> dict[str, Any]:
    """Read an embedding: a call without output, for which the least limit stands.

    Tokens instead of texts are counted here, as nobody else can.
    """
    request = _attributes(body, but=("input",))
    request |= {"task": _TASK_OF_EMBEDDINGS, "max_output_tokens": 1}
    given: Any = body.get("input")
    if isinstance(given, str):
        request["prompt"] = given
    elif _are_texts(given):
        request["messages"] = [{"role": "user", "content": text} for text in given]
    elif isinstance(given, list):
        request["prompt_tokens"] = sum(len(item) if isinstance(item, list) else 1 for item in given)
    return request


def _write_embeddings(body: Body, call: CallFacts) -> dict[str, Any]:
    sent = call.arguments_for("openai-chat")
    texts = [message.get("content") for message in sent.pop("messages")]
    for name in OUTPUT_LIMIT_NAMES:
        sent.pop(name, None)
    given: Any = body.get("input")
    if isinstance(given, str):
        sent["input"] = call.prompt
    elif _are_texts(given):
        sent["input"] = texts
    else:
        sent["input"] = given
        return sent
    if len(texts) != (1 if isinstance(given, str) else len(given)) or not _are_texts(texts):
        raise GuardError("a rewrite adds or removes messages, which the input of an embedding cannot express")
    return sent


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


CHAT: Final = Dialect("openai-chat", _read_chat, _write_chat, (("messages",),))
_INPUTS: Final = ("input", "prompt", "previous_response_id", "conversation")
RESPONSES: Final = Dialect("openai-responses", _read_responses, _write_responses, (_INPUTS,))
EMBEDDINGS: Final = Dialect("openai-embeddings", _read_embeddings, _write_embeddings, (("input",),))
MESSAGES: Final = Dialect("anthropic", _read_messages, _write_messages, (("messages",), ("max_tokens",)))
