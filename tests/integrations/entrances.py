"""Every request that the methods of an SDK send, found by calling each of them with arguments that mean nothing."""

from __future__ import annotations

import inspect
import io
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

__all__ = ["Entrance", "entrances", "resources"]

Entrance = tuple[str, str, str]
"""A method of the client by its path from there, then the method and URL of what it sends."""

_RAW: Final = ("with_raw_response", "with_streaming_response")
_VARIADIC: Final = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def resources(client: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield all resources of a client, with where they are."""
    for name in dir(type(client)):
        made = inspect.getattr_static(type(client), name)
        if isinstance(made, cached_property) and name not in _RAW and not name.startswith("_"):
            resource = getattr(client, name)
            if hasattr(resource, "_client"):
                where = f"{path}.{name}" if path else name
                yield where, resource
                yield from resources(resource, where)


def entrances(client: Any, sent: list[tuple[str, str]]) -> Iterator[Entrance]:
    """Yield what each method of each resource sends. ``sent`` is where the client notes it, instead of sending."""
    for where, resource in resources(client):
        for name in dir(type(resource)):
            if not name.startswith("_") and inspect.isfunction(inspect.getattr_static(type(resource), name)):
                sent.clear()
                _call(getattr(resource, name))
                yield from ((f"{where}.{name}", *item) for item in sent)


def _call(method: Any) -> None:
    """Call a method with its required arguments, and enter what it returns."""
    given = {
        name: _value(name)
        for name, parameter in inspect.signature(method).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    try:
        entered = method(**given)
        if hasattr(entered, "__enter__"):
            entered.__enter__()
        elif hasattr(entered, "__next__"):
            next(entered)
    except Exception:
        return


def _value(name: str) -> Any:
    if name in ("file", "files", "image", "data", "content", "video"):
        return ("x.txt", io.BytesIO(b"x"))
    if name in ("messages", "tools", "items", "events"):
        return [{"role": "user", "content": "x"}] if name == "messages" else []
    return 1 if name.startswith(("max_", "n_")) or name.endswith("_ms") else "x"
