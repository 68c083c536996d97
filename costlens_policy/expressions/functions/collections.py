"""Sizes, and the extensions for lists, sets and optionals; `sortBy`, `optMap` and `optFlatMap` are macros."""

from __future__ import annotations

from costlens_policy.expressions.functions import costs
from costlens_policy.expressions.functions.rows import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "size",
        "number of code points, bytes, elements or entries",
        cost=costs.size,
        constant_time=True,
        bounds=(0, 2**48),
        size_string="(string) -> int",
        size_bytes="(bytes) -> int",
        size_list="(list(<A>)) -> int",
        size_map="(map(<A>, <B>)) -> int",
        string_size="string.() -> int",
        bytes_size="bytes.() -> int",
        list_size="list(<A>).() -> int",
        map_size="map(<A>, <B>).() -> int",
    ),
    function(
        "slice",
        "the elements from a position up to another",
        cost=costs.same,
        list_slice="list(<A>).(int, int) -> list(<A>)",
    ),
    function(
        "flatten",
        "nested lists as one, to a depth",
        cost=costs.flattened,
        list_flatten="list(list(<A>)).() -> list(<A>)",
        list_flatten_int="list(dyn).(int) -> list(dyn)",
    ),
    function(
        "distinct",
        "without elements that came before",
        cost=costs.distinct,
        list_distinct="list(<A>).() -> list(<A>)",
    ),
    function(
        "sort",
        "in ascending order",
        cost=costs.sorting,
        list_int_sort="list(int).() -> list(int)",
        list_uint_sort="list(uint).() -> list(uint)",
        list_double_sort="list(double).() -> list(double)",
        list_bool_sort="list(bool).() -> list(bool)",
        list_duration_sort="list(duration).() -> list(duration)",
        list_timestamp_sort="list(timestamp).() -> list(timestamp)",
        list_string_sort="list(string).() -> list(string)",
        list_bytes_sort="list(bytes).() -> list(bytes)",
    ),
    function(
        "lists.range",
        "the numbers from 0 below a limit",
        cost=costs.counting,
        lists_range="(int) -> list(int)",
    ),
    function(
        "first",
        "the first element, if there is one",
        cost=costs.element,
        constant_time=True,
        list_first="list(<A>).() -> optional_type(<A>)",
    ),
    function(
        "last",
        "the last element, if there is one",
        cost=costs.element,
        constant_time=True,
        list_last="list(<A>).() -> optional_type(<A>)",
    ),
    function(
        "sets.contains",
        "whether every element of the second stands in the first",
        cost=costs.set_comparison,
        list_sets_contains_list="(list(<A>), list(<A>)) -> bool",
    ),
    function(
        "sets.equivalent",
        "whether each contains the other",
        cost=costs.set_comparison,
        list_sets_equivalent_list="(list(<A>), list(<A>)) -> bool",
    ),
    function(
        "sets.intersects",
        "whether they share an element",
        cost=costs.set_comparison,
        list_sets_intersects_list="(list(<A>), list(<A>)) -> bool",
    ),
    function(
        "optional.of",
        "an optional that holds a value",
        cost=costs.either,
        constant_time=True,
        optional_of="(<A>) -> optional_type(<A>)",
    ),
    function(
        "optional.ofNonZeroValue",
        "an optional that holds a value, unless that is empty, zero, false or null",
        cost=costs.either,
        optional_ofNonZeroValue="(<A>) -> optional_type(<A>)",
    ),
    function(
        "optional.none",
        "an optional that holds nothing",
        cost=costs.constant,
        constant_time=True,
        optional_none="() -> optional_type(<A>)",
    ),
    function(
        "hasValue",
        "whether it holds a value",
        cost=costs.constant,
        constant_time=True,
        optional_hasValue="optional_type(<A>).() -> bool",
    ),
    function(
        "value",
        "what it holds; an error when that is nothing",
        cost=costs.either,
        constant_time=True,
        optional_value="optional_type(<A>).() -> <A>",
    ),
    function(
        "or",
        "itself, or another when it holds nothing",
        cost=costs.either,
        constant_time=True,
        optional_or_optional="optional_type(<A>).(optional_type(<A>)) -> optional_type(<A>)",
    ),
    function(
        "orValue",
        "what it holds, or a value when that is nothing",
        cost=costs.either,
        constant_time=True,
        optional_orValue_value="optional_type(<A>).(<A>) -> <A>",
    ),
    function(
        "optional.unwrap",
        "what the optionals of a list hold",
        cost=costs.unwrapped,
        optional_unwrap="(list(optional_type(<A>))) -> list(<A>)",
    ),
    function(
        "unwrapOpt",
        "what the optionals of a list hold",
        cost=costs.unwrapped,
        optional_unwrapOpt="list(optional_type(<A>)).() -> list(<A>)",
    ),
)
