"""One pass over a typed expression: the steps of each node at worst, and the shape of its value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.functions.costs import (
    CallSizes,
    Measure,
    Sizes,
    capped,
    joined,
    pattern_from_data,
    sorting_steps,
)
from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.problems import Problem, shortened
from costlens_policy.expressions.tree import (
    Bind,
    Call,
    Comprehension,
    Conditional,
    Extent,
    Index,
    ListLiteral,
    Literal,
    Logic,
    Macro,
    MapLiteral,
    Name,
    Node,
    OptionalMap,
    Presence,
    ResolutionKind,
    Select,
    TypedExpr,
)
from costlens_policy.expressions.types import SCALAR, Shape
from costlens_policy.frozen import frozen
from costlens_policy.patterns import PatternError, compile_pattern

__all__ = ["WorstCase", "too_dear", "worst_case"]


@frozen
class WorstCase:
    """What one evaluation takes at worst.

    ``steps`` of the whole, the ``shape`` of its value, the steps of each node when it is evaluated once, and the nodes
    right ``below`` each; ``visits`` says how many elements each comprehension goes through. ``heaviest`` is the node
    whose value has the most parts, at all levels, and ``weight`` their number.
    """

    steps: int
    shape: Shape
    nodes: Mapping[Node, int]
    below: Mapping[Node, tuple[Node, ...]]
    visits: Mapping[Comprehension, int]
    heaviest: Node
    weight: int


def worst_case(typed: TypedExpr, limits: Limits = DEFAULT_LIMITS) -> WorstCase:
    """Measure an expression. It takes time in proportion to the expression's length."""
    walk = _Walk(typed, Sizes(limits))
    measure = walk.measure(typed.root)
    heaviest, weight = max(walk.weights.items(), key=lambda item: item[1], default=(typed.root, 0))
    return WorstCase(measure.steps, measure.shape, walk.nodes, walk.below, walk.visits, heaviest, weight)


class _Walk:
    def __init__(self, typed: TypedExpr, sizes: Sizes) -> None:
        self.typed = typed
        self.sizes = sizes
        self.nodes: dict[Node, int] = {}
        self.below: dict[Node, tuple[Node, ...]] = {}
        self.visits: dict[Comprehension, int] = {}
        self.weights: dict[Node, int] = {}
        self._locals: dict[str, Shape] = {}
        self._measured: list[Node] = []

    def measure(self, node: Node) -> Measure:
        siblings, self._measured = self._measured, []
        found = _RULES[type(node)](self, node)
        self.nodes[node], self.below[node] = found.steps, tuple(self._measured)
        if type(node) in _MAKING:
            self.weights[node] = self.sizes.weight(found.shape)
        self._measured = siblings
        siblings.append(node)
        return found

    def by_type(self, node: Node) -> Shape:
        """Return what the type of a node says about the size of its value."""
        return self.sizes.of(self.typed.types[node])

    def local(self, name: str) -> Shape:
        return self._locals.get(name, self.sizes.any)

    @contextmanager
    def inside(self, variables: Mapping[str, Shape]) -> Iterator[None]:
        outer = self._locals
        self._locals = {**outer, **variables}
        yield
        self._locals = outer


def _literal(_: _Walk, node: Literal) -> Measure:
    value = node.value
    if isinstance(value, str | bytes):
        return Measure(0, Shape(text=len(value)))
    return Measure(0, Shape(number=value) if type(value) is int else SCALAR)


def _name(walk: _Walk, node: Name | Select) -> Measure:
    resolution = walk.typed.resolutions.get(node)
    if resolution is not None and resolution.kind is ResolutionKind.LOCAL:
        return Measure(1, walk.local(resolution.name))
    return Measure(1, walk.by_type(node))


def _select(walk: _Walk, node: Select) -> Measure:
    if node in walk.typed.resolutions:
        return _name(walk, node)
    operand = walk.measure(node.operand)
    return Measure(operand.steps + 1, _member(walk, node, operand.shape))


def _member(walk: _Walk, node: Select, operand: Shape) -> Shape:
    """Return the shape of an attribute: as declared, or as whatever holds it says."""
    declared = walk.typed.types[node.operand]
    if declared.name == "optional_type" and declared.parameters:
        declared = declared.parameters[0]
    record = walk.typed.environment.record(declared)
    field = record.fields.get(node.field) if record is not None else None
    if field is None:
        return walk.sizes.inner(operand)
    if field.shape is None and record is not None and record.values is not None and operand.inner is not None:
        return operand.inner
    return walk.sizes.of(field.type) if field.shape is None else field.shape


def _index(walk: _Walk, node: Index) -> Measure:
    operand, key = walk.measure(node.operand), walk.measure(node.key)
    return Measure(operand.steps + key.steps + 1, walk.sizes.inner(operand.shape))


def _presence(walk: _Walk, node: Presence) -> Measure:
    return Measure(walk.measure(node.operand).steps + 1)


def _call(walk: _Walk, node: Call) -> Measure:
    invocation = walk.typed.calls[node]
    arguments = [walk.measure(argument) for argument in invocation.arguments]
    steps = sum(argument.steps for argument in arguments)
    shapes = [argument.shape for argument in arguments]
    row = functions().get(invocation.function)
    if row is None or not shapes:
        return Measure(steps + 1, walk.by_type(node))
    if row.pattern == "regex":
        shapes[1] = _pattern_shape(invocation.arguments[1], shapes[1])
    types = [walk.typed.types[argument] for argument in invocation.arguments]
    own = row.cost(CallSizes(shapes, types, walk.by_type(node), walk.sizes))
    return Measure(steps + own.steps, own.shape)


def _pattern_shape(pattern: Node, given: Shape) -> Shape:
    """Return the shape of a pattern: as large as its compiled form where it is written out."""
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        return pattern_from_data(given)
    try:
        return Shape(text=compile_pattern(pattern.value).size)
    except PatternError:
        return given


def _logic(walk: _Walk, node: Logic) -> Measure:
    return Measure(sum(walk.measure(operand).steps for operand in node.operands) + 1)


def _conditional(walk: _Walk, node: Conditional) -> Measure:
    condition = walk.measure(node.condition)
    branches = [walk.measure(node.accepted), walk.measure(node.rejected)]
    steps = condition.steps + max(branch.steps for branch in branches) + 1
    return Measure(steps, joined(branch.shape for branch in branches))


def _list(walk: _Walk, node: ListLiteral) -> Measure:
    parts = [walk.measure(element) for element in node.elements]
    inner = joined(part.shape for part in parts)
    return Measure(sum(part.steps for part in parts) + len(parts) + 1, Shape(elements=len(parts), inner=inner))


def _map(walk: _Walk, node: MapLiteral) -> Measure:
    keys = [walk.measure(entry.key) for entry in node.entries]
    values = [walk.measure(entry.value) for entry in node.entries]
    steps = sum(part.steps for part in (*keys, *values)) + len(keys) + 1
    inner, key = joined(part.shape for part in values), joined(part.shape for part in keys)
    return Measure(steps, Shape(elements=len(keys), inner=inner, key=key))


def _bind(walk: _Walk, node: Bind) -> Measure:
    value = walk.measure(node.value)
    with walk.inside({node.variable: value.shape}):
        body = walk.measure(node.body)
    return Measure(value.steps + body.steps + 1, body.shape)


def _optional_map(walk: _Walk, node: OptionalMap) -> Measure:
    operand = walk.measure(node.operand)
    with walk.inside({node.variable: operand.shape}):
        result = walk.measure(node.transform)
    return Measure(operand.steps + result.steps + 1, result.shape)


def _comprehension(walk: _Walk, node: Comprehension) -> Measure:
    container = walk.measure(node.range)
    elements = container.shape.elements
    walk.visits[node] = elements
    first, second = _variables(walk, node, container.shape)
    variables = {node.variable: first} if node.second is None else {node.variable: first, node.second: second}
    with walk.inside(variables):
        predicate = Measure(0) if node.predicate is None else walk.measure(node.predicate)
        transform = Measure(0) if node.transform is None else walk.measure(node.transform)
    steps = container.steps + elements * (1 + predicate.steps + transform.steps) + 1
    if node.macro is Macro.SORT_BY:
        steps += sorting_steps(elements)
    return Measure(steps, _made(walk, node, container.shape, first, transform.shape))


def _variables(walk: _Walk, node: Comprehension, container: Shape) -> tuple[Shape, Shape]:
    """Return the shapes of the two variables; with one variable only the first counts."""
    inner, key = walk.sizes.each(container), walk.sizes.key(container)
    if node.second is not None:
        return key, inner
    if container.key is not None:
        return key, inner
    return inner, inner


def _made(walk: _Walk, node: Comprehension, container: Shape, first: Shape, result: Shape) -> Shape:
    elements = container.elements
    match node.macro:
        case Macro.ALL | Macro.EXISTS | Macro.EXISTS_ONE:
            return SCALAR
        case Macro.FILTER | Macro.SORT_BY:
            return Shape(elements=elements, inner=first)
        case Macro.TRANSFORM_MAP:
            return Shape(elements=elements, inner=result, key=first)
        case Macro.TRANSFORM_MAP_ENTRY:
            entries = capped(elements * result.elements)
            return Shape(elements=entries, inner=walk.sizes.inner(result), key=walk.sizes.key(result))
    return Shape(elements=elements, inner=result)


_MAKING: Final = frozenset((Call, Comprehension, ListLiteral, MapLiteral))
"""Nodes whose values are new. The same list put into a list twice, and that twice again, doubles at each level."""

_RULES: Final[dict[type, Callable[[_Walk, Any], Measure]]] = {
    Bind: _bind,
    Call: _call,
    Comprehension: _comprehension,
    Conditional: _conditional,
    Index: _index,
    ListLiteral: _list,
    Literal: _literal,
    Logic: _logic,
    MapLiteral: _map,
    Name: _name,
    OptionalMap: _optional_map,
    Presence: _presence,
    Select: _select,
}


_MOST_SHOWN: Final = 10**15
_ONE_PASS: Final = "declare a `max_size` for the list, or use `in` or the functions of `sets`, which take one pass"
_SMALLER: Final = "declare a `max_size` for what it reads, or make a smaller value"


def too_dear(typed: TypedExpr, found: WorstCase, limits: Limits = DEFAULT_LIMITS) -> Problem | None:
    """Return the problem of an expression that may take more steps than the limit; None for every other."""
    if found.steps <= limits.cost:
        return None if found.weight <= limits.cost else _too_large(found, limits)
    message = f"this may take {_number(found.steps)} steps, above the limit of {limits.cost:,}"
    node, times = _to_blame(typed.root, found, limits.cost)
    advice = _advice(typed, found, node) if isinstance(node, Comprehension) else _SMALLER
    return Problem("CL319", message, _extent(node), _label(typed, found, node, times), advice)


def _advice(typed: TypedExpr, found: WorstCase, node: Comprehension) -> str:
    """Where most of the work is one and the same for each element, advise to do it once."""
    from costlens_policy.expressions.compile.reads import FreeNames  # for expressions that are refused, and no other

    names = FreeNames(typed)
    waiting = [child for child in found.below[node] if child is not node.range]
    same: list[Call] = []
    while waiting:
        child = waiting.pop()
        if isinstance(child, Call) and names.of(child).isdisjoint((node.variable, node.second)):
            same.append(child)
        else:
            waiting += found.below[child]
    dearest = max(same, key=lambda call: found.nodes[call], default=None)
    if dearest is None or 2 * found.nodes[dearest] * found.visits[node] < found.nodes[node]:
        return _ONE_PASS
    text = shortened(typed.source[dearest.extent.start : dearest.extent.end], 40)
    return f"evaluate `{text}` once: `cel.bind(name, {text}, …)` around the whole"


def _too_large(found: WorstCase, limits: Limits) -> Problem:
    message = f"this may make a value of {_number(found.weight)} parts, and reading it takes a step for each"
    label = f"the limit is {limits.cost:,}"
    return Problem("CL319", message, _extent(found.heaviest), label, "make a smaller value")


def _to_blame(root: Node, found: WorstCase, limit: int) -> tuple[Node, int]:
    """Follow the dearest parts down while they are too dear by themselves; return the last comprehension on the way.

    Where there is none it is the last node. With it comes how often it is evaluated.
    """
    node, times = root, 1
    blamed: tuple[Node, int] | None = None
    while True:
        if isinstance(node, Comprehension):
            blamed = node, times
        parts = [(child, times * _repeats(found, node, child)) for child in found.below[node]]
        dearest = max(parts, key=lambda part: found.nodes[part[0]] * part[1], default=None)
        if dearest is None or found.nodes[dearest[0]] * dearest[1] <= limit:
            return blamed or (node, times)
        node, times = dearest


def _repeats(found: WorstCase, node: Node, child: Node) -> int:
    return found.visits[node] if isinstance(node, Comprehension) and child is not node.range else 1


def _extent(node: Node) -> Extent:
    if isinstance(node, Comprehension):
        return node.macro_extent
    return node.function_extent if isinstance(node, Call) else node.extent


def _label(typed: TypedExpr, found: WorstCase, node: Node, times: int) -> str:
    again = "" if times == 1 else f", {_number(times)} times over"
    if isinstance(node, Comprehension):
        text = shortened(typed.source[node.range.extent.start : node.range.extent.end], 40)
        return f"visits {_number(found.visits[node])} elements of `{text}`{again}"
    return f"{_number(found.nodes[node])} steps{again}"


def _number(count: int) -> str:
    return f"{count:,}" if count <= _MOST_SHOWN else f"more than {_MOST_SHOWN:,}"
