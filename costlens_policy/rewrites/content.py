"""What a rewrite works on, and what it tells about its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

__all__ = ["Change", "Content", "Message", "Outcome"]

Message: TypeAlias = Any
"""A chat message as the caller gave it: a mapping with a ``role``, or else left alone."""


class Content(NamedTuple):
    """The part of a request that rewrites change. Nothing in it is ever modified: a change makes new objects.

    ``prompt`` or ``messages`` is None. ``params`` are the parameters of the call, the output limit among them.

    A system text stays where it stands: in the leading ``system`` or ``developer`` messages, or in ``params["system"]``
    (Anthropic). ``system`` holds the one that rewrites give to a request with a ``prompt``, which has no such place.
    """

    prompt: str | None
    messages: tuple[Message, ...] | None
    params: Mapping[str, Any]
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change. ``detail`` says what happened, in short, and never quotes what was taken away.

    ``target`` is where: ``prompt``, ``system``, ``messages``, ``messages[3]``, ``params.temperature``. ``counts`` holds
    the replacements of a redaction by kind of data.
    """

    operation: str
    target: str
    detail: str
    counts: tuple[tuple[str, int], ...] = ()


Outcome: TypeAlias = tuple[Content, tuple[Change, ...]]
"""What applying a step gives: the content afterwards (the same object where nothing changed), and the changes."""
