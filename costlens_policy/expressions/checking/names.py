"""What an identifier stands for: a local variable, a variable of the environment, a type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from costlens_policy.expressions.declarations import TYPE_NAMES, functions
from costlens_policy.expressions.tree import Name, Node, Select
from costlens_policy.expressions.typed import Resolution, ResolutionKind
from costlens_policy.expressions.types import Environment, Function, Type, type_of

__all__ = ["Scope", "qualified_name"]


def qualified_name(node: Node) -> str | None:
    """Return ``a.b.c`` for a chain of plain selections on a name; brackets around a part break the chain."""
    fields: list[str] = []
    while isinstance(node, Select):
        if node.optional or node.operand.extent.start != node.extent.start:
            return None
        fields.append(node.field)
        node = node.operand
    return ".".join([node.name, *reversed(fields)]) if isinstance(node, Name) else None


class Scope:
    """The environment and the local variables that are visible at a place."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._locals: list[dict[str, Type]] = []
        self._namespaces = _prefixes(environment.container)

    @contextmanager
    def inside(self, variables: Mapping[str, Type]) -> Iterator[None]:
        """Make local variables visible while the block runs."""
        self._locals.append(dict(variables))
        yield
        self._locals.pop()

    def local(self, name: str) -> Resolution | None:
        for frame in reversed(self._locals):
            if name in frame:
                return Resolution(ResolutionKind.LOCAL, name, frame[name])
        return None

    def resolve(self, name: str) -> Resolution | None:
        """Resolve a possibly dotted name, the innermost namespace of the container first."""
        found = self.local(name)
        if found is not None or self.local(name.partition(".")[0]) is not None:
            return found
        return next((hit for candidate in self._candidates(name) if (hit := self._declared(candidate))), None)

    def function(self, name: str) -> Function | None:
        """Return the function of that name; what the environment declares stands beside what there always is."""
        for candidate in self._candidates(name):
            standard, own = functions().get(candidate), self._environment.functions.get(candidate)
            if standard and own:
                return Function(candidate, standard.overloads + own.overloads, standard.description)
            if standard or own:
                return standard or own
        return None

    def function_names(self) -> set[str]:
        return {*functions(), *self._environment.functions}

    def names(self) -> set[str]:
        """Return every name that could have been meant here."""
        return {*self._environment.variables, *(name for frame in self._locals for name in frame)}

    def _declared(self, name: str) -> Resolution | None:
        if name in self._environment.variables:
            return Resolution(ResolutionKind.VARIABLE, name, self._environment.variables[name])
        if name in TYPE_NAMES:
            return Resolution(ResolutionKind.TYPE, name, type_of(TYPE_NAMES[name]))
        return None

    def _candidates(self, name: str) -> Iterator[str]:
        if name.startswith("."):
            yield name[1:]
            return
        for prefix in self._namespaces:
            yield f"{prefix}.{name}"
        yield name


def _prefixes(container: str) -> tuple[str, ...]:
    """Return ``a.b`` and ``a`` for the container ``a.b``."""
    parts = container.split(".") if container else []
    return tuple(".".join(parts[:length]) for length in range(len(parts), 0, -1))
