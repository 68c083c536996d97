"""Paths of runs: what is one, and what is read from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlens_policy.runs import LONGEST_RUN, MOST_DEPTH, lineage_of, run_at, run_depth, run_problem

_NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)


@pytest.mark.parametrize("path", ["a", "nightly/search/2", "søk/搜索", "a b/c", "a" * LONGEST_RUN])
def test_paths(path: str) -> None:
    assert run_problem(path) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "none of them empty"),
        ("/a", "none of them empty"),
        ("a/", "none of them empty"),
        ("a/a", "`a` is named twice"),
        ("a/b/a", "its own ancestor"),
        ("a\x00", "control characters"),
        ("a\ud800", "control characters"),
        ("a" * (LONGEST_RUN + 1), "at most 200 characters, got 201"),
        ("/".join(map(str, range(MOST_DEPTH + 1))), "at most 32 runs deep, got 33"),
    ],
)
def test_what_is_not_a_path(path: str, problem: str) -> None:
    assert problem in (run_problem(path) or "")


@given(_NAMES, st.integers(1, 10))
def test_a_path_says_where_a_run_is(names: list[str], depth: int) -> None:
    path = "/".join(names)
    lineage = list(lineage_of(path))
    assert lineage == ["/".join(names[: at + 1]) for at in range(len(names))]
    assert run_depth(path) == len(names)
    assert run_at(path, depth) == lineage[min(depth, len(names)) - 1]
    assert run_at(path, 1) == names[0]
