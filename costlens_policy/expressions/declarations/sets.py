"""The sets extension: lists looked at as sets."""

from __future__ import annotations

from costlens_policy.expressions.notation import function

__all__ = ["FUNCTIONS"]

FUNCTIONS = (
    function(
        "sets.contains",
        "whether every element of the second stands in the first",
        list_sets_contains_list="(list(<A>), list(<A>)) -> bool",
    ),
    function(
        "sets.equivalent",
        "whether each contains the other",
        list_sets_equivalent_list="(list(<A>), list(<A>)) -> bool",
    ),
    function(
        "sets.intersects",
        "whether they share an element",
        list_sets_intersects_list="(list(<A>), list(<A>)) -> bool",
    ),
)
