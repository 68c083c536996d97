"""Calls: which overloads fit the types of the arguments, and what is said where none does.

Arguments that are written out are tried at once: patterns, durations, timestamps, time zones, addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from costlens_policy.diagnostics.model import Severity
from costlens_policy.expressions.checking.walk import Walk, as_condition, qualified_name
from costlens_policy.expressions.functions import functions
from costlens_policy.expressions.functions.rows import ReadLiteral
from costlens_policy.expressions.problems import did_you_mean, shortened
from costlens_policy.expressions.syntax.macros import MACRO_NAMES
from costlens_policy.expressions.tree import Call, Invocation, ListLiteral, Literal, Node
from costlens_policy.expressions.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    NULL,
    UNKNOWN,
    Function,
    Overload,
    Type,
    is_numeric,
)
from costlens_policy.expressions.values import Value

__all__ = ["check_call"]


def check_call(walk: Walk, node: Call) -> Type:
    function, arguments, member = _callee(walk, node)
    types = [walk.type(argument) for argument in arguments]
    if function is None:
        walk.calls[node] = Invocation(node.function.removeprefix("."), arguments, ())
        return _unknown_function(walk, node, types)
    candidates = [item for item in function.overloads if item.member is member]
    exact = function.exact.get((member, tuple(types)))
    fitting, result = ([exact], exact.result) if exact else _fitting(walk, candidates, types)
    if not fitting and walk.environment.constants:
        types = [walk.plain(item) for item in types]
        fitting, result = _fitting(walk, candidates, types)
    if not fitting and _compares_numbers(function.name, types):
        fitting, result = [function.overloads[0]], BOOL
    walk.calls[node] = Invocation(function.name, arguments, tuple(item.id for item in fitting))
    if UNKNOWN in types:
        return result if fitting else UNKNOWN
    if not fitting:
        return _no_overload(walk, node, function, candidates, types)
    if walk.strict:
        _check_literal_arguments(walk, function.name, fitting[0].id, arguments)
        _check_declared_values(walk, function.name, arguments)
    return result


def _callee(walk: Walk, node: Call) -> tuple[Function | None, tuple[Node, ...], bool]:
    """Return the function, all its arguments, and whether it is called as a method.

    ``math.greatest(a)`` looks like a method; a function of the whole name is meant first.
    """
    if node.target is None:
        return walk.scope.function(node.function), node.arguments, False
    namespace = qualified_name(node.target)
    if namespace is not None:
        function = walk.scope.function(f"{namespace}.{node.function}")
        if function is not None:
            return function, node.arguments, False
    return walk.scope.function(node.function), (node.target, *node.arguments), True


def _fitting(walk: Walk, candidates: Sequence[Overload], types: Sequence[Type]) -> tuple[list[Overload], Type]:
    """Return the overloads that fit, and the type that they agree on."""
    fitting: list[Overload] = []
    agreed = UNKNOWN
    for candidate in candidates:
        if len(candidate.parameters) != len(types):
            continue
        parameters, result = walk.substitution.instantiate(candidate)
        if not walk.substitution.fits(zip(parameters, types, strict=True)):
            continue
        result = walk.substitution.resolve(result)
        agreed = result if not fitting or agreed == result else DYN
        fitting.append(candidate)
    return fitting, agreed


def _compares_numbers(function: str, types: Sequence[Type]) -> bool:
    """Numbers of all types are equal or not by their value on one line, so that the check has no reason to object."""
    if function in ("_==_", "_!=_"):
        return all(map(is_numeric, types))
    return function == "@in" and types[1].name == "list" and all(map(is_numeric, (types[0], types[1].parameters[0])))


_MOST_SHOWN = 6


def _no_overload(
    walk: Walk, node: Call, function: Function, candidates: Sequence[Overload], types: Sequence[Type]
) -> Type:
    """Report that no overload fits, with the reason that is the likeliest."""
    shown = [walk.shown(found) for found in types]
    if function.name.startswith("_") and len(types) == 2:
        return _operator(walk, node, shown)
    if function.name == "!_":
        return _not(walk, node, shown[0])
    if not candidates:
        return _other_style(walk, node, function)
    if all(len(item.parameters) != len(types) for item in candidates):
        return _number_of_arguments(walk, node, function, candidates)
    if function.name == "orValue" and shown[0].name == "optional_type":
        message = f"the default must be of type {shown[0].parameters[0]}, got {shown[1]}"
        return walk.report("CL304", message, node.arguments[0].extent, f"type {shown[1]}")
    given = shown[1:] if node.target is not None and candidates[0].member else shown
    listed = ", ".join(map(str, given))
    message = f"`{_written(function.name)}` does not take ({listed})"
    if candidates[0].member:
        message += f" on a value of type {shown[0]}"
    advice = _membership(walk, node, shown) or _listed(function.name, candidates)
    return walk.report("CL304", message, node.function_extent, "no overload fits", advice)


def _membership(walk: Walk, node: Call, types: Sequence[Type]) -> str:
    """``in`` is for lists and maps, ``contains`` for texts: the one is often written for the other."""
    names = [found.name for found in types]
    if node.function == "@in" and names == ["string", "string"]:
        return f"write `{walk.text(node.arguments[1])}.contains({walk.text(node.arguments[0])})`"
    if node.function == "contains" and names[0] in ("list", "map") and node.target is not None:
        return f"write `{walk.text(node.arguments[0])} in {walk.text(node.target)}`"
    return ""


def _operator(walk: Walk, node: Call, types: Sequence[Type]) -> Type:
    sign = node.function.strip("_")
    left, right = types
    label = f"{left} {sign} {right}"
    if is_numeric(left) and is_numeric(right) and left != right:
        advice = _conversion(walk, node, left, right)
        return walk.report("CL310", f"{left} and {right} do not mix in `{sign}`", node.function_extent, label, advice)
    if sign in ("==", "!="):
        return _comparison(walk, node, left, right, label)
    verb = "order" if sign in ("<", "<=", ">", ">=") else f"apply `{sign}` to"
    advice = _time_conversion(walk, node, left, right)
    if sign == "+" and "string" in (left.name, right.name):
        other = node.arguments[0 if right.name == "string" else 1]
        advice = f"write `string({walk.text(other)})`"
    advice = advice or _element(walk, node, left, right)
    return walk.report("CL304", f"cannot {verb} {left} and {right}", node.function_extent, label, advice)


def _element(walk: Walk, node: Call, left: Type, right: Type) -> str:
    """A map next to a value of its own kind stands for one of its values, such as a quality for that of a task."""
    for argument, own, other in zip(node.arguments, (left, right), (right, left), strict=True):
        if own.name == "map" and own.parameters[1] == other:
            return f"a map has several values; read one by its key, as in `{walk.text(argument)}[…]`"
    return ""


def _comparison(walk: Walk, node: Call, left: Type, right: Type, label: str) -> Type:
    sign = node.function.strip("_")
    message = f"cannot compare {left} with {right}"
    advice = ""
    if NULL in (left, right):
        message = f"a value of type {left if right == NULL else right} is never null"
        advice = "use `has(…)` to find out whether an attribute is present"
    elif left.name == "list" and right.name != "list":
        advice = f"write `{walk.text(node.arguments[1])} in {walk.text(node.arguments[0])}`"
    elif "optional_type" in (left.name, right.name):
        advice = "take the value out with `.orValue(…)`"
    elif conversion := _time_conversion(walk, node, left, right):
        advice = conversion
    elif "string" in (left.name, right.name):
        other = node.arguments[0 if right.name == "string" else 1]
        advice = f"write `string({walk.text(other)}) {sign} …`, or leave out the quotes"
    return walk.report("CL304", message, node.function_extent, label, advice)


def _conversion(walk: Walk, node: Call, left: Type, right: Type) -> str:
    """Return how to make two numbers one type; a literal is best rewritten, everything else is converted."""
    for argument, own, other in zip(node.arguments, (left, right), (right, left), strict=True):
        if isinstance(argument, Literal) and own == INT:
            suffix = ".0" if other == DOUBLE else "u"
            return f"write `{argument.value}{suffix}`"
    wanted = DOUBLE if DOUBLE in (left, right) else INT
    argument = node.arguments[0] if left != wanted else node.arguments[1]
    return f"write `{wanted}({walk.text(argument)})`"


def _time_conversion(walk: Walk, node: Call, left: Type, right: Type) -> str:
    """A text next to a time is meant to be one."""
    names = {left.name, right.name}
    kind = (names & {"timestamp", "duration"}) or {""}
    if names != {"string", *kind}:
        return ""
    argument = node.arguments[0 if left.name == "string" else 1]
    return f"write `{kind.pop()}({walk.text(argument)})`"


def _not(walk: Walk, node: Call, found: Type) -> Type:
    operand = node.arguments[0]
    message = f"`!` needs a bool, got {found}"
    return walk.report("CL309", message, operand.extent, f"type {found}", as_condition(walk.text(operand), found))


def _other_style(walk: Walk, node: Call, function: Function) -> Type:
    name = _written(function.name)
    if node.target is None:
        advice = f"write `{walk.text(node.arguments[0]) if node.arguments else 'x'}.{name}(…)`"
        return walk.report("CL304", f"`{name}` is a method", node.function_extent, "called as a function", advice)
    advice = f"write `{name}({walk.text(node.target)})`"
    return walk.report("CL304", f"`{name}` is not a method", node.function_extent, "called as a method", advice)


def _number_of_arguments(walk: Walk, node: Call, function: Function, candidates: Sequence[Overload]) -> Type:
    counts = sorted({len(item.parameters) - item.member for item in candidates})
    takes = " or ".join(map(str, counts))
    noun = "argument" if counts == [1] else "arguments"
    given = len(node.arguments)
    message = f"`{_written(function.name)}` takes {takes} {noun}, got {given}"
    return walk.report("CL304", message, node.function_extent, "", _listed(function.name, candidates))


def _listed(name: str, candidates: Sequence[Overload]) -> str:
    written = [_signature(name, item) for item in candidates[:_MOST_SHOWN]]
    return "available: " + ", ".join(written) + (" and more" if len(candidates) > _MOST_SHOWN else "")


def _signature(name: str, overload: Overload) -> str:
    texts = [str(item).replace("<", "").replace(">", "") for item in overload.parameters]
    if overload.member:
        return f"`{texts[0]}.{name}({', '.join(texts[1:])})`"
    return f"`{_written(name)}({', '.join(texts)})`"


def _written(name: str) -> str:
    return name.strip("@_") if not name[-1].isalnum() or name.startswith("@") else name


_OTHER_WORDS: Final = {
    **dict.fromkeys(("len", "length", "count"), "write `size(…)`"),
    **dict.fromkeys(("lower", "tolower", "tolowercase", "lowercase"), "write `.lowerAscii()`"),
    **dict.fromkeys(("upper", "toupper", "touppercase", "uppercase"), "write `.upperAscii()`"),
    **dict.fromkeys(("any", "some"), "write `.exists(item, …)`"),
    **dict.fromkeys(("includes", "in_list", "member", "one_of"), "write `value in list`"),
    **dict.fromkeys(("isempty", "empty"), "write `size(…) == 0`"),
    **dict.fromkeys(("regex", "match", "regexmatch", "re_match", "search"), 'write `.matches("pattern")`'),
    **dict.fromkeys(("strip", "trimspace"), "write `.trim()`"),
    **dict.fromkeys(("min", "minimum"), "write `math.least(…)`"),
    **dict.fromkeys(("max", "maximum"), "write `math.greatest(…)`"),
    **dict.fromkeys(("exist", "defined", "haskey", "has_key", "isset"), "write `has(…)`, or `key in map`"),
    **dict.fromkeys(("str", "tostring"), "write `string(…)`"),
    **dict.fromkeys(("float", "number"), "write `double(…)`"),
    **dict.fromkeys(("default", "ordefault", "coalesce"), "write `.orValue(…)`"),
}
"""What other languages call a thing, and how CEL writes it. A function of this name goes before."""


def _unknown_function(walk: Walk, node: Call, types: Sequence[Type]) -> Type:
    """Report a function that nobody declared, unless what it is called on is wrong already."""
    names = walk.scope.function_names() | MACRO_NAMES
    name = node.function
    if UNKNOWN in types:
        name = _in_namespace(walk, node, names)
        if not name:
            return UNKNOWN
    else:
        names = {name for name in names if "." not in name}
    advice = _OTHER_WORDS.get(name.lower()) or did_you_mean(name, {item for item in names if item[0].isalpha()})
    message = f"unknown function `{shortened(name)}`"
    return walk.report("CL303", message, node.function_extent, "no function has this name", advice)


def _in_namespace(walk: Walk, node: Call, names: set[str]) -> str:
    """Where an unknown variable was meant as a namespace, return the function's whole name and report that instead."""
    namespace = qualified_name(node.target) if node.target is not None else None
    if node.target is None or namespace is None:
        return ""
    name = f"{namespace}.{node.function}"
    dotted = {known for known in names if "." in known}
    if not (did_you_mean(name, dotted) or any(known.startswith(f"{namespace}.") for known in dotted)):
        return ""
    walk.problems[:] = [item for item in walk.problems if item.extent != node.target.extent]
    return name


def _check_literal_arguments(walk: Walk, name: str, overload: str, arguments: Sequence[Node]) -> None:
    """Report a literal argument that can only fail when it is evaluated."""
    row = functions().get(name)
    if row is None or all(item.id != overload for item in row.overloads):
        return
    if row.pattern == "regex":
        _check_pattern(walk, arguments[1])
    elif row.pattern == "glob":
        _check_glob(walk, arguments[1])
    elif overload in row.literals:
        _check_conversion(walk, overload, row.literals[overload], arguments[0])
    elif overload.endswith("_tz"):
        _check_zone(walk, arguments[1])


def _check_pattern(walk: Walk, node: Node) -> None:
    pattern = _text(node)
    if pattern is None:
        return
    from costlens_policy.patterns import PatternError, compile_pattern

    try:
        compile_pattern(pattern)
    except PatternError as error:
        advice = "patterns are RE2: without look-around and back-references"
        if error.reason == str(error):
            advice = "use fewer repetitions, such as `.*` for `.{0,1000}`, or `{10,}` for `{10,1000}`"
        walk.report("CL311", "the pattern is not valid", node.extent, error.reason, advice)
        return
    if "\b" in pattern:
        advice = 'write `\\\\b` for the end of a word, or a raw string: `r"\\b"`'
        label = "a string reads `\\b` as a backspace"
        walk.report("CL311", "the pattern contains a backspace", node.extent, label, advice, Severity.WARNING)


def _check_glob(walk: Walk, node: Node) -> None:
    pattern = _text(node)
    if pattern is not None and _fails("glob_string", "", pattern):
        advice = "close every `[`, write the ends of a range in order, and `[[]` for a `[` itself"
        walk.report("CL311", "the shell pattern is not valid", node.extent, "this always fails", advice)


def _check_conversion(walk: Walk, overload: str, wanted: ReadLiteral, node: Node) -> None:
    if isinstance(node, Literal) and _fails(overload, node.value):
        shown = shortened(node.value) if isinstance(node.value, str) else walk.text(node)
        walk.report("CL312", f"`{shown}` is not {wanted.kind}", node.extent, "this always fails", wanted.advice)


def _fails(overload: str, *arguments: Value) -> bool:
    # The run time brings RE2 and the address libraries along: it is loaded only where a literal is to be tried.
    from costlens_policy.expressions.errors import CelError
    from costlens_policy.expressions.runtime.functions import implementation

    try:
        implementation(overload)(*arguments)
    except CelError:
        return True
    return False


def _check_zone(walk: Walk, node: Node) -> None:
    name = _text(node)
    if name is None:
        return
    from costlens_policy.expressions.errors import CelError
    from costlens_policy.expressions.runtime.times import zone

    try:
        zone(name)
    except CelError:
        advice = 'write a name such as "Europe/Berlin", or an offset such as "+01:00"'
        walk.report("CL312", f"`{shortened(name)}` is not a time zone", node.extent, "this always fails", advice)


def _text(node: Node) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None


def _defaulted(node: Node) -> tuple[Node, str | None]:
    """Return what is read, and the text that stands in where it is missing, as in ``request.?tier.orValue("none")``."""
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        default = _text(node.arguments[0])
        return (node, None) if default is None else (node.target, default)
    return node, None


def _check_declared_values(walk: Walk, function: str, arguments: Sequence[Node]) -> None:
    """Warn of ``request.tier == "gold"`` where the tiers are declared and that is none of them."""
    if function not in ("_==_", "_!=_", "@in"):
        return
    for attribute, other in (tuple(arguments), tuple(reversed(arguments))):
        read, default = _defaulted(attribute)
        field = walk.fields.get(read)
        if field is None or not field.values:
            continue
        for literal in _texts(other):
            if literal.value not in field.values and literal.value != default:
                known = ", ".join(f"`{value}`" for value in field.values[:12])
                advice = did_you_mean(literal.value, field.values) or f"it is one of {known}"
                message = f"`{walk.text(attribute)}` is never `{shortened(literal.value)}`"
                walk.report("CL313", message, literal.extent, "not a declared value", advice, Severity.WARNING)


def _texts(node: Node) -> Iterator[Literal]:
    for item in node.elements if isinstance(node, ListLiteral) else (node,):
        if isinstance(item, Literal) and isinstance(item.value, str):
            yield item
