"""From a plan to rows of numbers: each object once, after the objects that it is made of.

``leaves`` are values as JSON has them. A row is the index of a kind, then those of the object's parts: leaves come
first, rows are counted on from there. The last row is the whole. ``kinds`` are either a word (``tuple``, ``dict``,
``decimal`` …) or the name of a class with the fields that make it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from importlib import import_module
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from costlens_policy.frozen import frozen, is_frozen

__all__ = [
    "JSON", "Encoded", "ForeignPlan", "NotSavable", "UnusablePlan", "class_named", "constructor", "decode", "encode",
    "fields_of", "name_of", "parts_of", "reader", "writer",
]  # fmt: skip

Encoded: TypeAlias = dict[str, list[Any]]

_WORDS: Final[Mapping[type, str]] = {
    tuple: "tuple", list: "list", frozenset: "frozenset", dict: "dict", MappingProxyType: "proxy"
}  # fmt: skip


def encode(value: Any) -> Encoded:
    """Return ``kinds``, ``leaves`` and ``rows`` of a plan. Raises ``NotSavable``."""
    encoder = _Encoder()
    encoder.add(value)
    return encoder.encoded()


@frozen(eq=False)
class _Form:
    """How the objects of one class are written: the ``kind`` that the file knows, and how to get at their parts.

    ``shared`` means that equal objects of this class are interchangeable, so one row is enough.
    """

    kind: Any
    parts_of: Callable[[Any], Sequence[Any]]
    shared: bool


class _Open:
    """An object whose parts have to be written before itself, and which of them are ``waiting``."""

    __slots__ = ("form", "parts", "value", "waiting")

    def __init__(self, value: Any) -> None:
        self.value = value
        kind: type = type(value)
        self.form = _form(kind)
        self.parts = self.form.parts_of(value)
        self.waiting = iter(self.parts)


class _Encoder:
    """A leaf is referred to as ``~index`` until all are known."""

    def __init__(self) -> None:
        self._kinds: dict[_Form, int] = {}
        self._leaves: dict[tuple[type, Any], int] = {}
        self._rows: list[tuple[int, ...]] = []
        self._places: dict[int, int] = {}
        self._equal: dict[tuple[int, ...], int] = {}
        self._alive: list[Any] = []

    def encoded(self) -> Encoded:
        first = len(self._leaves)
        rows = [[row[0], *[part + first if part >= 0 else ~part for part in row[1:]]] for row in self._rows]
        leaves = [float(value) if kind is float else value for kind, value in self._leaves]
        return {"kinds": [form.kind for form in self._kinds], "leaves": leaves, "rows": rows}

    def add(self, value: Any) -> None:
        """Write a value and everything in it. Expressions nest deeper than Python's stack, so no call nests here."""
        stack = [_Open(value)]
        begun = {id(value)}
        while stack:
            item = stack[-1]
            for part in item.waiting:
                if type(part) not in JSON and id(part) not in self._places:
                    break
            else:
                self._close(stack.pop())
                continue
            if id(part) in begun:
                raise NotSavable("the plan contains an object that contains itself")
            begun.add(id(part))
            stack.append(_Open(part))

    def _close(self, item: _Open) -> None:
        form = item.form
        row = (self._kinds.setdefault(form, len(self._kinds)), *[self._reference(part) for part in item.parts])
        place = self._equal.get(row) if form.shared else None
        if place is None:
            place = len(self._rows)
            self._rows.append(row)
            if form.shared:
                self._equal[row] = place
        self._places[id(item.value)] = place
        self._alive += (item.value, item.parts)  # so that no other object gets the id of one of these

    def _reference(self, part: Any) -> int:
        kind = type(part)
        if kind not in JSON:
            return self._places[id(part)]
        key = (kind, repr(part) if kind is float else part)  # 0.0 and -0.0 are equal, and two leaves
        return ~self._leaves.setdefault(key, len(self._leaves))


@cache
def _form(kind: type) -> _Form:
    if (leaf := writer(kind)) is not None:
        word, write = leaf
        return _Form(word, lambda value: (write(value),), shared=True)
    if kind in (tuple, list):
        return _Form(_WORDS[kind], lambda value: value, shared=kind is tuple)
    if kind in _WORDS:
        return _Form(_WORDS[kind], _flat, shared=kind is frozenset)
    shared = is_dataclass(kind) and bool(kind.__dataclass_params__.eq)  # type: ignore[attr-defined]  # each has them
    return _Form((name_of(kind), fields_of(kind)), parts_of(kind), shared)


def _flat(value: Any) -> Sequence[Any]:
    if isinstance(value, frozenset):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    return [part for entry in value.items() for part in entry]


class NotSavable(Exception):  # noqa: N818 (names what is the case; users see a diagnostic or nothing)
    """The plan contains something that cannot be saved."""


class UnusablePlan(Exception):  # noqa: N818 (as above)
    """The file is not a saved plan, or is damaged. The message completes "… cannot be used: …"."""


class ForeignPlan(UnusablePlan):
    """The file was written by another version of this program, or in another format."""


_PACKAGE: Final = "costlens_policy."
_PHASES: Final = frozenset(
    (
        "carry_over", "catalogue", "checker", "clock", "compiler", "diagnostics", "documents", "expressions", "money",
        "periods", "rewrites", "signals", "source", "tokens",
    )
)  # fmt: skip
"""Where these classes are defined: nothing in these phases opens a file or a connection when it is made."""


def name_of(kind: type) -> str:
    """Return the name of a class, such as ``compiler.plan:Layer``. Raises ``NotSavable`` for one that has no place."""
    module = kind.__module__.removeprefix(_PACKAGE)
    if module == kind.__module__ or not _is_savable(module, kind):
        raise NotSavable(f"a plan with a {kind.__module__}.{kind.__qualname__} cannot be saved")
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
    raise UnusablePlan(f"it contains a `{name[:80]}`, which this version does not support")


def fields_of(kind: type) -> tuple[str, ...] | None:
    """Return the fields that construct an object of a class; None if the object itself defines them."""
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
        fixed = is_frozen(kind) or kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # each has them
        return fixed and all(_by_position(item) for item in fields(kind))
    return issubclass(kind, Enum) or _is_section(kind) or "__getnewargs__" in vars(kind) or issubclass(kind, int)


def _by_position(item: Any) -> bool:
    return not item.init or item.kw_only is MISSING or not item.kw_only


def _is_section(kind: type) -> bool:
    """Return whether a class is a section of a document. The class that they all share is not imported to find out."""
    return hasattr(kind, "model_fields")


JSON: Final = (type(None), bool, int, float, str)
"""Types whose values JSON gives back exactly; Python's JSON knows infinities, too."""

_PATTERN: Final = ("costlens_policy.patterns", "Pattern")

_WRITERS: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    Decimal: ("decimal", str),
    bytes: ("bytes", bytes.hex),
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
}
"""By type: the word for it in the file, and what writes a value of it."""


def writer(kind: type) -> tuple[str, Callable[[Any], str]] | None:
    """Return the word for a type and what writes its values; None where it is not a leaf."""
    if (kind.__module__, kind.__name__) == _PATTERN:
        return "pattern", _pattern_text
    return _WRITERS.get(kind)


def reader(word: str) -> Callable[[str], Any]:
    """Return what reads the values of a type. Raises ``UnusablePlan`` for an unknown word."""
    if word not in _READERS:
        raise UnusablePlan(f"it contains a `{word[:80]}`, which this version does not support")
    return _READERS[word]


def _pattern_text(pattern: Any) -> str:
    text = pattern.pattern
    return f"b{text.hex()}" if isinstance(text, bytes) else f"s{text}"


def _pattern(text: str) -> Any:
    from costlens_policy.patterns import LARGEST, compile_pattern

    own = text[0] == "b"
    return compile_pattern(bytes.fromhex(text[1:]), None) if own else compile_pattern(text[1:], LARGEST)


def _timedelta(text: str) -> timedelta:
    return timedelta(*map(int, text.split(" ")))


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "decimal": Decimal,
    "bytes": bytes.fromhex,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": _timedelta,
    "pattern": _pattern,
}


def decode(encoded: Any) -> Any:
    """Return what was encoded. Raises ``UnusablePlan`` for anything that ``encode`` does not give."""
    try:
        objects: list[Any] = list(encoded["leaves"])
        makers = [_maker(kind) for kind in encoded["kinds"]]
        get, add = objects.__getitem__, objects.append
        for row in encoded["rows"]:
            add(makers[row[0]](*map(get, row[1:])))
        return objects[-1]
    except UnusablePlan:
        raise
    except Exception as error:  # whatever a constructor says of parts that nobody but `encode` may give
        raise UnusablePlan("it is damaged") from error


def _maker(kind: Any) -> Callable[..., Any]:
    if isinstance(kind, str):
        return _CONTAINERS.get(kind) or reader(kind)
    name, names = kind
    found = class_named(name)
    if fields_of(found) != (None if names is None else tuple(names)):
        raise ForeignPlan(f"`{name[:80]}` has other fields in this version")
    return constructor(found)


def _dict(*flat: Any) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


_CONTAINERS: Final[Mapping[str, Callable[..., Any]]] = {
    "tuple": lambda *parts: parts,
    "list": lambda *parts: list(parts),
    "frozenset": lambda *parts: frozenset(parts),
    "dict": _dict,
    "proxy": lambda *flat: MappingProxyType(_dict(*flat)),
}
