"""What the type checker hands to the compiler: the tree, and what is known about each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from costlens_policy.expressions.tree import Call, Name, Node, Select
from costlens_policy.expressions.types import Environment, Type

__all__ = ["Invocation", "Resolution", "ResolutionKind", "TypedExpr"]


class ResolutionKind(StrEnum):
    VARIABLE = "variable"
    LOCAL = "local"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What an identifier stands for.

    ``VARIABLE``: ``name`` is a key of the environment's variables, possibly dotted (``com.example.x``).
    ``LOCAL``: ``name`` is a variable of a comprehension, ``cel.bind`` or ``optMap``; the innermost one wins.
    ``TYPE``: a type value such as ``int``; ``type`` is then ``type(int)``.
    """

    kind: ResolutionKind
    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a call calls. ``function`` carries its namespace (``math.greatest``, ``_+_``).

    ``arguments`` are all that are passed, the target of a method first; the target is not among them where it
    was only a namespace. ``overloads`` are the ids of the signatures that fit: exactly one where the types
    decide, several where ``dyn`` leaves the choice to run time, none where the function is not known (only in
    an unchecked expression: an error when evaluated).
    """

    function: str
    arguments: tuple[Node, ...]
    overloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TypedExpr:
    """A checked expression.

    ``types`` holds every node's type. ``resolutions`` holds each ``Name``, and each ``Select`` that as a whole is
    a dotted name; nodes below such a ``Select`` have neither a type nor a resolution. A ``Name`` without a
    resolution (only in an unchecked expression) is an error when evaluated.
    ``references`` are the paths the expression reads, such as ``("request", "team")`` or ``("model",)``: a record's
    variable is followed by one field, every other variable stands alone.
    """

    source: str
    root: Node
    type: Type
    types: Mapping[Node, Type]
    resolutions: Mapping[Name | Select, Resolution]
    calls: Mapping[Call, Invocation]
    references: frozenset[tuple[str, ...]]
    environment: Environment
