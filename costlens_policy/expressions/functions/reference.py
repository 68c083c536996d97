"""The page of documentation that lists all functions, made from their rows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from costlens_policy.expressions.functions import LIBRARIES
from costlens_policy.expressions.types import Function, Overload, Type

__all__ = ["reference"]

_OPENING = """# Functions

Every function and operator that an expression may use, by family; `A` and `B` stand for any type. Those that bind a
variable or look at syntax (`has`, `get`, `all`, `exists`, `map`, `filter`, `cel.bind` and others) are macros:
[expressions](expressions.md) lists them. This page is generated from the program.
"""


def reference() -> str:
    """Return docs/functions.md."""
    return "\n".join([_OPENING, *(line for library in LIBRARIES for line in _section(library))]).rstrip() + "\n"


def _section(library: str) -> Iterator[str]:
    module = import_module(f"costlens_policy.expressions.functions.{library}")
    yield f"## {library.capitalize()}\n"
    yield f"{module.__doc__}\n"
    yield "| result | signatures |"
    yield "|---|---|"
    for function in module.FUNCTIONS:
        yield _row(function)
    yield ""


def _row(function: Function) -> str:
    signatures = "<br>".join(f"`{_signature(function.name, overload)}`" for overload in function.overloads)
    return f"| {function.description} | {signatures} |"


def _signature(name: str, overload: Overload) -> str:
    shown = [_shown(item) for item in overload.parameters]
    result = f" → {_shown(overload.result)}"
    if name == "@in" or name.startswith("_"):
        return f" {name.strip('_@')} ".join(shown) + result
    if name.endswith("_"):
        return name.strip("_") + shown[0] + result
    target = f"{shown.pop(0)}." if overload.member else ""
    return f"{target}{name}({', '.join(shown)}){result}"


def _shown(item: Type) -> str:
    return str(item).replace("<", "").replace(">", "")
