"""What each request of an SDK is: a call of a model, something that runs no model, or something that nobody counts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from costlens_policy.guard import GuardError
from costlens_policy.integrations.sdk.bodies import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Dialect

__all__ = ["UnguardedCallError", "check_connection", "dialect_of"]


class UnguardedCallError(GuardError):
    """A wrapped client was asked for something that the guard neither decides nor counts. Nothing was sent."""


_CALLS: Final[Mapping[str, Dialect]] = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/embeddings": EMBEDDINGS,
    "/v1/messages": MESSAGES,
    "/v1/messages?beta=true": MESSAGES,
}
"""Paths whose requests call a model, as the SDKs write them."""

_RUNS_NOTHING: Final = re.compile(
    r"/moderations|/files|/uploads(/[\w-]+/\w+)?|/responses/(input_tokens|[\w-]+/cancel)"
    r"|/chat/completions/[\w-]+|/v1/(messages/count_tokens|files)(\?beta=true)?",
    re.ASCII,
)
"""Paths of POST that run no model, and are free of charge."""
_READING: Final = frozenset({"get", "delete", "head", "options"})
"""Methods that run no model, whatever the path: they list, fetch and remove."""

_VERSION: Final = re.compile(r"/?(v[0-9]+/)?")
_CONNECTION: Final = "realtime"
"""The name under which connections by WebSocket may pass."""


def dialect_of(method: str, url: str, unguarded: Collection[str]) -> Dialect | None:
    """Return how the call of a model is written; None for what passes as it is.

    ``unguarded`` are names that may pass: of resources, with or without what follows, such as ``images`` and
    ``responses.compact``. Raises ``UnguardedCallError``.
    """
    if method.lower() in _READING:
        return None
    names = _names(url)
    if any(name in unguarded for name in names):
        return None
    if method.lower() == "post":
        if url in _CALLS:
            return _CALLS[url]
        if _RUNS_NOTHING.fullmatch(url):
            return None
    calls = {_names(path)[0] for path in _CALLS}
    raise _unguarded(f"{method.upper()} {url}", names[names[0] in calls and len(names) > 1])


def check_connection(unguarded: Collection[str]) -> None:
    """Raise ``UnguardedCallError`` for a connection by WebSocket, whose messages nobody here sees."""
    if _CONNECTION not in unguarded:
        raise _unguarded("a connection by WebSocket", _CONNECTION)


def _names(url: str) -> list[str]:
    """Return the names of a path, the shortest first: ``images`` and ``images.generations``.

    A URL of another host has one name, itself.
    """
    path = url.partition("?")[0]
    if "://" in path:
        return [path]
    segments = _VERSION.sub("", path, count=1).strip("/").split("/")
    return [".".join(segments[: end + 1]) for end in range(len(segments))]


def _unguarded(what: str, name: str) -> UnguardedCallError:
    return UnguardedCallError(
        f"`{what}` is neither decided nor counted by the guard, so it was not sent; to send it all the same, wrap the"
        f" client with `unguarded=[{name!r}]`"
    )
