"""Data documents as expressions see them: their values and inferred types.

A map is a table: each key that it has is known with the type of its own value, and where a key is computed, the type is
that which all values share. Tables of equal structure are of one type, so that a list or map of rows keeps the names
and types of their columns; a column that some rows lack may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from costlens_policy.checker.bundle import LinkedDocument, SharedData
from costlens_policy.diagnostics.model import Diagnostic, Related, Severity, Span
from costlens_policy.documents import DataDocument
from costlens_policy.expressions import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Field,
    Record,
    Timestamp,
    Type,
    Value,
    list_of,
    parse_type,
)
from costlens_policy.expressions.functions.costs import joined
from costlens_policy.expressions.runtime import from_python
from costlens_policy.expressions.types import SCALAR, Shape
from costlens_policy.frozen import frozen
from costlens_policy.source.located import Path

__all__ = ["NO_DATA", "read_data"]

_MOST: Final = 50_000
"""Values of one document, keys aside."""
_MOST_COLUMNS: Final = 200
"""Keys that rows may have together; rows with more are ``dyn``."""
_MOST_PASSES: Final = 20
_INT_MAX: Final = 2**63 - 1

NO_DATA: Final = SharedData({}, {"data": Record("data", {})})


def read_data(documents: Sequence[LinkedDocument[DataDocument]]) -> tuple[SharedData, tuple[Diagnostic, ...]]:
    """Return what expressions read, and what is wrong with any document. One that is wrong is there, as ``dyn``."""
    diagnostics = list(_repeated(documents))
    values: dict[str, Value] = {}
    fields: dict[str, Field] = {}
    records: dict[str, Record] = {}
    types = _Types(records)
    for document in documents:
        reading = _Reading(document)
        value, kind = reading.read()
        diagnostics += reading.diagnostics
        values[document.name] = value
        made = types.of(kind, f"data.{document.name}")
        fields[document.name] = Field(made, shape=_shape(value), description=document.document.metadata.description)
    records["data"] = Record("data", fields)
    return SharedData(values, records), tuple(diagnostics)


def _repeated(documents: Sequence[LinkedDocument[DataDocument]]) -> Iterator[Diagnostic]:
    first: dict[str, Span] = {}
    for document in documents:
        span = document.located.root.span_of(("metadata", "name"))
        if (before := first.setdefault(document.name, span)) != span:
            message = f"two data documents of the set are named `{document.name}`"
            related = (Related(before, "first here"),)
            yield Diagnostic("CL206", Severity.ERROR, message, span, "again here", "rename one of them", related)


@frozen
class _Plain:
    """A scalar, or anything at all."""

    type: Type


@frozen
class _List:
    """A list; ``inner`` is None where it has no elements."""

    inner: _Kind | None


@frozen
class _Map:
    """A map: each key with its kind and whether it may be missing, and what all values share."""

    keys: tuple[tuple[str, _Kind, bool], ...]
    inner: _Kind | None


_Kind: TypeAlias = _Plain | _List | _Map
_Found: TypeAlias = tuple[Any, _Kind]
_ANY: Final = _Plain(DYN)
_NUMBERS: Final = (_Plain(INT), _Plain(DOUBLE))


def _join(one: _Kind, other: _Kind) -> _Kind:
    """Return what two kinds share."""
    if one == other:
        return one
    if one in _NUMBERS and other in _NUMBERS:
        return _Plain(DOUBLE)
    if isinstance(one, _List) and isinstance(other, _List):
        return _List(_shared((one.inner, other.inner)))
    if isinstance(one, _Map) and isinstance(other, _Map):
        columns = _columns(one, other)
        return _Map(columns, _shared((one.inner, other.inner))) if len(columns) <= _MOST_COLUMNS else _ANY
    return _ANY


def _columns(one: _Map, other: _Map) -> tuple[tuple[str, _Kind, bool], ...]:
    mine, theirs = ({key: (kind, optional) for key, kind, optional in item.keys} for item in (one, other))
    found = []
    for key in sorted({*mine, *theirs}):
        here = [item[key] for item in (mine, theirs) if key in item]
        kind = here[0][0] if len(here) == 1 else _join(here[0][0], here[1][0])
        found.append((key, kind, len(here) == 1 or any(optional for _, optional in here)))
    return tuple(found)


def _shared(kinds: Iterable[_Kind | None]) -> _Kind | None:
    found: _Kind | None = None
    for kind in dict.fromkeys(kinds):
        if kind is not None:
            found = kind if found is None else _join(found, kind)
    return found


def _promoted(kind: _Kind, whole: _Kind | None) -> _Kind:
    """Return a kind with doubles where the kind of all its siblings has them."""
    if kind == _Plain(INT) and whole == _Plain(DOUBLE):
        return _Plain(DOUBLE)
    if isinstance(kind, _List) and isinstance(whole, _List) and kind.inner is not None:
        return _List(_promoted(kind.inner, whole.inner))
    if isinstance(kind, _Map) and isinstance(whole, _Map):
        columns = {key: column for key, column, _ in whole.keys}
        keys = tuple(
            (key, _promoted(_promoted(own, columns.get(key)), whole.inner), optional)
            for key, own, optional in kind.keys
        )
        return _Map(keys, None if kind.inner is None else _promoted(kind.inner, whole.inner))
    return kind


def _converted(value: Any, kind: _Kind | None) -> Any:
    """Return a value with doubles where its kind has them."""
    if isinstance(kind, _Plain):
        return float(value) if kind.type == DOUBLE else value
    if isinstance(kind, _List):
        return [_converted(item, kind.inner) for item in value]
    if isinstance(kind, _Map):
        kinds = {key: own for key, own, _ in kind.keys}
        return {key: _converted(item, kinds.get(key)) for key, item in value.items()}
    return value


@dataclass(slots=True)
class _Reading:
    """Reads the value of one document: what CEL makes of it, and its kind."""

    document: LinkedDocument[DataDocument]
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _count: int = 0

    def read(self) -> _Found:
        given = self.document.document
        declared = DYN if given.type is None else self._declared(given.type)
        value, kind = self._held(given.data, declared, ("data",))
        if self._count > _MOST:
            message = f"a data document must have at most {_MOST:,} values, got {self._count:,}"
            advice = "split it, or have the service look up such values and send them as attributes"
            self._report_at_key(message, "too many", advice)
        for _ in range(_MOST_PASSES):  # a number that becomes a double may make doubles of others
            if self.diagnostics:
                return None, _ANY
            value, settled = self._held(value, declared, ("data",))
            if settled == kind:
                return value, kind
            kind = settled
        self._report_at_key(
            "some numbers have a point and others do not", "mixed in many ways", "write all with a point"
        )
        return None, _ANY

    def _report_at_key(self, message: str, label: str, advice: str) -> None:
        span = self.document.located.root.key_span(("data",))
        self.diagnostics.append(Diagnostic("CL221", Severity.ERROR, message, span, label, advice))

    def _declared(self, text: str) -> Type:
        try:
            found = parse_type(text)
        except ValueError:
            found = Type(text)
        unknown = next(_unusable(found), None)
        if unknown is None:
            return found
        advice = "write `string`, `int`, `double`, `bool`, `timestamp`, `dyn`, `list(…)` or `map(string, …)`"
        self._report("CL210", f"data cannot be of type `{unknown}`", ("type",), "not a type of data", advice)
        return DYN

    def _held(self, value: Any, declared: Type, path: Path) -> _Found:
        """Return a value held to a type, ``dyn`` standing for whatever it is."""
        self._count += 1
        if isinstance(value, dict):
            return self._map(value, declared, path)
        if isinstance(value, list):
            return self._list(value, declared, path)
        found, made = self._scalar(value, path)
        if found == INT and declared == DOUBLE:
            return float(made), _Plain(DOUBLE)
        if declared not in (DYN, found) and found != DYN:
            self._mismatch(declared, str(found), path)
        return made, _Plain(found)

    def _map(self, value: Mapping[str, Any], declared: Type, path: Path) -> _Found:
        inside = declared.parameters[1] if declared.name == "map" else DYN
        if declared.name not in ("map", "dyn"):
            self._mismatch(declared, "map", path)
        found = {key: self._held(item, inside, (*path, key)) for key, item in value.items()}
        inner = _shared(kind for _, kind in found.values()) or _kind_of(inside)
        kind = _Map(tuple((key, _promoted(own, inner), False) for key, (_, own) in sorted(found.items())), inner)
        return _converted({key: item for key, (item, _) in found.items()}, kind), kind

    def _list(self, value: Sequence[Any], declared: Type, path: Path) -> _Found:
        inside = declared.parameters[0] if declared.name == "list" else DYN
        if declared.name not in ("list", "dyn"):
            self._mismatch(declared, "list", path)
        found = [self._held(item, inside, (*path, index)) for index, item in enumerate(value)]
        kind = _List(_shared(own for _, own in found) or _kind_of(inside))
        return _converted([item for item, _ in found], kind), kind

    def _scalar(self, value: Any, path: Path) -> tuple[Type, Any]:
        match value:
            case bool():
                return BOOL, value
            case str():
                return STRING, value
            case int() if -_INT_MAX - 1 <= value <= _INT_MAX:
                return INT, value
            case Decimal() | float():
                return DOUBLE, float(value)
            case Timestamp():
                return TIMESTAMP, value
            case datetime() if value.tzinfo is not None:
                return TIMESTAMP, from_python(value)
        self._report("CL221", *_unusable_value(value, path))
        return DYN, None

    def _mismatch(self, declared: Type, found: str, path: Path) -> None:
        message = f"{_place(path)} must be of type {declared}, got {found}"
        self._report("CL222", message, path, f"type {found}")

    def _report(self, code: str, message: str, path: Path, label: str, advice: str = "") -> None:
        span = self.document.located.root.span_of(path)
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, label, advice))


def _unusable_value(value: Any, path: Path) -> tuple[str, Path, str, str]:
    if value is None:
        return f"{_place(path)} has no value", path, "nothing here", "omit the key, which makes the attribute absent"
    if isinstance(value, date):
        advice = "write a timestamp with a zone, such as `2026-11-01T00:00:00Z`, or quote it"
        return f"{_place(path)} must have a time and a zone", path, "not a timestamp", advice
    return f"{_place(path)} is outside the range of 64-bit integers", path, "too large", "quote it"


def _place(path: Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"`{text.removeprefix('.')}`"


def _unusable(found: Type) -> Iterator[Type]:
    """Yield the parts of a type that no data has."""
    arity = {"list": 1, "map": 2}.get(found.name, 0)
    known = arity or found in (BOOL, DOUBLE, DYN, INT, STRING, TIMESTAMP)
    by_text = found.name != "map" or found.parameters[:1] == (STRING,)
    if not known or not by_text or len(found.parameters) != arity:
        yield found
        return
    for part in found.parameters:
        yield from _unusable(part)


def _kind_of(declared: Type) -> _Kind | None:
    """Return the kind of what there is none of, by its declared type."""
    if declared.name == "list":
        return _List(_kind_of(declared.parameters[0]))
    if declared.name == "map":
        return _Map((), _kind_of(declared.parameters[1]))
    return None if declared == DYN else _Plain(declared)


class _Types:
    """Makes types of kinds; one for all tables of equal structure. Their records are added to ``records``."""

    def __init__(self, records: dict[str, Record]) -> None:
        self._records = records
        self._made: dict[_Map, Type] = {}

    def of(self, kind: _Kind | None, name: str) -> Type:
        """Return the type of a kind. ``name`` is where it was found first, such as ``data.teams``."""
        if kind is None:
            return DYN
        if isinstance(kind, _Plain):
            return kind.type
        if isinstance(kind, _List):
            return list_of(self.of(kind.inner, f"{name}[]"))
        if kind not in self._made:
            values = self.of(kind.inner, f"{name}[]")
            keys = {key: Field(self.of(own, f"{name}{_step(key)}"), optional) for key, own, optional in kind.keys}
            self._records[name] = Record(name, keys, values)
            self._made[kind] = Type(name)
        return self._made[kind]


def _step(key: str) -> str:
    """Return a key as a step of a path; no two keys give the same."""
    return f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"


def _shape(value: Any) -> Shape:
    """Return how large a value is, part by part."""
    if isinstance(value, str):
        return Shape(text=len(value))
    if isinstance(value, list):
        return Shape(elements=len(value), inner=joined(map(_shape, value)))
    if isinstance(value, dict):
        key = Shape(text=max(map(len, value), default=0))
        return Shape(elements=len(value), inner=joined(map(_shape, value.values())), key=key)
    return Shape(number=value) if type(value) is int else SCALAR
