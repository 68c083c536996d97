"""``frozen``: the classes that ``dataclass(frozen=True, slots=True)`` makes, in a third of the time.

A process that decides defines over a hundred of them, and ``dataclasses`` compiles six functions of each from text:
more than half of the time until the first decision. Here only ``__init__`` is compiled. All other methods are closures
over the names of the fields. The result is a data class: ``fields``, ``replace``, ``asdict`` and ``match`` know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter, ge, gt, le, lt
from reprlib import recursive_repr
from typing import Any, Final, NoReturn, TypeVar, dataclass_transform, overload

__all__ = ["frozen", "is_frozen", "rebuilt"]

_Class = TypeVar("_Class", bound=type)


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: _Class, /) -> _Class: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(*, eq: bool = True, order: bool = False, kw_only: bool = False) -> Callable[[_Class], _Class]: ...
def frozen(cls: Any = None, /, *, eq: bool = True, order: bool = False, kw_only: bool = False) -> Any:
    """Make a class a frozen data class with slots. Without ``eq`` an instance equals nothing but itself."""
    return _made(cls, eq, order, kw_only) if cls is not None else lambda given: _made(given, eq, order, kw_only)


def is_frozen(cls: type) -> bool:
    """Whether ``frozen`` has made the class."""
    return getattr(cls, "__setattr__") is _assigned  # noqa: B009 (its type is another one)


def rebuilt(cls: _Class) -> _Class:
    """Make a data class whose instances are pickled and copied by the arguments that make them."""
    names = [item.name for item in fields(cls) if item.init]

    def reduced(self: object) -> tuple[Any, ...]:
        return _rebuilt, (cls, {name: getattr(self, name) for name in names})

    cls.__reduce__ = reduced  # type: ignore[method-assign, assignment] # one for all these classes
    return cls


def _rebuilt(cls: type, given: Mapping[str, Any]) -> object:
    return cls(**given)


def _made(cls: Any, eq: bool, order: bool, kw_only: bool) -> Any:
    cls.__doc__ = cls.__doc__ or f"{cls.__name__}(...)"  # else `dataclass` writes the signature there
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=kw_only, slots=True)(cls)
    made.__dataclass_params__.eq = eq
    items = fields(made)
    _add(made, "__init__", _init(made, items))
    _add(made, "__repr__", _repr([item.name for item in items if item.repr]))
    _add(made, "__getstate__", _state)
    _add(made, "__setstate__", _set_state)
    made.__setattr__, made.__delattr__ = _assigned, _deleted
    if eq:
        key = _values([item.name for item in items if item.compare])
        hashed = [item.name for item in items if (item.compare if item.hash is None else item.hash)]
        _add(made, "__eq__", _eq(key))
        _add(made, "__hash__", _hash(_values(hashed)))
        for compare in (lt, le, gt, ge) if order else ():
            setattr(made, f"__{compare.__name__}__", _order(key, compare))
    return made


def _add(cls: type, name: str, method: Any) -> None:
    """Add a method that the class does not define. Python itself puts None for the hash beside an equality."""
    if vars(cls).get(name) is None:
        setattr(cls, name, method)


_SET: Final = object.__setattr__
_MADE: Final = type("_Made", (), {"__repr__": lambda _: "<factory>"})()
"""Stands in the signature for a default that is made anew for each instance."""


def _init(cls: type, items: Sequence[Field[Any]]) -> Any:
    """Return ``__init__``. A field that is none of its parameters has a default, or is left to ``__post_init__``."""
    scope: dict[str, Any] = {"_made": _MADE}
    by_place: list[str] = ["self"]
    by_name: list[str] = []
    lines: list[str] = []
    for item in items:
        name = item.name
        value = name
        if item.default is not MISSING:
            scope[f"_default_{name}"] = item.default
            default = value = f"_default_{name}"
        elif item.default_factory is not MISSING:
            scope[f"_make_{name}"] = item.default_factory
            default, value = "_made", f"_make_{name}()"
        else:
            default = ""
        if item.init:
            (by_name if item.kw_only else by_place).append(f"{name}={default}" if default else name)
            value = f"{value} if {name} is _made else {name}" if default == "_made" else name
        if item.init or default:
            scope[f"_set_{name}"] = getattr(cls, name).__set__  # that of the slot, which is quicker than any other way
            lines.append(f" _set_{name}(self, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    parameters = ", ".join([*by_place, *(["*", *by_name] if by_name else [])])
    exec(f"def __init__({parameters}):\n" + ("\n".join(lines) or " pass"), scope)
    init = scope["__init__"]
    init.__module__, init.__qualname__ = cls.__module__, f"{cls.__qualname__}.__init__"
    init.__annotations__ = {item.name: item.type for item in items if item.init} | {"return": None}
    return init


def _values(names: Sequence[str]) -> Callable[[Any], Any]:
    """Return what gives the values of some fields, as a tuple: equal ones are compared by identity first."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple([getattr(self, name) for name in names])


def _eq(key: Callable[[Any], Any]) -> Any:
    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _order(key: Callable[[Any], Any], compare: Callable[[Any, Any], bool]) -> Any:
    def ordered(self: Any, other: Any) -> Any:
        return compare(key(self), key(other)) if other.__class__ is self.__class__ else NotImplemented

    return ordered


def _hash(key: Callable[[Any], Any]) -> Any:
    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(key(self))

    return __hash__


def _repr(names: Sequence[str]) -> Any:
    @recursive_repr()
    def __repr__(self: Any) -> str:  # noqa: N807
        return f"{self.__class__.__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in names])})"

    return __repr__


def _assigned(self: Any, name: str, value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _deleted(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, item.name) for item in fields(self)]


def _set_state(self: Any, state: Sequence[Any]) -> None:
    for item, value in zip(fields(self), state, strict=True):
        _SET(self, item.name, value)
