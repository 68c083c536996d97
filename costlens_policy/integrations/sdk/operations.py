"""What each request of an SDK is: a call of a model, something that runs no model, or something that nobody counts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import cached_property
from inspect import getattr_static
from typing import Any, Final

from costlens_policy.frozen import frozen
from costlens_policy.guard.errors import GuardError, UnguardedCallError
from costlens_policy.integrations.sdk.bodies import CHAT, EMBEDDINGS, MESSAGES, RESPONSES, Dialect

__all__ = ["Passing", "check_connection", "dialect_of"]

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
_NO_RESOURCES: Final = (_CONNECTION, "middleware")
"""What may pass and is no resource of an SDK."""
_NAME: Final = re.compile(r"\w+(\.[\w-]+)*", re.ASCII)
_PATH: Final = re.compile(r"(https?://[^/?#\s]+)?(/[\w{}~:@%+-][\w{}~:@%+.-]*)+", re.ASCII)
"""A path that every server reads alike: without empty, ``.`` and ``..`` segments, and without a query."""


@frozen
class Passing:
    """What a client of one class may send although nobody counts it: resources by their names, and paths by theirs."""

    kind: type
    names: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    @classmethod
    def read(cls, client: Any, given: Collection[str]) -> Passing:
        """Read what a client is wrapped with. Raises ``GuardError`` for what names nothing that could be sent."""
        if isinstance(given, str) or not isinstance(given, Collection):
            raise GuardError(f"`unguarded` must be a list of names, got `{given}`")
        for name in given:
            _check_passing(client, name)
        paths = {name for name in given if "/" in name}
        return cls(type(client), frozenset(given) - paths, frozenset(paths))

    def holds(self, path: str) -> bool:
        """Whether requests to a path may pass: it, or something above it, is named."""
        if not (self.names or self.paths) or not _PATH.fullmatch(path):
            return False
        above = any(path == item or path.startswith(f"{item}/") for item in self.paths)
        return above or any(name in self.names for name in _names(path))


def _check_passing(client: Any, name: object) -> None:
    if isinstance(name, str) and "/" in name and _PATH.fullmatch(name):
        return
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise GuardError(
            "`unguarded` must list resources, such as `images`, or paths that begin with `/`, such as `/rerank`;"
            f" got {name!r}"
        )
    first = name.partition(".")[0]
    if first in _NO_RESOURCES or first in _resources(type(client)):
        return
    known = {*_NO_RESOURCES, *_nested_resources(client)}
    if first not in known:
        near = get_close_matches(first, sorted(known), n=3)
        meant = f"; did you mean {' or '.join(f'`{item}`' for item in near)}?" if near else ""
        raise GuardError(f"`unguarded` lists `{name}`, which is no resource of the client{meant}")


def _resources(kind: type) -> set[str]:
    """Return the names of what an object of an SDK makes when it is first asked for: its resources."""
    return {name for name in dir(kind) if isinstance(getattr_static(kind, name), cached_property)}


def _nested_resources(owner: Any) -> Iterator[str]:
    """Yield the names of all resources below a client or resource, which takes a while: each module is imported."""
    for name in _resources(type(owner)):
        inner = None if name.startswith(("_", "with_")) else getattr(owner, name)
        if hasattr(inner, "_client"):
            yield name
            yield from _nested_resources(inner)


def dialect_of(method: str, url: str, passing: Passing) -> Dialect | None:
    """Return how the call of a model is written; None for what passes as it is. Raises ``UnguardedCallError``."""
    method = method.lower()
    if method in _READING:
        return None
    path = url.partition("?")[0]
    if passing.holds(path):
        return None
    if method == "post":
        dialect = _CALLS.get(url)
        if dialect is not None:
            return dialect
        if _RUNS_NOTHING.fullmatch(url):
            return None
    raise _unguarded(f"{method.upper()} {url}", _remedy(path, passing.kind))


def check_connection(passing: Passing) -> None:
    """Raise ``UnguardedCallError`` for a connection by WebSocket, whose messages nobody here sees."""
    if _CONNECTION not in passing.names:
        raise _unguarded("a connection by WebSocket", _may_pass(_CONNECTION))


def _names(path: str) -> list[str]:
    """Return the names of a path, the shortest first: ``images`` and ``images.generations``."""
    segments = _VERSION.sub("", path, count=1).strip("/").split("/")
    return [] if "://" in path else [".".join(segments[: end + 1]) for end in range(len(segments))]


def _remedy(path: str, kind: type) -> str:
    """Return what to do to send a request that is refused."""
    if not _PATH.fullmatch(path):
        return "write the path without empty, `.` and `..` segments"
    calls = {tuple(_names(call)): call for call in _CALLS if "?" not in call}
    names = _names(path)
    call = calls.get(tuple(names))
    if call is not None:
        return f"to call a model, post to `{call}` as the SDK does, with any query in the options of the request"
    if not names or names[0] not in _resources(kind):
        return _may_pass(path)
    is_called = any(names[0] == known[0] for known in calls)
    return _may_pass(names[1] if is_called and len(names) > 1 else names[0])


def _may_pass(name: str) -> str:
    return f"to send it all the same, wrap the client with `unguarded=[{name!r}]`"


def _unguarded(what: str, remedy: str) -> UnguardedCallError:
    return UnguardedCallError(f"`{what}` is neither decided nor counted by the guard, so it was not sent; {remedy}")
