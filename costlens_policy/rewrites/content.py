"""What rewrites work on, what they report of their work, how large it is, and why a rewrite fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen
from costlens_policy.tokens import REPLY_TOKENS, TokenCounter

__all__ = [
    "BAD_SHAPE", "MOST_CHARACTERS", "NOT_A_NUMBER", "NOT_A_TEXT", "NOT_FINISHED", "Change", "Content", "Message",
    "RewriteError", "Rewritten", "beside_messages", "content_tokens", "is_longer",
]  # fmt: skip

Message: TypeAlias = Any
"""A chat message as the caller gave it: a mapping with a ``role``, or else left alone."""


class Content(NamedTuple):
    """The part of a request that rewrites change. Nothing in it is ever modified: a change makes new objects.

    ``prompt`` or ``messages`` is None. ``params`` are the parameters of the call, the output limit among them.

    A system text stays where it stands: in the leading ``system`` or ``developer`` messages, or in ``params["system"]``
    (Anthropic). ``system`` holds the one that rewrites give to a request with a ``prompt``, which has no such place.
    ``tools`` are those that the model may call, None where there are none.
    """

    prompt: str | None
    messages: tuple[Message, ...] | None
    params: Mapping[str, Any]
    system: str | None = None
    tools: tuple[Any, ...] | None = None


@frozen
class Change:
    """One change. ``detail`` says what happened, in short, and never quotes what was taken away.

    ``target`` is where: ``prompt``, ``system``, ``messages``, ``messages[3]``, ``params.temperature``, ``tools``.
    ``counts`` holds the replacements of a redaction by kind of data.
    """

    operation: str
    target: str
    detail: str
    counts: tuple[tuple[str, int], ...] = ()


Rewritten: TypeAlias = tuple[Content, tuple[Change, ...]]
"""What applying a step gives: the content afterwards (the same object where nothing changed), and the changes."""

NOT_A_NUMBER: Final = "CL951"
BAD_SHAPE: Final = "CL952"
NOT_A_TEXT: Final = "CL953"
NOT_FINISHED: Final = "CL954"


class RewriteError(CostlensPolicyError):
    """A rewrite cannot be carried out, so the request must not be sent as it is. ``code`` is one of CL951 to CL954."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


MOST_CHARACTERS: Final = 4_000_000
"""Characters of a request, about a million tokens, beyond which nothing looks for texts to rewrite."""

_PLAIN: Final = frozenset({int, float, bool, type(None)})


def content_tokens(content: Content, tally: TokenCounter) -> int:
    """Return the tokens of the prompt or the messages, and of the system text.

    Raises ``RequestError`` for content nested without end.
    """
    return beside_messages(content, tally) + sum(tally.message(message) for message in content.messages or ())


def beside_messages(content: Content, tally: TokenCounter) -> int:
    """Return the tokens of everything but the messages themselves."""
    total = tally.value(content.prompt) + tally.value(content.system) + tally.content(content.params.get("system"))
    return total if content.messages is None else total + REPLY_TOKENS


def is_longer(value: Any, most: float) -> bool:
    """Return whether the texts of a value have more than so many characters together; names of keys are texts, too."""
    left = most
    rest = [value]
    while rest:
        item = rest.pop()
        kind = type(item)
        if kind is dict:  # nearly all is in one: its plain values are not worth a place in the queue
            left -= len(item)
            for inner in (*item, *item.values()):
                if type(inner) is str:
                    left -= len(inner)
                elif type(inner) not in _PLAIN:
                    rest.append(inner)
        elif isinstance(item, list | tuple):
            left -= len(item)
            rest += item
        elif isinstance(item, str | bytes | bytearray):
            left -= len(item)
        elif isinstance(item, Mapping):
            left -= len(item)
            rest += (*item, *item.values())
        if left < 0:
            return True
    return False
