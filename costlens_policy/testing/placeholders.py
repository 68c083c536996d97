"""Fill the placeholders ``${axis}`` of a matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.source.located import Path

__all__ = ["UnknownAxisError", "fill"]

_PLACEHOLDER: Final = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_WORDS: Final = {True: "true", False: "false", None: "null"}


class UnknownAxisError(ValueError):
    """A placeholder names no axis, or no key of an axis' value: ``name`` in the text at ``path``, from ``start`` on."""

    def __init__(self, name: str, path: Path, start: int) -> None:
        super().__init__(name)
        self.name = name
        self.path = path
        self.start = start


def fill(value: Any, axes: Mapping[str, Any], path: Path = ()) -> Any:
    """Return a value with every placeholder in its texts filled in. Raises ``UnknownAxisError``.

    A text that is one placeholder and nothing else becomes the axis' value, whatever its type.
    """
    if isinstance(value, str):
        return _fill_text(value, axes, path) if "${" in value else value
    if isinstance(value, Mapping):
        return {key: fill(item, axes, (*path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, axes, (*path, index)) for index, item in enumerate(value)]
    return value


def _fill_text(text: str, axes: Mapping[str, Any], path: Path) -> Any:
    def value(found: re.Match[str]) -> Any:
        return "${" if found[1] is None else _value(found[1], axes, path, found.start(1))

    whole = _PLACEHOLDER.fullmatch(text)
    return value(whole) if whole is not None else _PLACEHOLDER.sub(lambda found: _text(value(found)), text)


def _value(name: str, axes: Mapping[str, Any], path: Path, start: int) -> Any:
    """Return the value of ``axis``, or of ``axis.key`` where it is a map. An axis may have dots in its own name."""
    found = _find(name, axes)
    if found is None:
        raise UnknownAxisError(name, path, start)
    return found[0]


def _find(name: str, axes: Mapping[str, Any]) -> tuple[Any] | None:
    """Return the value of a name, alone in a tuple, since the value itself may be null. The longest axis wins."""
    for axis in sorted(axes, key=len, reverse=True):
        if name == axis:
            return (axes[axis],)
        if name.startswith(f"{axis}."):
            found = _inside(axes[axis], name.removeprefix(f"{axis}.").split("."))
            if found is not None:
                return found
    return None


def _inside(value: Any, keys: list[str]) -> tuple[Any] | None:
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return (value,)


def _text(value: Any) -> str:
    return _WORDS[value] if value is None or isinstance(value, bool) else str(value)
