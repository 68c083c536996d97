"""What each function takes at worst, and how large its result can be, from the shapes of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from costlens_policy.expressions.cost.sizes import CHARACTERS, LARGEST, Sizes, capped, joined
from costlens_policy.expressions.shapes import SCALAR, Shape
from costlens_policy.expressions.types import Type
from costlens_policy.patterns import PatternError, compile_pattern

__all__ = ["RULES", "SEARCHES", "Measure", "Use", "pattern_shape"]

SEARCHES: Final = ("matches", "regex.extract", "regex.extractAll", "regex.replace")
"""Functions whose second argument is a pattern."""
_SEARCHED: Final = 100
"""How many characters a pattern of size 1 is taken through in a step."""
_ASSUMED_PATTERN: Final = 500
"""The size that a pattern from data counts as. A larger one is held to the evaluation's `iterations`, as all are."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Steps, and the shape of what comes out."""

    steps: int
    shape: Shape = SCALAR


@dataclass(frozen=True, slots=True)
class Use:
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

Rule: TypeAlias = Callable[[Use], Measure]


def _steps(characters: int, rate: int = CHARACTERS) -> int:
    return 1 + characters // rate


def _constant(use: Use) -> Measure:
    return Measure(1, use.result)


def _size(use: Use) -> Measure:
    return Measure(1, Shape(number=max(use.text, use.elements)))


def _same(use: Use) -> Measure:
    """The result is the first argument, or no larger."""
    return Measure(1 + use.sizes.weight(use.arguments[0]), use.arguments[0])


def _scan(use: Use) -> Measure:
    """All characters are looked at once; the result has a size of its own, if any."""
    return Measure(_steps(use.text), use.result)


def _short_text(use: Use) -> Measure:
    """Scalars in, a text of some characters out; a text stays as long as it is."""
    return Measure(_steps(use.text), Shape(text=max(64, use.text)))


def _hash(use: Use) -> Measure:
    return Measure(10 + use.text // 40)


def _tokens(use: Use) -> Measure:
    return Measure(10 + use.text // 10 + use.elements * (20 + use.sizes.weight(use.sizes.any)), Shape())


def _equality(use: Use) -> Measure:
    """Values are compared as far as the smaller of them goes."""
    return Measure(1 + min(map(use.sizes.weight, use.arguments)))


def _membership(use: Use) -> Measure:
    sought, container = use.arguments
    if container.key is not None:
        return Measure(1)
    once = 1 + min(use.sizes.weight(sought), use.sizes.weight(use.sizes.inner(container)))
    return Measure(1 + container.elements * once)


def _sum(use: Use) -> Measure:
    """Numbers are added, texts and lists joined."""
    numbers = [argument.number for argument in use.arguments]
    whole = joined(use.arguments)
    number = None if None in numbers else sum(number for number in numbers if number is not None)
    shape = replace(whole, text=capped(use.text), elements=capped(use.elements), number=number)
    return Measure(_steps(use.text) + use.elements // 10, shape)


def _match(use: Use) -> Measure:
    """A search takes time in proportion to the text and the size of the pattern."""
    text, pattern = use.arguments[:2]
    return Measure(_match_steps(text, pattern), use.result)


def _glob(use: Use) -> Measure:
    text, pattern = use.arguments
    return Measure(_match_steps(text, pattern_shape(None, pattern)), use.result)


def _match_steps(text: Shape, pattern: Shape) -> int:
    """Return the steps of a search; ``pattern`` is as large as its compiled form."""
    return 10 + (text.text + 1) * (1 + pattern.text) // _SEARCHED + pattern.text


def pattern_shape(pattern: str | None, given: Shape) -> Shape:
    """Return the shape of a pattern, as large as its compiled form; None and its own shape are of one from data."""
    try:
        return Shape(text=min(given.text, _ASSUMED_PATTERN) if pattern is None else compile_pattern(pattern).size)
    except PatternError:
        return given


def _matches(use: Use) -> Measure:
    text, pattern = use.arguments[:2]
    found = text.text + 1
    return Measure(_match_steps(text, pattern) + 10 * found, Shape(elements=found, inner=Shape(text=text.text)))


def _match_replaced(use: Use) -> Measure:
    text, pattern, new = use.arguments[:3]
    size = capped((text.text + 1) * (new.text + 1))
    return Measure(_match_steps(text, pattern) + 10 * (text.text + 1) + size // CHARACTERS, Shape(text=size))


def _replaced(use: Use) -> Measure:
    text, _, new = use.arguments[:3]
    size = capped(text.text + (text.text + 1) * new.text)
    return Measure(_steps(use.text + size), Shape(text=size))


def _split(use: Use) -> Measure:
    parts = use.arguments[0].text + 1
    return Measure(1 + parts // 10, Shape(elements=parts, inner=Shape(text=use.arguments[0].text)))


def _joined(use: Use) -> Measure:
    parts, *separator = use.arguments
    each = use.sizes.inner(parts).text + sum(item.text for item in separator)
    size = capped(parts.elements * each)
    return Measure(_steps(size) + parts.elements, Shape(text=size))


def _formatted(use: Use) -> Measure:
    """A clause may ask for a thousand digits, or show a value again with quotes, commas and colons around its parts."""
    template, values = use.arguments
    clauses = template.text // 2
    each = use.sizes.inner(values)
    size = capped(template.text + clauses * (1_400 + _written(each, use.sizes)))
    return Measure(_steps(size) + clauses * (1 + use.sizes.weight(each)), Shape(text=size))


def _written(shape: Shape, sizes: Sizes) -> int:
    if not shape.elements:
        return shape.text + 64
    inner = 64 if shape.inner is None else _written(shape.inner, sizes)
    return shape.elements * (inner + 8 + (0 if shape.key is None else _written(shape.key, sizes)))


def _character(use: Use) -> Measure:
    return Measure(1, Shape(text=1))


def _range(use: Use) -> Measure:
    number = use.arguments[0].number
    elements = LARGEST if number is None else capped(max(0, number))
    return Measure(1 + elements, Shape(elements=elements, inner=Shape(number=elements)))


def _element(use: Use) -> Measure:
    return Measure(1, use.sizes.inner(use.arguments[0]))


def _flattened(use: Use) -> Measure:
    lists = use.arguments[0]
    inner = use.sizes.inner(lists)
    elements = capped(lists.elements * max(1, inner.elements))
    return Measure(1 + elements, Shape(elements=elements, inner=inner.inner))


def _distinct(use: Use) -> Measure:
    elements = use.arguments[0]
    looks = elements.elements if use.plain else elements.elements**2
    return Measure(1 + looks, elements)


def _sorted(use: Use) -> Measure:
    elements = use.arguments[0]
    return Measure(1 + sorting_steps(elements.elements), elements)


def sorting_steps(elements: int) -> int:
    """Return the steps of sorting: the comparisons that it takes."""
    return elements * elements.bit_length()


def _sets(use: Use) -> Measure:
    first, second = use.arguments
    looks = first.elements + second.elements if use.plain else first.elements * second.elements * 2
    return Measure(1 + looks)


def _either(use: Use) -> Measure:
    return Measure(1, joined(use.arguments))


def _extremum(use: Use) -> Measure:
    """Of numbers, or of a list of them."""
    return Measure(1 + use.elements)


def _least(use: Use) -> Measure:
    numbers = [argument.number for argument in use.arguments if argument.number is not None]
    return Measure(1 + use.elements, Shape(number=min(numbers) if numbers else None))


def _unwrapped(use: Use) -> Measure:
    return Measure(1 + use.elements, use.arguments[0])


def _doubled(use: Use) -> Measure:
    size = capped(2 * use.text + 8)
    return Measure(_steps(size), Shape(text=size))


def _each(rule: Rule, names: str) -> Iterable[tuple[str, Rule]]:
    return ((name, rule) for name in names.split())


RULES: Final[Mapping[str, Rule]] = dict((
    *_each(_constant, "!_ -_ _-_ _*_ _/_ _%_ type"),
    *_each(_constant, "getFullYear getMonth getDayOfYear getDayOfMonth getDate getDayOfWeek"),
    *_each(_constant, "getHours getMinutes getSeconds getMilliseconds"),
    *_each(_constant, "math.ceil math.floor math.round math.trunc math.isNaN math.isInf math.isFinite"),
    *_each(_constant, "math.abs math.sign math.sqrt"),
    *_each(_constant, "math.bitAnd math.bitOr math.bitXor math.bitNot math.bitShiftLeft math.bitShiftRight"),
    *_each(_constant, "family isUnspecified isLoopback isGlobalUnicast isLinkLocalMulticast isLinkLocalUnicast"),
    *_each(_constant, "masked prefixLength optional.none hasValue usd"),
    *_each(_equality, "_==_ _!=_ _<_ _<=_ _>_ _>=_"),
    *_each(_scan, "bool int uint double timestamp duration contains startsWith endsWith indexOf lastIndexOf"),
    *_each(_scan, "ip isIP ip.isCanonical cidr isCIDR containsIP containsCIDR"),
    *_each(_same, "dyn bytes lowerAscii upperAscii substring trim reverse slice"),
    *_each(_short_text, "string"),
    *_each(_doubled, "strings.quote base64.encode base64.decode"),
    *_each(_match, "matches regex.extract"),
    *_each(_glob, "glob"),
    *_each(_either, "optional.of optional.ofNonZeroValue value or orValue"),
    *_each(_unwrapped, "optional.unwrap unwrapOpt"),
    *_each(_sets, "sets.contains sets.equivalent sets.intersects"),
    *_each(_element, "first last"),
    *_each(_hash, "hash sampled"),
    ("@in", _membership),
    ("_+_", _sum),
    ("charAt", _character),
    ("distinct", _distinct),
    ("flatten", _flattened),
    ("format", _formatted),
    ("join", _joined),
    ("lists.range", _range),
    ("math.greatest", _extremum),
    ("math.least", _least),
    ("regex.extractAll", _matches),
    ("regex.replace", _match_replaced),
    ("replace", _replaced),
    ("size", _size),
    ("sort", _sorted),
    ("split", _split),
    ("tokens", _tokens),
))  # fmt: skip
"""How to measure a call of each declared function; a test holds the table complete."""
