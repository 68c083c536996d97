"""The optionals extension; ``optMap`` and ``optFlatMap`` are macros."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function("optional.of", "an optional that holds a value", optional_of="(<A>) -> optional_type(<A>)"),
    function(
        "optional.ofNonZeroValue",
        "an optional that holds a value, unless that is empty, zero, false or null",
        optional_ofNonZeroValue="(<A>) -> optional_type(<A>)",
    ),
    function("optional.none", "an optional that holds nothing", optional_none="() -> optional_type(<A>)"),
    function("hasValue", "whether it holds a value", optional_hasValue="optional_type(<A>).() -> bool"),
    function("value", "what it holds; an error when that is nothing", optional_value="optional_type(<A>).() -> <A>"),
    function(
        "or",
        "itself, or another when it holds nothing",
        optional_or_optional="optional_type(<A>).(optional_type(<A>)) -> optional_type(<A>)",
    ),
    function(
        "orValue",
        "what it holds, or a value when that is nothing",
        optional_orValue_value="optional_type(<A>).(<A>) -> <A>",
    ),
    function(
        "optional.unwrap",
        "what the optionals of a list hold",
        optional_unwrap="(list(optional_type(<A>))) -> list(<A>)",
    ),
    function(
        "unwrapOpt",
        "what the optionals of a list hold",
        optional_unwrapOpt="list(optional_type(<A>)).() -> list(<A>)",
    ),
)
