"""Models that take something from another model, which may take it from a third."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["in_dependency_order"]


def in_dependency_order(links: Mapping[str, str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Order names so that each comes after the one that it takes from.

    ``links`` holds what each name takes from. The second result are the circles, each from its first name on; the
    names in them, and those that lead into them, are in no order.
    """
    ordered: list[str] = []
    done: set[str] = set()
    lost: set[str] = set()
    circles: list[tuple[str, ...]] = []
    for start in sorted(links):
        path: dict[str, None] = {}
        name = start
        while name in links and name not in done and name not in lost and name not in path:
            path[name] = None
            name = links[name]
        if name in path:
            circles.append(_from_first([*path][[*path].index(name) :]))
        if name in path or name in lost:
            lost.update(path)
        else:
            ordered.extend(reversed(path))
            done.update(path)
    return ordered, circles


def _from_first(circle: list[str]) -> tuple[str, ...]:
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])
