"""The types of CEL, and what a policy declares: variables, records and their fields.

Names and rules follow the CEL specification, "Types" and "Gradual type checking".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from costlens_policy.frozen import frozen

__all__ = [
    "ANY_LIST", "ANY_MAP", "BOOL", "BYTES", "DOUBLE", "DURATION", "DYN", "INT", "NULL", "SCALAR", "STRING",
    "TIMESTAMP", "TYPE", "UINT", "UNKNOWN", "Environment", "Field", "Function", "Overload", "Record", "Shape", "Type",
    "is_numeric", "list_of", "map_of", "optional_of", "parameter", "type_of",
]  # fmt: skip


@frozen
class Shape:
    """The greatest size that a value can have, part by part.

    ``text``: characters of a string, or bytes. ``elements``: elements of a list, or entries of a map; each is an
    ``inner``, and a map's keys are ``key``. Both are None where nothing is known of them, as in ``dyn``.
    ``number``: what an int can be at most, None where that is not known. ``is_total`` says of a value whose ``inner``
    is not known that ``text`` and ``elements`` are those of all its levels together.
    """

    text: int = 0
    elements: int = 0
    inner: Shape | None = None
    key: Shape | None = None
    number: int | None = None
    is_total: bool = False


SCALAR: Final = Shape()
"""A number, a bool, a time: whatever has no size."""


@frozen
class Type:
    """A type, such as ``int``, ``list(string)`` or the record ``request``. Equal by structure.

    ``parameters`` is empty for scalars and records. A type parameter of a declaration is written ``<T>``.
    """

    name: str
    parameters: tuple[Type, ...] = ()

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(map(str, self.parameters))})"


INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
BOOL = Type("bool")
STRING = Type("string")
BYTES = Type("bytes")
NULL = Type("null_type")
DYN = Type("dyn")
TIMESTAMP = Type("timestamp")
DURATION = Type("duration")
TYPE = Type("type")
UNKNOWN = Type("<unknown>")
"""The type of what was already reported; nothing further is said about it."""


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


def optional_of(value: Type) -> Type:
    return Type("optional_type", (value,))


def type_of(value: Type) -> Type:
    """Return the type of a type value: ``type(int)``."""
    return Type("type", (value,))


def parameter(name: str) -> Type:
    """Return a type parameter of a declaration, such as ``<T>``."""
    return Type(f"<{name}>")


ANY_LIST = list_of(DYN)
ANY_MAP = map_of(DYN, DYN)


def is_numeric(candidate: Type) -> bool:
    return candidate in (INT, UINT, DOUBLE)


@frozen
class Field:
    """One attribute of a record. ``values`` lists the only values it can take, where that is declared.

    ``shape`` is how large it can be; where it is not known, sizes are assumed by type.
    """

    type: Type
    optional: bool = False
    values: tuple[str, ...] = ()
    description: str = ""
    shape: Shape | None = None


@frozen
class Record:
    """An object with declared fields, such as ``request`` or ``model``; a dict at run time.

    One with ``values`` is a table: a map from texts whose keys are known. Any key may be read, as ``table[key]``, and
    ``values`` is the type of whatever is there.
    """

    name: str
    fields: Mapping[str, Field]
    values: Type | None = None


@frozen
class Overload:
    """One signature. ``id`` is cel-go's overload name where it has one.

    Of a ``member`` (a method) the first parameter is the target.
    """

    id: str
    parameters: tuple[Type, ...]
    result: Type
    member: bool = False


@frozen
class Function:
    """A function, method or operator. ``name`` carries its namespace: ``math.greatest``, ``_+_``."""

    name: str
    overloads: tuple[Overload, ...]
    description: str = ""
    exact: Mapping[tuple[bool, tuple[Type, ...]], Overload] = field(init=False, repr=False, compare=False)
    """Overloads without type parameters, by whether they are methods and by their types: equal ones need no search."""

    def __post_init__(self) -> None:
        closed = [item for item in self.overloads if not any(map(_is_open, (*item.parameters, item.result)))]
        object.__setattr__(self, "exact", {(item.member, item.parameters): item for item in closed})


def _is_open(item: Type) -> bool:
    return item.name.startswith("<") or any(map(_is_open, item.parameters))


@frozen
class Environment:
    """What an expression may name. A variable whose type names a record is that record.

    ``functions`` are those beyond the standard library and the extensions, which are always there.
    ``container`` resolves unqualified names as the specification's "Name Resolution" says. ``constants`` are the values
    of variables that never change. ``aliases`` are variables that stand for a part of another one, by its path.
    ``entries`` are attributes of records, by the record and the attribute, that stand for an entry of a map: the path
    of the map, and the attribute of the record that is the key.
    """

    variables: Mapping[str, Type]
    records: Mapping[str, Record] = field(default_factory=dict)
    container: str = ""
    functions: Mapping[str, Function] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    entries: Mapping[tuple[str, str], tuple[tuple[str, str], str]] = field(default_factory=dict)

    def record(self, candidate: Type) -> Record | None:
        """Return the record that a type names, or None for every other type."""
        return None if candidate.parameters else self.records.get(candidate.name)

    def plain(self, candidate: Type) -> Type:
        """Return a type with maps in the place of tables, as functions take them."""
        record = self.record(candidate)
        if record is not None and record.values is not None:
            return map_of(STRING, self.plain(record.values))
        if not candidate.parameters:
            return candidate
        return Type(candidate.name, tuple(map(self.plain, candidate.parameters)))
