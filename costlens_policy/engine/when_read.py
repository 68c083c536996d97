"""Records of expressions whose fields get their values when they are first read."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator

from costlens_policy.expressions import Value

__all__ = ["WhenRead"]


class WhenRead(dict[str, Value]):
    """A record whose fields get their values when they are first read. Every field that ``_names`` has is there."""

    __slots__ = ("_names",)

    _names: Collection[str]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def get(self, name: str, default: Value = None) -> Value:
        return self[name] if name in self._names else default

    def items(self) -> ItemsView[str, Value]:  # type: ignore[override]  # dict promises its own view of what it holds
        return ItemsView(self)
