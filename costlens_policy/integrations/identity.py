"""Who is asking: attributes of requests that the code around a call knows, such as its team and its user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["asking", "asking_now"]

_ASKING: Final[ContextVar[Mapping[str, Any]]] = ContextVar("costlens_policy_asking")
_NOBODY: Final[Mapping[str, Any]] = {}


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
