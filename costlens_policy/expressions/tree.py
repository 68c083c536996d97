"""The tree of an expression: what the parser makes, the checker types and the compiler reads.

Macros are nodes of their own (``Presence``, ``Comprehension``) instead of the specification's fold, so that the
compiler can turn them into Python comprehensions and a message can speak of what the author wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from costlens_policy.expressions.types import Environment, Type
from costlens_policy.expressions.values import Value
from costlens_policy.frozen import frozen

__all__ = [
    "Bind", "Call", "Comprehension", "Conditional", "Extent", "Index", "Invocation", "ListLiteral", "Literal", "Logic",
    "Macro", "MapEntry", "MapLiteral", "Name", "Node", "OptionalMap", "Presence", "Resolution", "ResolutionKind",
    "Select", "TypedExpr",
]  # fmt: skip


@frozen
class Extent:
    """Half-open stretch of the expression's text, in code points from 0."""

    start: int
    end: int


@frozen(eq=False)
class Literal:
    """A constant: null, bool, int, uint, double, string or bytes. One that is ``named`` was read from a constant."""

    extent: Extent
    value: Value
    named: bool = False


@frozen(eq=False)
class Name:
    """An identifier; a leading dot (absolute name) is kept in ``name``."""

    extent: Extent
    name: str


@frozen(eq=False)
class Select:
    """``operand.field``; with ``optional`` it is ``operand.?field``. ``field_extent`` covers the field's name."""

    extent: Extent
    operand: Node
    field: str
    field_extent: Extent
    optional: bool = False


@frozen(eq=False)
class Index:
    """``operand[key]``; with ``optional`` it is ``operand[?key]``."""

    extent: Extent
    operand: Node
    key: Node
    optional: bool = False


@frozen(eq=False)
class Call:
    """A function, a method (``target`` present) or an operator.

    Operators carry the specification's names: ``_+_ _-_ _*_ _/_ _%_ -_ !_ _==_ _!=_ _<_ _<=_ _>_ _>=_ @in``.
    ``function_extent`` covers the function's name or the operator's sign.
    """

    extent: Extent
    function: str
    function_extent: Extent
    target: Node | None
    arguments: tuple[Node, ...]


@frozen(eq=False)
class Logic:
    """``a && b && c`` or ``a || b || c`` as one node of two operands or more; ``operator`` is ``&&`` or ``||``."""

    extent: Extent
    operator: str
    operands: tuple[Node, ...]


@frozen(eq=False)
class Conditional:
    """``condition ? accepted : rejected``."""

    extent: Extent
    condition: Node
    accepted: Node
    rejected: Node


@frozen(eq=False)
class ListLiteral:
    """``[a, b]``; ``optional[i]`` says whether element ``i`` was written ``?x``."""

    extent: Extent
    elements: tuple[Node, ...]
    optional: tuple[bool, ...]


@frozen(eq=False)
class MapEntry:
    extent: Extent
    key: Node
    value: Node
    optional: bool = False


@frozen(eq=False)
class MapLiteral:
    extent: Extent
    entries: tuple[MapEntry, ...]


@frozen(eq=False)
class Presence:
    """The macro ``has(operand.field)``."""

    extent: Extent
    operand: Node
    field: str
    field_extent: Extent


class Macro(StrEnum):
    ALL = "all"
    EXISTS = "exists"
    EXISTS_ONE = "exists_one"
    MAP = "map"
    FILTER = "filter"
    TRANSFORM_LIST = "transformList"
    TRANSFORM_MAP = "transformMap"
    TRANSFORM_MAP_ENTRY = "transformMapEntry"
    SORT_BY = "sortBy"


@frozen(eq=False)
class Comprehension:
    """``range.all(v, predicate)`` and its kin.

    ``second`` names the second variable of the two-variable forms: there ``variable`` is the index of a list or the
    key of a map, ``second`` the element or the value. With one variable it is the element or the key.
    ``predicate`` is absent in ``map(v, transform)`` and may be in the ``transform…`` macros; ``transform`` is
    absent in ``all``, ``exists``, ``exists_one`` and ``filter``, a map in ``transformMapEntry``, the key in ``sortBy``.
    """

    extent: Extent
    macro: Macro
    macro_extent: Extent
    range: Node
    variable: str
    predicate: Node | None
    transform: Node | None
    second: str | None = None


@frozen(eq=False)
class Bind:
    """``cel.bind(variable, value, body)``; ``cel.block`` becomes nested ones with variables ``@index0``, ``@index1`` …

    ``value`` is evaluated when ``body`` first reads the variable, and at most once: an error in a value that nothing
    reads is no error.
    """

    extent: Extent
    variable: str
    value: Node
    body: Node


@frozen(eq=False)
class OptionalMap:
    """``operand.optMap(variable, transform)``; with ``flat`` ``optFlatMap``, whose transform is itself optional."""

    extent: Extent
    operand: Node
    variable: str
    transform: Node
    flat: bool = False


Node: TypeAlias = (
    Literal
    | Name
    | Select
    | Index
    | Call
    | Logic
    | Conditional
    | ListLiteral
    | MapLiteral
    | Presence
    | Comprehension
    | Bind
    | OptionalMap
)
"""Nodes are compared and hashed by identity, so they can be keys of tables such as ``TypedExpr.types``."""


class ResolutionKind(StrEnum):
    VARIABLE = "variable"
    LOCAL = "local"
    TYPE = "type"


@frozen
class Resolution:
    """What an identifier stands for.

    ``VARIABLE``: ``name`` is a key of the environment's variables, possibly dotted (``com.example.x``).
    ``LOCAL``: ``name`` is a variable of a comprehension, ``cel.bind`` or ``optMap``; the innermost one wins.
    ``TYPE``: a type value such as ``int``; ``type`` is then ``type(int)``.
    """

    kind: ResolutionKind
    name: str
    type: Type


@frozen
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


@frozen
class TypedExpr:
    """A checked expression.

    ``types`` holds every node's type. ``resolutions`` holds each ``Name``, and each ``Select`` that as a whole is
    a dotted name; nodes below such a ``Select`` have neither a type nor a resolution. A ``Name`` without a
    resolution (only in an unchecked expression) is an error when evaluated.
    ``references`` are the paths the expression reads, such as ``("request", "team")`` or ``("model",)``: a record's
    variable is followed by one field, every other variable stands alone. ``constants`` are the same of variables that
    never change.
    """

    source: str
    root: Node
    type: Type
    types: Mapping[Node, Type]
    resolutions: Mapping[Name | Select, Resolution]
    calls: Mapping[Call, Invocation]
    references: frozenset[tuple[str, ...]]
    environment: Environment
    constants: frozenset[tuple[str, ...]] = frozenset()
