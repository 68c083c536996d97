"""The classes that a saved plan is made of: how each is named, and which fields make it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from importlib import import_module
from operator import attrgetter
from typing import Any, Final

from costlens_policy.saving.errors import NotSavable, UnusablePlan

__all__ = ["class_named", "constructor", "fields_of", "name_of", "parts_of"]

_PACKAGE: Final = "costlens_policy."
_PHASES: Final = frozenset(
    (
        "catalogue", "checker", "clock", "compiler", "diagnostics", "documents", "expressions", "money", "periods",
        "rewrites", "source", "tokens",
    )
)  # fmt: skip
"""Where these classes are defined: nothing in these phases opens a file or a connection when it is made."""


def name_of(kind: type) -> str:
    """Return the name of a class, such as ``compiler.plan:Layer``. Raises ``NotSavable`` for one that has no place."""
    module = kind.__module__.removeprefix(_PACKAGE)
    if module == kind.__module__ or not _is_savable(module, kind):
        raise NotSavable(f"a plan that holds a {kind.__module__}.{kind.__qualname__} cannot be saved")
    return f"{module}:{kind.__qualname__}"


def class_named(name: str) -> type:
    """Return the class of a name. Raises ``UnusablePlan`` for any that a plan is not made of."""
    module, _, qualified = name.partition(":")
    try:
        if module.partition(".")[0] in _PHASES:
            kind = getattr(import_module(_PACKAGE + module), qualified)
            if isinstance(kind, type) and kind.__module__ == _PACKAGE + module and _is_savable(module, kind):
                return kind
    except (ImportError, AttributeError):
        pass
    raise UnusablePlan(f"it holds a `{name[:80]}`, which this version does not know")


def fields_of(kind: type) -> tuple[str, ...] | None:
    """Return the fields that make an object of a class; None where the object itself says what makes it."""
    if is_dataclass(kind):
        return tuple(item.name for item in fields(kind) if item.init)
    return None


def parts_of(kind: type) -> Callable[[Any], Sequence[Any]]:
    """Return what takes an object of a class apart into what its constructor needs, in order."""
    names = fields_of(kind)
    if names is not None:
        return attrgetter(*names) if len(names) > 1 else lambda value: [getattr(value, name) for name in names]
    if issubclass(kind, Enum):
        return lambda value: (value.value,)
    if _is_section(kind):
        return lambda value: ({name: getattr(value, name) for name in sorted(value.model_fields_set)},)
    return lambda value: tuple(value.__getnewargs__())


def constructor(kind: type) -> Callable[..., Any]:
    """Return what makes an object of a class from its parts."""
    if _is_section(kind):
        return lambda given: kind(**given)
    return kind


def _is_savable(module: str, kind: type) -> bool:
    if module.partition(".")[0] not in _PHASES:
        return False
    if is_dataclass(kind):
        return kind.__dataclass_params__.frozen and all(_by_position(item) for item in fields(kind))  # type: ignore[attr-defined]
    return issubclass(kind, Enum) or _is_section(kind) or "__getnewargs__" in vars(kind) or issubclass(kind, int)


def _by_position(item: Any) -> bool:
    return not item.init or item.kw_only is MISSING or not item.kw_only


def _is_section(kind: type) -> bool:
    """Say whether a class is a section of a document. The class that they all share is not imported to find out."""
    return hasattr(kind, "model_fields")
