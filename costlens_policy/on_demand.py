"""Public names of a package, imported when they are first used, so that importing the package costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["on_demand"]


def on_demand(package: str, origins: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package. ``origins`` says by each name which module has it.

    No name may be that of a module of the package: once imported, the module would stand in its place.
    """

    def find(name: str) -> Any:
        if name not in origins:
            raise AttributeError(f"module `{package}` has no attribute `{name}`")
        value = getattr(import_module(origins[name]), name)
        setattr(import_module(package), name, value)
        return value

    return find
