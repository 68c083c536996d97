"""Runs: the work that calls belong to, such as that of an agent, by their paths.

The name of a run is its path from the root, such as ``nightly/search/2``: everything about its place in the tree can be
read from it, by any process and without asking anybody. So no parent can be unknown, and no two clocks have to agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

__all__ = ["LONGEST_RUN", "MOST_DEPTH", "RUN", "RUN_SEPARATOR", "lineage_of", "run_at", "run_depth", "run_problem"]

RUN: Final = "run"
"""The request attribute that holds the path of the run."""
RUN_SEPARATOR: Final = "/"
LONGEST_RUN: Final = 200
"""Characters of a path: what a ledger records of an attribute without cutting it."""
MOST_DEPTH: Final = 32
"""Runs on one path. Whoever starts more of them, each within the other, is in a circle."""


def run_problem(path: str) -> str | None:
    """Return why a text is not the path of a run; None where it is one."""
    if len(path) > LONGEST_RUN:
        return f"must have at most {LONGEST_RUN} characters, got {len(path):,}"
    parts = path.split(RUN_SEPARATOR)
    if not all(parts):
        return "must be names separated by `/`, none of them empty"
    if not path.isprintable():
        return "must not contain control characters"
    if len(parts) > MOST_DEPTH:
        return f"must be at most {MOST_DEPTH} runs deep, got {len(parts)}"
    if len(set(parts)) < len(parts):
        twice = next(part for at, part in enumerate(parts) if part in parts[:at])
        return f"must not contain a run that is its own ancestor, and `{twice}` is named twice"
    return None


def run_at(path: str, depth: int) -> str:
    """Return the run at a depth, from 1 for the root on; the run itself where it is not that deep."""
    if depth == 1:
        return path.partition(RUN_SEPARATOR)[0]
    return RUN_SEPARATOR.join(path.split(RUN_SEPARATOR)[:depth])


def run_depth(path: str) -> int:
    """Return how many runs are on a path: 1 for a root, 0 for an empty text."""
    return path.count(RUN_SEPARATOR) + 1 if path else 0


def lineage_of(path: str) -> Iterator[str]:
    """Yield the runs on a path, from the root to the run itself."""
    end = path.find(RUN_SEPARATOR)
    while end >= 0:
        yield path[:end]
        end = path.find(RUN_SEPARATOR, end + 1)
    yield path
