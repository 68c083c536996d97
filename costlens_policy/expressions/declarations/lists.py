"""The lists extension; ``sortBy`` is a macro."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function("slice", "the elements from a position up to another", list_slice="list(<A>).(int, int) -> list(<A>)"),
    function(
        "flatten",
        "nested lists as one, to a depth",
        list_flatten="list(list(<A>)).() -> list(<A>)",
        list_flatten_int="list(dyn).(int) -> list(dyn)",
    ),
    function("distinct", "without elements that came before", list_distinct="list(<A>).() -> list(<A>)"),
    function(
        "sort",
        "in ascending order",
        list_int_sort="list(int).() -> list(int)",
        list_uint_sort="list(uint).() -> list(uint)",
        list_double_sort="list(double).() -> list(double)",
        list_bool_sort="list(bool).() -> list(bool)",
        list_duration_sort="list(duration).() -> list(duration)",
        list_timestamp_sort="list(timestamp).() -> list(timestamp)",
        list_string_sort="list(string).() -> list(string)",
        list_bytes_sort="list(bytes).() -> list(bytes)",
    ),
    function("lists.range", "the numbers from 0 below a limit", lists_range="(int) -> list(int)"),
    function("first", "the first element, if there is one", list_first="list(<A>).() -> optional_type(<A>)"),
    function("last", "the last element, if there is one", list_last="list(<A>).() -> optional_type(<A>)"),
)
