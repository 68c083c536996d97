"""Who is asking: attributes of requests that the code around a call knows, such as its team and its user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from costlens_policy.guard.errors import GuardError

__all__ = ["Asking", "asking", "asking_now", "check_asking", "check_who", "who_asks"]

Asking: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any] | None]
"""Attributes of every request of a client, or a function that gives those of the request under way, if it has any."""

_ASKING: Final[ContextVar[Mapping[str, Any]]] = ContextVar("costlens_policy_asking")
_NOBODY: Final[Mapping[str, Any]] = {}
_OF_THE_CALL: Final = frozenset({
    "model", "prompt", "messages", "tools", "response_format", "modalities", "stream", "params",
})  # fmt: skip
"""Attributes that are read from the call, and given nowhere else."""


@contextmanager
def asking(**attributes: Any) -> Iterator[None]:
    """Give all calls of this block these attributes: ``with asking(team="search", user="u1"):``.

    They are request attributes of the policy set, standard or declared. A block inside another adds to it, and wins
    where both give one. The block holds for the present thread or task, and for tasks that start within it.
    """
    token = _ASKING.set({**asking_now(), **attributes})
    try:
        yield
    finally:
        _ASKING.reset(token)


def asking_now() -> Mapping[str, Any]:
    """Return the attributes of the blocks around."""
    return _ASKING.get(_NOBODY)


def who_asks(given: Asking | None) -> dict[str, Any]:
    """Return the attributes of a client's next request: its own, and those of the blocks around, which win.

    Raises ``GuardError`` for a function that returns something else than attributes, or None.
    """
    if not callable(given):
        return {**(given or _NOBODY), **asking_now()}
    own = given()
    if own is not None and not isinstance(own, Mapping):
        raise GuardError(f"`asking` must return a mapping of attributes at once, got `{type(own).__name__}`")
    return {**(own or _NOBODY), **asking_now()}


def check_asking(given: object) -> None:
    """Raise ``GuardError`` for what gives no attributes."""
    if given is not None and not callable(given) and not isinstance(given, Mapping):
        raise GuardError(f"`asking` must be a mapping of attributes, or a function, got `{type(given).__name__}`")


def check_who(who: Mapping[str, Any]) -> None:
    """Raise ``GuardError`` for attributes that would stand beside what is sent."""
    if taken := _OF_THE_CALL & who.keys():
        raise GuardError(f"`{min(taken)}` is read from the call itself, and cannot be given beside it")
