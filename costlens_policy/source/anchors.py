"""Anchors of one document, and how much their aliases repeat."""

from __future__ import annotations

from dataclasses import dataclass

from costlens_policy.diagnostics.model import Span
from costlens_policy.source.located import LocatedValue

__all__ = ["Anchors", "Node"]


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its extent: ``weight`` counts values and long texts in it, ``height`` levels of nesting."""

    value: LocatedValue
    weight: int
    height: int


class Anchors:
    """Values by anchor name. An anchor whose value is still open has a place but no node."""

    def __init__(self) -> None:
        self._places: dict[str, Span] = {}
        self._nodes: dict[str, Node] = {}
        self.repeated = 0
        """Weight of everything that aliases stood for so far."""

    def open(self, name: str, span: Span) -> Span | None:
        """Note an anchor; return the place of an earlier one with the same name."""
        first = self._places.get(name)
        self._places[name] = span
        self._nodes.pop(name, None)
        return first

    def close(self, name: str, node: Node) -> None:
        self._nodes[name] = node

    def place(self, name: str) -> Span | None:
        return self._places.get(name)

    def node(self, name: str) -> Node | None:
        return self._nodes.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(self._places)
