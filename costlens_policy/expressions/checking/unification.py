"""Type parameters and what they stand for: the specification's gradual typing, where ``dyn`` fits everything."""

from __future__ import annotations

from collections.abc import Iterable

from costlens_policy.expressions.types import BOOL, BYTES, DOUBLE, DYN, INT, NULL, STRING, UINT, UNKNOWN, Overload, Type

__all__ = ["Substitution", "is_parameter"]

_NEVER_NULL = frozenset({BOOL, BYTES, DOUBLE, INT, STRING, UINT})


_WRAPPER = "wrapper"
"""A scalar or null; where one meets its scalar, either may stand for the other."""


def is_parameter(candidate: Type) -> bool:
    name = candidate.name
    return name[0] == "<" and name != UNKNOWN.name


class Substitution:
    """What each type parameter stands for so far. An attempt that fails leaves no trace."""

    def __init__(self) -> None:
        self._bound: dict[Type, Type] = {}
        self._made = 0

    def fresh(self) -> Type:
        """Return a parameter that nothing is known of yet."""
        self._made += 1
        return Type(f"<{self._made}>")

    def instantiate(self, overload: Overload) -> tuple[tuple[Type, ...], Type]:
        """Return an overload's parameters and result, with fresh type parameters."""
        names: dict[Type, Type] = {}
        parameters = tuple(self._renamed(item, names) for item in overload.parameters)
        return parameters, self._renamed(overload.result, names)

    def _renamed(self, item: Type, names: dict[Type, Type]) -> Type:
        if is_parameter(item):
            if item not in names:
                names[item] = self.fresh()
            return names[item]
        if not item.parameters:
            return item
        return Type(item.name, tuple(self._renamed(inner, names) for inner in item.parameters))

    def fits(self, pairs: Iterable[tuple[Type, Type]]) -> bool:
        """Return whether each second type can stand where the first is wanted; if all can, remember what that takes."""
        before = dict(self._bound)
        if all(self._assignable(wanted, given) for wanted, given in pairs):
            return True
        self._bound = before
        return False

    def join(self, first: Type, second: Type) -> Type:
        """Return the more general of two types that agree, else ``dyn``."""
        return _most_general(first, second) if self.fits([(first, second)]) else DYN

    def resolve(self, item: Type, unbound: Type | None = None) -> Type:
        """Put in what is known; a parameter of which nothing is known becomes ``unbound``, or stays."""
        if is_parameter(item):
            if item in self._bound:
                return self.resolve(self._bound[item], unbound)
            return item if unbound is None else unbound
        if not item.parameters:
            return item
        return Type(item.name, tuple(self.resolve(inner, unbound) for inner in item.parameters))

    def _assignable(self, wanted: Type, given: Type) -> bool:
        if wanted == given:
            return True
        if is_parameter(given):
            agreed = self._bind(given, wanted)
            if agreed or given in self._bound:
                return agreed
        if is_parameter(wanted):
            return self._bind(wanted, given)
        if DYN in (wanted, given) or UNKNOWN in (wanted, given):
            return True
        if NULL in (wanted, given):
            other = given if wanted == NULL else wanted
            return other not in _NEVER_NULL and other.name not in ("list", "map", "type")
        if wanted.name != given.name:
            return _WRAPPER in (wanted.name, given.name) and self._assignable(_unwrapped(wanted), _unwrapped(given))
        if wanted.name == "type":
            return True
        return len(wanted.parameters) == len(given.parameters) and all(
            self._assignable(*pair) for pair in zip(wanted.parameters, given.parameters, strict=True)
        )

    def _bind(self, name: Type, meaning: Type) -> bool:
        if name in self._bound:
            known = self._bound[name]
            if known == meaning:
                return True
            if not self._assignable(meaning, known):
                return False
            general = _most_general(meaning, known)
            if not self._occurs(name, general):
                self._bound[name] = general
            return True
        if self._occurs(name, meaning):
            return False
        self._bound[name] = meaning
        return True

    def _occurs(self, name: Type, item: Type) -> bool:
        if item == name:
            return True
        if item in self._bound:
            return self._occurs(name, self._bound[item])
        return any(self._occurs(name, inner) for inner in item.parameters)


def _most_general(first: Type, second: Type) -> Type:
    return first if _at_most_as_specific(first, second) else second


def _at_most_as_specific(first: Type, second: Type) -> bool:
    if first == DYN or is_parameter(first):
        return True
    if second == DYN or is_parameter(second):
        return False
    if second == NULL or first.name == _WRAPPER != second.name:
        return True
    if first.name != second.name or len(first.parameters) != len(second.parameters):
        return False
    return all(_at_most_as_specific(*pair) for pair in zip(first.parameters, second.parameters, strict=True))


def _unwrapped(item: Type) -> Type:
    return item.parameters[0] if item.name == _WRAPPER else item
