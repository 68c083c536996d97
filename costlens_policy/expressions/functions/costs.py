"""What a call takes at worst, and how large its result can be, from the sizes of its arguments.

A step is one operation on scalars, about a tenth of a microsecond. Sizes come from declarations; where nobody declared
one, from the limits' assumptions. Each row of a function names one of the rules below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from costlens_policy.expressions.limits import DEFAULT_LIMITS, Limits
from costlens_policy.expressions.types import DYN, SCALAR, Shape, Type
from costlens_policy.frozen import frozen

__all__ = [
    "CallSizes", "Measure", "Rule", "Sizes", "adding_up", "addition", "all_matches", "capped", "character",
    "comparison", "constant", "counting", "digesting", "distinct", "doubled", "either", "element", "extremum",
    "flattened", "formatted", "glob", "hashing", "joined", "joining", "least", "match_replaced", "membership",
    "pattern_from_data", "replaced", "same", "scan", "search", "set_comparison", "short_text", "size", "sorting",
    "sorting_steps", "split", "tokens", "unwrapped",
]  # fmt: skip

_CHARACTERS: Final = 1_000
"""Characters that a step searches or changes."""

_COMPARED: Final = 10_000
"""Characters that a step compares."""

_LARGEST: Final = 10_000_000
"""No value that an expression makes is larger: the run time refuses it."""

_SCALARS: Final = frozenset({
    "bool", "int", "uint", "double", "null_type", "timestamp", "duration", "type", "net.IP", "net.CIDR",
})  # fmt: skip


class Sizes:
    """What is assumed of values, and what follows from it."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.any: Final = Shape(limits.assumed_text, max(limits.assumed_list, limits.assumed_map))

    def of(self, declared: Type, size: int | None = None) -> Shape:
        """Return the shape of any value of a type; ``size`` is its declared greatest size, if it has one."""
        if declared.name in _SCALARS:
            return SCALAR
        match declared.name:
            case "string" | "bytes":
                return Shape(text=self._limits.assumed_text if size is None else size)
            case "list" if declared.parameters:
                elements = self._limits.assumed_list if size is None else size
                return Shape(elements=elements, inner=self.of(declared.parameters[0]))
            case "map" if declared.parameters:
                entries = self._limits.assumed_map if size is None else size
                key, value = declared.parameters
                return Shape(elements=entries, inner=self.of(value), key=self.of(key))
            case "optional_type" if declared.parameters:
                return self.of(declared.parameters[0], size)
        return self.any if size is None else Shape(size, size)

    def messages(self, size: int | None = None) -> Shape:
        """Return the shape of the messages of a request.

        Each has a text of the assumed length, in a few parts of whatever shape: the sizes of a message are those of all
        its levels together, so that going through its parts costs as much as going through its text.
        """
        message = Shape(self._limits.assumed_text, max(1, self._limits.assumed_list // 10), is_total=True)
        return Shape(elements=self._limits.assumed_list if size is None else size, inner=message)

    def inner(self, shape: Shape) -> Shape:
        """Return the shape of any one value in a list or a map; of a total, that one may hold all."""
        if shape.inner is None:
            return shape if shape.is_total else self.any
        return shape.inner

    def each(self, shape: Shape) -> Shape:
        """Return the shape of the elements that a comprehension goes through; those of a total share it."""
        if not shape.is_total or shape.inner is not None or not shape.elements:
            return self.inner(shape)
        return replace(shape, text=-(-shape.text // shape.elements), elements=1)

    def key(self, shape: Shape) -> Shape:
        """Return the shape of a map's keys; a list's are numbers."""
        if shape.key is not None:
            return shape.key
        if shape.is_total:
            return self.each(shape)
        return self.of(DYN) if shape.inner is None else SCALAR

    def weight(self, shape: Shape) -> int:
        """Return the steps that it takes to look at all of a value."""
        inner = 0 if shape.inner is None else self.weight(shape.inner)
        key = 0 if shape.key is None else self.weight(shape.key)
        return shape.text // _COMPARED + shape.elements * (1 + inner + key)


def joined(shapes: Iterable[Shape]) -> Shape:
    """Return the shape that covers all of some; of none, that of a scalar."""
    found = list(dict.fromkeys(shapes))
    return _cover(found) if len(found) > 1 else found[0] if found else SCALAR


def _cover(shapes: list[Shape]) -> Shape:
    numbers = [shape.number for shape in shapes]
    holding = [shape for shape in shapes if shape.elements]
    inner = [shape.inner for shape in holding if shape.inner is not None]
    is_known = len(inner) == len(holding)
    keys = [shape.key for shape in holding if shape.key is not None]
    return Shape(
        text=max(shape.text for shape in shapes),
        elements=max(shape.elements for shape in shapes),
        is_total=bool(holding) and all(shape.is_total for shape in holding),
        inner=joined(inner) if inner and is_known else None,
        key=joined(keys) if keys and is_known else None,
        number=None if None in numbers else max(number for number in numbers if number is not None),
    )


def capped(size: int) -> int:
    """Return a size that no value exceeds."""
    return min(size, _LARGEST)


_SEARCHED: Final = 100
"""How many characters a pattern of size 1 is taken through in a step."""
_ASSUMED_PATTERN: Final = 500
"""The size that a pattern from data counts as. A larger one is held to the evaluation's `iterations`, as all are."""


@frozen
class Measure:
    """Steps, and the shape of what comes out."""

    steps: int
    shape: Shape = SCALAR


@frozen
class CallSizes:
    """A call: the shapes and types of its arguments, and the shape that its type alone gives the result."""

    arguments: Sequence[Shape]
    types: Sequence[Type]
    result: Shape
    sizes: Sizes

    @property
    def plain(self) -> bool:
        """Whether Python's sets tell the elements of all its lists apart as CEL does, with one look at each."""
        inner = {declared.parameters for declared in self.types}
        return len(inner) == 1 and all(len(one) == 1 and one[0].name in _PLAIN for one in inner)

    @property
    def text(self) -> int:
        """Characters of all arguments together."""
        return sum(argument.text for argument in self.arguments)

    @property
    def elements(self) -> int:
        """Elements of all arguments together."""
        return sum(argument.elements for argument in self.arguments)


_PLAIN: Final = ("string", "int", "uint", "bytes", "bool")

Rule: TypeAlias = Callable[[CallSizes], Measure]


def _steps(characters: int) -> int:
    return 1 + characters // _CHARACTERS


def constant(call: CallSizes) -> Measure:
    return Measure(1, call.result)


def size(call: CallSizes) -> Measure:
    return Measure(1, Shape(number=max(call.text, call.elements)))


def same(call: CallSizes) -> Measure:
    """The result is the first argument, or no larger."""
    return Measure(1 + call.sizes.weight(call.arguments[0]), call.arguments[0])


def scan(call: CallSizes) -> Measure:
    """All characters are looked at once; the result has a size of its own, if any."""
    return Measure(_steps(call.text), call.result)


def short_text(call: CallSizes) -> Measure:
    """Scalars in, a text of some characters out; a text stays as long as it is."""
    return Measure(_steps(call.text), Shape(text=max(64, call.text)))


def hashing(call: CallSizes) -> Measure:
    return Measure(10 + call.text // 40)


def digesting(call: CallSizes) -> Measure:
    return Measure(10 + call.text // 40, Shape(text=32))


def tokens(call: CallSizes) -> Measure:
    return Measure(10 + call.text // 10 + call.elements * (20 + call.sizes.weight(call.sizes.any)), Shape())


def text(call: CallSizes) -> Measure:
    """All texts inside a value are joined; what is inside of a request, its messages say."""
    value = call.sizes.messages() if call.types[0].name == "request" else call.arguments[0]
    size = capped(_text_within(value) + value.elements)
    return Measure(10 + call.sizes.weight(value) + size // _CHARACTERS, Shape(text=size))


def _text_within(shape: Shape) -> int:
    """Return the characters of a value at all its levels; a value of which nothing is known counts as a flat one."""
    if shape.is_total:
        return shape.text
    if not shape.elements:
        return shape.text or 64
    key = 0 if shape.key is None else shape.key.text
    return shape.elements * (key + (shape.text if shape.inner is None else _text_within(shape.inner)))


def comparison(call: CallSizes) -> Measure:
    """Values are compared as far as the smaller of them goes."""
    return Measure(1 + min(map(call.sizes.weight, call.arguments)))


def membership(call: CallSizes) -> Measure:
    sought, container = call.arguments
    if container.key is not None:
        return Measure(1)
    once = 1 + min(call.sizes.weight(sought), call.sizes.weight(call.sizes.inner(container)))
    return Measure(1 + container.elements * once)


def addition(call: CallSizes) -> Measure:
    """Numbers are added, texts and lists joined."""
    numbers = [argument.number for argument in call.arguments]
    whole = joined(call.arguments)
    number = None if None in numbers else sum(number for number in numbers if number is not None)
    shape = replace(whole, text=capped(call.text), elements=capped(call.elements), number=number)
    return Measure(_steps(call.text) + call.elements // 10, shape)


def search(call: CallSizes) -> Measure:
    """A search takes time in proportion to the text and the size of the pattern."""
    text, pattern = call.arguments[:2]
    return Measure(_search_steps(text, pattern), call.result)


def glob(call: CallSizes) -> Measure:
    text, pattern = call.arguments
    return Measure(_search_steps(text, pattern_from_data(pattern)), call.result)


def _search_steps(text: Shape, pattern: Shape) -> int:
    """Return the steps of a search; ``pattern`` is as large as its compiled form."""
    return 10 + (text.text + 1) * (1 + pattern.text) // _SEARCHED + pattern.text


def pattern_from_data(given: Shape) -> Shape:
    """Return what a pattern counts as that is known only when it is evaluated."""
    return Shape(text=min(given.text, _ASSUMED_PATTERN))


def all_matches(call: CallSizes) -> Measure:
    text, pattern = call.arguments[:2]
    found = text.text + 1
    return Measure(_search_steps(text, pattern) + 10 * found, Shape(elements=found, inner=Shape(text=text.text)))


def match_replaced(call: CallSizes) -> Measure:
    text, pattern, new = call.arguments[:3]
    size = capped((text.text + 1) * (new.text + 1))
    return Measure(_search_steps(text, pattern) + 10 * (text.text + 1) + size // _CHARACTERS, Shape(text=size))


def replaced(call: CallSizes) -> Measure:
    text, _, new = call.arguments[:3]
    size = capped(text.text + (text.text + 1) * new.text)
    return Measure(_steps(call.text + size), Shape(text=size))


def split(call: CallSizes) -> Measure:
    parts = call.arguments[0].text + 1
    return Measure(1 + parts // 10, Shape(elements=parts, inner=Shape(text=call.arguments[0].text)))


def joining(call: CallSizes) -> Measure:
    parts, *separator = call.arguments
    each = call.sizes.inner(parts).text + sum(item.text for item in separator)
    size = capped(parts.elements * each)
    return Measure(_steps(size) + parts.elements, Shape(text=size))


def formatted(call: CallSizes) -> Measure:
    """A clause may ask for a thousand digits, or show a value again with quotes, commas and colons around its parts."""
    template, values = call.arguments
    clauses = template.text // 2
    each = call.sizes.inner(values)
    size = capped(template.text + clauses * (1_400 + _written(each, call.sizes)))
    return Measure(_steps(size) + clauses * (1 + call.sizes.weight(each)), Shape(text=size))


def _written(shape: Shape, sizes: Sizes) -> int:
    if not shape.elements:
        return shape.text + 64
    inner = 64 if shape.inner is None else _written(shape.inner, sizes)
    return shape.elements * (inner + 8 + (0 if shape.key is None else _written(shape.key, sizes)))


def character(call: CallSizes) -> Measure:
    return Measure(1, Shape(text=1))


def counting(call: CallSizes) -> Measure:
    number = call.arguments[0].number
    elements = _LARGEST if number is None else capped(max(0, number))
    return Measure(1 + elements, Shape(elements=elements, inner=Shape(number=elements)))


def element(call: CallSizes) -> Measure:
    return Measure(1, call.sizes.inner(call.arguments[0]))


def flattened(call: CallSizes) -> Measure:
    lists = call.arguments[0]
    inner = call.sizes.inner(lists)
    elements = capped(lists.elements * max(1, inner.elements))
    return Measure(1 + elements, Shape(elements=elements, inner=inner.inner))


def distinct(call: CallSizes) -> Measure:
    elements = call.arguments[0]
    looks = elements.elements if call.plain else elements.elements**2
    return Measure(1 + looks, elements)


def sorting(call: CallSizes) -> Measure:
    elements = call.arguments[0]
    return Measure(1 + sorting_steps(elements.elements), elements)


def sorting_steps(elements: int) -> int:
    """Return the steps of sorting: the comparisons that it takes."""
    return elements * elements.bit_length()


def set_comparison(call: CallSizes) -> Measure:
    first, second = call.arguments
    looks = first.elements + second.elements if call.plain else first.elements * second.elements * 2
    return Measure(1 + looks)


def either(call: CallSizes) -> Measure:
    return Measure(1, joined(call.arguments))


def extremum(call: CallSizes) -> Measure:
    """Of numbers, or of a list of them."""
    return Measure(1 + call.elements)


def adding_up(call: CallSizes) -> Measure:
    numbers = call.arguments[0]
    each = call.sizes.inner(numbers).number
    return Measure(1 + numbers.elements, Shape(number=None if each is None else max(0, each) * numbers.elements))


def least(call: CallSizes) -> Measure:
    numbers = [argument.number for argument in call.arguments if argument.number is not None]
    return Measure(1 + call.elements, Shape(number=min(numbers) if numbers else None))


def unwrapped(call: CallSizes) -> Measure:
    return Measure(1 + call.elements, call.arguments[0])


def doubled(call: CallSizes) -> Measure:
    size = capped(2 * call.text + 8)
    return Measure(_steps(size), Shape(text=size))
