"""The request attributes that a policy set declares, beside and on top of the standard ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from costlens_policy.checker.attributes import STANDARD_ATTRIBUTES, DeclaredAttribute
from costlens_policy.checker.bundle import LinkedDocument
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents import PolicySetDocument
from costlens_policy.documents.policy_set import Attribute
from costlens_policy.expressions import DYN, STRING, Type, parse_type
from costlens_policy.source.located import Path

__all__ = ["declare_attributes"]

_SCALARS: Final = ("string", "int", "uint", "double", "bool", "bytes", "timestamp", "duration", "dyn")
_SIZED: Final = ("string", "bytes", "list", "map")
_KEYS: Final = ("string", "int", "uint", "bool")
_OTHER_NAMES: Final = {
    "str": "string", "text": "string", "float": "double", "number": "double", "integer": "int", "boolean": "bool",
    "array": "list(dyn)", "object": "map(string, dyn)", "dict": "map(string, dyn)", "any": "dyn",
    "list": "list(dyn)", "map": "map(string, dyn)", "datetime": "timestamp", "date": "timestamp",
}  # fmt: skip


def declare_attributes(
    policy_set: LinkedDocument[PolicySetDocument],
) -> tuple[Mapping[str, DeclaredAttribute], tuple[Diagnostic, ...]]:
    """Return all attributes of a set. One whose declaration is wrong is there, as ``dyn``, and reported."""
    attributes = dict(STANDARD_ATTRIBUTES)
    diagnostics: list[Diagnostic] = []
    for name, attribute in policy_set.document.attributes.items():
        declaration = _Declaration(policy_set, name, attribute)
        attributes[name] = declaration.read()
        diagnostics += declaration.diagnostics
    return attributes, tuple(diagnostics)


class _Declaration:
    """One attribute and what is wrong with it."""

    def __init__(self, policy_set: LinkedDocument[PolicySetDocument], name: str, attribute: Attribute) -> None:
        self._located = policy_set.located
        self._path: Path = ("attributes", name)
        self._name = name
        self._attribute = attribute
        self.diagnostics: list[Diagnostic] = []

    def read(self) -> DeclaredAttribute:
        given = self._attribute
        standard = STANDARD_ATTRIBUTES.get(self._name)
        found = self._type()
        if standard is not None and found is not None and standard.type not in (found, DYN):
            self._report_narrowing(standard.type)
            found = standard.type
        if given.values and found not in (STRING, None):
            self._report("CL212", "values", f"`values` are texts, and `{self._name}` is of type {found}", "no text")
        return DeclaredAttribute(
            name=self._name,
            type=found or DYN,
            required=given.required,
            default=None if found is None else self._default(found),
            values=given.values,
            description=given.description or (standard.description if standard else ""),
            max_size=self._max_size(found),
        )

    def _max_size(self, found: Type | None) -> int | None:
        given = self._attribute.max_size
        if given is not None and found is not None and found.name not in _SIZED:
            message = f"`max_size` is for texts, lists and maps, and `{self._name}` is of type {found}"
            self._report("CL212", "max_size", message, "has no size")
            return None
        return given

    def _report(self, code: str, key: str, message: str, label: str = "", advice: str = "") -> None:
        span = self._located.root.span_of((*self._path, key))
        self.diagnostics.append(Diagnostic(code, Severity.ERROR, message, span, label, advice))

    def _type(self) -> Type | None:
        text = self._attribute.type
        try:
            found = parse_type(text)
        except ValueError:
            self._report("CL210", "type", f"`{text}` is not a type", "cannot be read", _types_there_are())
            return None
        unknown = next(_unusable(found), None)
        if unknown is None:
            return found
        self._report("CL210", "type", f"`{unknown}` is not a type", "unknown type", _meant(unknown))
        return None

    def _report_narrowing(self, wanted: Type) -> None:
        message = f"`{self._name}` is a standard attribute of type {wanted}"
        advice = f"write `type: {wanted}`, or give your attribute another name"
        self._report("CL212", "type", message, "another type", advice)

    def _default(self, found: Type) -> Any:
        given = self._attribute
        if given.default is None:
            return None
        if not _fits(given.default, found):
            self._report("CL211", "default", f"the default is not of type {found}", f"this is no {found}")
        elif given.max_size is not None and found.name in _SIZED and len(given.default) > given.max_size:
            self._report("CL211", "default", f"the default is larger than `max_size`, {given.max_size}", "too large")
        elif given.values and given.default not in given.values:
            near = did_you_mean(str(given.default), given.values)
            advice = near or f"it is one of {listed(given.values, 'or')}"
            self._report("CL211", "default", f"the default `{given.default}` is not among `values`", "", advice)
        return _plain(given.default)


def _meant(unknown: Type) -> str:
    if unknown.name == "map" and len(unknown.parameters) == 2:
        return f"the keys of a map are of type {listed(_KEYS, 'or')}"
    if unknown.name in _SCALARS:
        return f"`{unknown.name}` stands alone"
    other = _OTHER_NAMES.get(str(unknown).lower())
    near = f"did you mean `{other}`?" if other else did_you_mean(unknown.name, (*_SCALARS, "list", "map"))
    return near or _types_there_are()


def _types_there_are() -> str:
    return f"types are {listed(_SCALARS)}, `list(…)` and `map(…, …)`"


def _unusable(found: Type) -> Iterator[Type]:
    """Yield the parts of a type that no attribute can have."""
    arity = {"list": 1, "map": 2}.get(found.name, 0)
    unknown = not arity and found.name not in _SCALARS
    for part in found.parameters:
        yield from _unusable(part)
    if unknown or len(found.parameters) != arity or (found.name == "map" and found.parameters[0].name not in _KEYS):
        yield found


def _fits(value: Any, wanted: Type) -> bool:
    """Say whether a plain value of YAML can stand for a value of a type."""
    match wanted.name:
        case "dyn":
            return True
        case "list":
            return isinstance(value, list) and all(_fits(item, wanted.parameters[0]) for item in value)
        case "map":
            return isinstance(value, dict) and all(_fits(item, wanted.parameters[1]) for item in value.values())
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "uint":
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64
        case "double":
            return isinstance(value, int | Decimal) and not isinstance(value, bool)
        case "timestamp":
            return isinstance(value, datetime) and value.tzinfo is not None
        case name:
            return isinstance(value, bool if name == "bool" else str)


def _plain(value: Any) -> Any:
    """Return a value with floats for decimals, as a request would carry it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return float(value) if isinstance(value, Decimal) else value
