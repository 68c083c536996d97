"""Arguments that are written out and can be tried at once: patterns, durations, timestamps, zones, addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.problems import shortened
from costlens_policy.expressions.tree import Literal, Node
from costlens_policy.expressions.values import Value

__all__ = ["check_literal_arguments"]

_PATTERN_AT: Final = {
    "matches": 1,
    "matches_string": 1,
    "regex_extract_string_string": 1,
    "regex_extractAll_string_string": 1,
    "regex_replace_string_string_string": 1,
    "regex_replace_string_string_string_int": 1,
}
_CONVERSIONS: Final = {
    "base64_decode_string": ("base64", ""),
    "int64_to_timestamp": ("a timestamp", "write seconds since 1970"),
    "string_to_bool": ("a bool", 'write "true" or "false"'),
    "string_to_cidr": ("a range of addresses", 'write "10.0.0.0/8" or "2001:db8::/32"'),
    "string_to_double": ("a number", 'write "1.5"'),
    "string_to_duration": ("a duration", 'write numbers with units, such as "90s", "1h30m" or "250ms"'),
    "string_to_int64": ("an int", 'write "15"'),
    "string_to_ip": ("an address", 'write "10.0.0.1" or "2001:db8::1"'),
    "string_to_timestamp": ("a timestamp", 'write RFC 3339 with a zone, such as "2026-01-31T08:00:00Z"'),
    "string_to_uint64": ("a uint", 'write "15"'),
}
"""What the argument of an overload must be, and how that is written."""


def check_literal_arguments(walk: Walk, overload: str, arguments: Sequence[Node]) -> None:
    """Report a literal argument that can only fail when it is evaluated."""
    if overload in _PATTERN_AT:
        _check_pattern(walk, arguments[_PATTERN_AT[overload]])
    elif overload in _CONVERSIONS:
        _check_conversion(walk, overload, arguments[0])
    elif overload == "glob_string":
        _check_glob(walk, arguments[1])
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
            advice = "repeat less, such as `.*` for `.{0,1000}`, or `{10,}` for `{10,1000}`"
        walk.report("CL311", "the pattern is not valid", node.extent, error.reason, advice)


def _check_glob(walk: Walk, node: Node) -> None:
    pattern = _text(node)
    if pattern is not None and _fails("glob_string", "", pattern):
        advice = "close every `[`, write the ends of a range in order, and `[[]` for a `[` itself"
        walk.report("CL311", "the shell pattern is not valid", node.extent, "this always fails", advice)


def _check_conversion(walk: Walk, overload: str, node: Node) -> None:
    if isinstance(node, Literal) and _fails(overload, node.value):
        kind, advice = _CONVERSIONS[overload]
        shown = shortened(node.value) if isinstance(node.value, str) else walk.text(node)
        walk.report("CL312", f"`{shown}` is not {kind}", node.extent, "this always fails", advice)


def _fails(overload: str, *arguments: Value) -> bool:
    # The run time brings RE2 and the address libraries along: it is loaded only where a literal is to be tried.
    from costlens_policy.expressions.runtime.errors import CelError
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
    from costlens_policy.expressions.runtime.calendar import zone
    from costlens_policy.expressions.runtime.errors import CelError

    try:
        zone(name)
    except CelError:
        advice = 'write a name such as "Europe/Berlin", or an offset such as "+01:00"'
        walk.report("CL312", f"`{shortened(name)}` is not a time zone", node.extent, "this always fails", advice)


def _text(node: Node) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None
