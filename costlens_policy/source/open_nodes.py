"""Collections that are being composed."""

from __future__ import annotations

from dataclasses import dataclass, field

from costlens_policy.diagnostics.model import Position, Span
from costlens_policy.source.anchors import Node
from costlens_policy.source.located import Entry, LocatedValue

__all__ = ["Key", "OpenNode"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key whose value comes next; ``text`` is None where the entry is to be dropped."""

    text: str | None
    span: Span


@dataclass(slots=True)
class OpenNode:
    """A sequence or mapping whose end has not been seen."""

    is_mapping: bool
    is_flow: bool
    start: Position
    anchor: str | None
    is_key: bool  # it stands where a key should
    key: Key | None = None
    first_keys: dict[str, Span] = field(default_factory=dict)
    weight: int = 1
    height: int = 1
    end: Position | None = None
    _items: list[LocatedValue] = field(default_factory=list)
    _entries: list[Entry] = field(default_factory=list)

    def expects_key(self) -> bool:
        return self.is_mapping and self.key is None

    def add(self, node: Node, end: Position) -> None:
        """Take the next item, or the value of the pending key; ``end`` is where it ends here."""
        self.end = end
        if self.is_mapping:
            assert self.key is not None
            if self.key.text is not None:
                self._entries.append(Entry(self.key.text, self.key.span, node.value))
            self.key = None
        else:
            self._items.append(node.value)
        self.weight += node.weight
        self.height = max(self.height, node.height + 1)

    def finished(self, file: str, end: Position) -> Node:
        """Return the whole collection."""
        span = Span(file, self.start, end if self.is_flow else self.end or self.start)
        content = tuple(self._entries) if self.is_mapping else tuple(self._items)
        kind = "mapping" if self.is_mapping else "sequence"
        return Node(LocatedValue(content, span, kind), self.weight, self.height)
