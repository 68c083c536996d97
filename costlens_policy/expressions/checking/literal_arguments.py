"""Arguments that are written out and can be checked at once: patterns, durations, timestamps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from costlens_policy.expressions.checking.walk import Walk
from costlens_policy.expressions.tree import Literal, Node

__all__ = ["check_literal_arguments"]

_PATTERN_AT = {
    "matches": 1,
    "matches_string": 1,
    "regex_extract_string_string": 1,
    "regex_extractAll_string_string": 1,
    "regex_replace_string_string_string": 1,
    "regex_replace_string_string_string_int": 1,
}
_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:ns|us|µs|μs|ms|s|m|h))++)")
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.\d{1,9})?(?:[Zz]|[-+](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def check_literal_arguments(walk: Walk, overload: str, arguments: Sequence[Node]) -> None:
    """Report a literal argument that can only fail when it is evaluated."""
    if overload in _PATTERN_AT:
        _check_pattern(walk, arguments[_PATTERN_AT[overload]])
    elif overload == "string_to_duration":
        _check_duration(walk, arguments[0])
    elif overload == "string_to_timestamp":
        _check_timestamp(walk, arguments[0])


def _check_pattern(walk: Walk, node: Node) -> None:
    if not isinstance(node, Literal) or not isinstance(node.value, str):
        return
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(node.value, options)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        advice = "patterns are RE2: without look-around and back-references"
        walk.report("CL311", "the pattern is not valid", node.extent, reason, advice)


def _check_duration(walk: Walk, node: Node) -> None:
    if isinstance(node, Literal) and isinstance(node.value, str) and not _DURATION.fullmatch(node.value):
        advice = 'write numbers with units, such as "90s", "1h30m" or "250ms"'
        walk.report("CL312", f"`{node.value}` is not a duration", node.extent, "", advice)


def _check_timestamp(walk: Walk, node: Node) -> None:
    if not isinstance(node, Literal) or not isinstance(node.value, str):
        return
    match = _TIMESTAMP.fullmatch(node.value)
    try:
        if match is None:
            raise ValueError
        datetime.fromisoformat(f"{match[1]}T{match[2]}")
    except ValueError:
        advice = 'write RFC 3339 with a zone, such as "2026-01-31T08:00:00Z"'
        walk.report("CL312", f"`{node.value}` is not a timestamp", node.extent, "", advice)
